"""Turns spherical harmonics with the thing they colour, exactly, by sampling the basis."""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from torch import Tensor

from backend.splats.spherical_harmonics import sh_basis

_DIRECTIONS = 24  # more than the 9 functions of the highest degree, so that they are told apart with ease
_CHUNK = 32_768  # splats at a time, which bounds the memory


def rotate_sh(sh: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Coefficients whose colour along R d is what the given ones have along d.

    sh: [N, K, 3] float32. rotations: [N, 3, 3]. Returns [N, K, 3] float32.
    The functions of one degree only mix among themselves: b(R d) = D(R) b(d), and D follows from a few directions d.
    """
    degree = math.isqrt(sh.shape[1]) - 1
    turned = np.array(sh, np.float32)
    if degree == 0:
        return turned
    directions, inverses = _samples(degree)
    for start in range(0, len(sh), _CHUNK):
        part = slice(start, start + _CHUNK)
        matrices = torch.tensor(np.asarray(rotations[part], np.float64))
        moved = sh_basis(degree, torch.einsum("nij,mj->nmi", matrices, directions))  # [n, M, K]
        for band, inverse in enumerate(inverses, start=1):
            own = slice(band * band, (band + 1) ** 2)
            mixing = torch.einsum("km,nmj->njk", inverse, moved[..., own])  # [n, 2 band + 1, 2 band + 1]
            coefficients = torch.tensor(sh[part, own], dtype=torch.float64)
            turned[part, own] = (mixing @ coefficients).float().numpy()
    return turned


@functools.cache
def _samples(degree: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Directions spread over the sphere [M, 3], and for each degree from 1 the pseudo-inverse of the basis there."""
    index = torch.arange(_DIRECTIONS, dtype=torch.float64) + 0.5
    height = 1 - 2 * index / _DIRECTIONS
    angle = math.pi * (1 + math.sqrt(5)) * index
    radius = torch.sqrt(1 - height**2)
    directions = torch.stack([radius * torch.cos(angle), radius * torch.sin(angle), height], -1)
    basis = sh_basis(degree, directions)
    bands = [basis[:, band * band : (band + 1) ** 2] for band in range(1, degree + 1)]
    return directions, tuple(torch.linalg.pinv(band) for band in bands)
