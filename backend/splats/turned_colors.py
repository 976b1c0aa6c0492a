"""Colours of splats that were turned: each is seen along the direction from which it would be seen unturned."""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

from backend.splats.cameras import Camera
from backend.splats.kernels import parallel_kernel
from backend.splats.raster.cpu.spherical_harmonics import BASIS_SIZE, fill_basis
from backend.splats.spherical_harmonics import sh_colors

_BLOCK = 1024  # splats that one core takes at a time
F = np.float32


def turned_colors(degree: int, sh: Tensor, means: Tensor, turns: Tensor, camera: Camera) -> Tensor:
    """Colours that the camera sees, clamped below at 0, [N, 3]: those along R^T d, which no coefficient is changed for.

    sh: [N, K, 3], K >= (degree + 1)^2. means: [N, 3]. turns: [N, 3, 3], nearly orthogonal. All float32 on one device.
    """
    if means.device.type == "cpu":
        colors = np.empty((len(means), 3), np.float32)
        _see(
            degree, sh.numpy(), means.numpy(), turns.numpy(), camera.centre, camera.forward, camera.orthographic, colors
        )  # fmt: skip
        return torch.from_numpy(colors)
    if camera.orthographic:
        along = torch.tensor(camera.forward, dtype=torch.float32, device=means.device).expand_as(means)
    else:
        along = (means.double() - torch.tensor(camera.centre, device=means.device)).float()
    return sh_colors(degree, (along[:, None, :] @ turns)[:, 0], sh)


@parallel_kernel
def _see(degree, sh, means, turns, centre, forward, is_orthographic, colors):  # type: ignore[no-untyped-def]
    count, size = len(means), (degree + 1) * (degree + 1)
    for block in numba.prange((count + _BLOCK - 1) // _BLOCK):  # type: ignore[attr-defined]
        basis = np.empty(BASIS_SIZE, np.float32)
        for n in range(block * _BLOCK, min((block + 1) * _BLOCK, count)):
            if is_orthographic:  # all rays are parallel, wherever the camera stands
                x, y, z = forward[0], forward[1], forward[2]
            else:
                x, y, z = means[n, 0] - centre[0], means[n, 1] - centre[1], means[n, 2] - centre[2]
            a = turns[n, 0, 0] * x + turns[n, 1, 0] * y + turns[n, 2, 0] * z
            b = turns[n, 0, 1] * x + turns[n, 1, 1] * y + turns[n, 2, 1] * z
            c = turns[n, 0, 2] * x + turns[n, 1, 2] * y + turns[n, 2, 2] * z
            scale = 1.0 / max(np.sqrt(a * a + b * b + c * c), 1e-12)
            fill_basis(degree, F(a * scale), F(b * scale), F(c * scale), basis)
            red, green, blue = F(0.5), F(0.5), F(0.5)
            for k in range(size):
                red += basis[k] * sh[n, k, 0]
                green += basis[k] * sh[n, k, 1]
                blue += basis[k] * sh[n, k, 2]
            colors[n, 0], colors[n, 1], colors[n, 2] = max(red, F(0)), max(green, F(0)), max(blue, F(0))
