"""The noise of 3DGS-MCMC: faint splats are kicked about along their own shape until they find something to show."""

from __future__ import annotations

import math

import numpy as np
import torch
from numba import prange
from torch import Tensor

from backend.splats.kernels import parallel_kernel
from backend.training.representation import Parameters

_GATE_SHARPNESS = 100.0
_GATE_CENTRE = 0.005  # the opacity at which half of the noise is left
_GATE_NEGLIGIBLE = 1e-4  # noise below this part of the full strength is left out
_FAINT = _GATE_CENTRE + math.log(1 / _GATE_NEGLIGIBLE - 1) / _GATE_SHARPNESS  # opacity, 0.097
_FAINT_LOGIT = math.log(_FAINT / (1 - _FAINT))


@torch.no_grad()
def add_noise(parameters: Parameters, strength: float, generator: torch.Generator) -> None:
    """mean += strength * gate(opacity) * covariance * normal. Kheradmand et al. 2024, Eq. 8 and 9.

    The gate is nearly 0 above an opacity of 0.05, so only the faint ones are touched.
    """
    chosen = (parameters["opacities"] < _FAINT_LOGIT).nonzero()[:, 0]
    normal = torch.randn(len(chosen), 3, generator=generator, device=generator.device)
    if parameters["means"].is_cuda:
        _add_with_torch(parameters, chosen, normal, strength)
    elif len(chosen):
        values = (parameters[name].detach().numpy() for name in ("means", "quats", "scales", "opacities"))
        _add_with_numba(*values, chosen.numpy(), normal.numpy(), strength)


def _add_with_torch(parameters: Parameters, chosen: Tensor, normal: Tensor, strength: float) -> None:
    opacities = parameters["opacities"][chosen].sigmoid()
    gate = torch.sigmoid(_GATE_SHARPNESS * (_GATE_CENTRE - opacities))
    axes = rotation_matrices(parameters["quats"][chosen])  # [M, 3, 3]
    variances = torch.exp(2 * parameters["scales"][chosen])  # [M, 3]
    along_axes = (axes * (normal * (strength * gate)[:, None])[:, :, None]).sum(dim=1) * variances
    parameters["means"].index_add_(0, chosen, (axes * along_axes[:, None, :]).sum(dim=2))


def rotation_matrices(quats: Tensor) -> Tensor:
    """w, x, y, z of any length -> columns are the splat's axes. [M, 4] -> [M, 3, 3]"""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    entries = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(entries, -1).reshape(-1, 3, 3)


@parallel_kernel
def _add_with_numba(means, quats, log_scales, logits, chosen, normal, strength):  # type: ignore[no-untyped-def]
    """The same in one pass; as torch operations it costs a tenth of a training step."""
    for j in prange(chosen.shape[0]):
        i = chosen[j]
        opacity = 1.0 / (1.0 + math.exp(-logits[i]))
        gate = strength / (1.0 + math.exp(_GATE_SHARPNESS * (opacity - _GATE_CENTRE)))
        a, b, c = gate * normal[j, 0], gate * normal[j, 1], gate * normal[j, 2]
        w, x, y, z = quats[i, 0], quats[i, 1], quats[i, 2], quats[i, 3]
        inverse = 1.0 / max(math.sqrt(w * w + x * x + y * y + z * z), 1e-12)
        w, x, y, z = w * inverse, x * inverse, y * inverse, z * inverse
        for axis in range(3):
            if axis == 0:
                u, v, t = 1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)
            elif axis == 1:
                u, v, t = 2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)
            else:
                u, v, t = 2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)
            along = (u * a + v * b + t * c) * math.exp(2 * log_scales[i, axis])
            means[i, 0] += np.float32(u * along)
            means[i, 1] += np.float32(v * along)
            means[i, 2] += np.float32(t * along)
