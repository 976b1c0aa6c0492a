"""Colours that depend on the direction they are seen along, readable form in torch."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.splats.sh_basis import basis_functions


def sh_basis(degree: int, directions: Tensor) -> Tensor:
    """Values of the basis functions at unit directions. [..., 3] -> [..., (degree + 1)^2]"""
    return torch.stack(basis_functions(degree, *directions.unbind(-1)), -1)


def sh_colors(degree: int, directions: Tensor, coefficients: Tensor) -> Tensor:
    """Colours seen along `directions`, clamped below at 0.

    directions: [..., 3], need not be unit. coefficients: [..., K, 3], K >= (degree + 1)^2. Returns [..., 3].
    """
    unit = torch.nn.functional.normalize(directions, dim=-1)
    active = coefficients[..., : (degree + 1) ** 2, :]
    return torch.clamp_min((sh_basis(degree, unit)[..., None] * active).sum(-2) + 0.5, 0.0)
