"""Compiles the CPU kernels once, so that no training starts with half a minute of waiting.

Run as `python -m backend.splats.raster.warm_up`; numba keeps the code beside the sources (or in NUMBA_CACHE_DIR).
"""

from __future__ import annotations

import itertools
import time

import torch

from backend.splats.raster import rasterization
from backend.splats.similarity import l1_ssim_loss

SIZE = 32


def warm_up() -> float:
    """Runs every kernel variant that training and rendering use; returns the seconds it took."""
    start = time.perf_counter()
    generator = torch.Generator().manual_seed(0)
    means = torch.rand((8, 3), generator=generator) + torch.tensor([-0.5, -0.5, 2.0])
    quats, scales, opacities = torch.ones((8, 4)), torch.full((8, 3), 0.1), torch.full((8,), 0.5)
    sh0, sh_rest = torch.ones((8, 1, 3)), torch.zeros((8, 15, 3))
    view = torch.eye(4)[None]
    intrinsics = torch.tensor([[[SIZE, 0, SIZE / 2], [0, SIZE, SIZE / 2], [0, 0, 1.0]]])
    leaves = [t.requires_grad_() for t in (means, quats, scales, opacities, sh0, sh_rest)]
    for mode, absgrad in itertools.product(("RGB", "RGB+ED", "D"), (False, True)):
        pictures, _, _ = rasterization(
            means, quats, scales, opacities, (sh0, sh_rest), view, intrinsics, SIZE, SIZE,
            sh_degree=3, render_mode=mode, absgrad=absgrad,
        )  # fmt: skip
        torch.autograd.grad(pictures.sum(), leaves, allow_unused=True)
    picture = torch.ones((SIZE, SIZE, 3), requires_grad=True)
    l1_ssim_loss(picture, torch.zeros((SIZE, SIZE, 3))).backward()
    return time.perf_counter() - start


if __name__ == "__main__":
    print(f"CPU kernels ready after {warm_up():.1f} s")
