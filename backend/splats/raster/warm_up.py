"""Compiles the CPU kernels once, so that no training starts with half a minute of waiting.

Run as `python -m backend.splats.raster.warm_up`; numba keeps the machine code beside the sources (or in NUMBA_CACHE_DIR).
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
    for mode, absgrad in itertools.product(("RGB", "RGB+ED", "D"), (False, True)):
        shape = [t.clone().requires_grad_() for t in (means, quats, scales, opacities, sh0, sh_rest)]
        pictures, _, _ = rasterization(
            *shape[:4], (shape[4], shape[5]), view, intrinsics, SIZE, SIZE,
            sh_degree=3, render_mode=mode, absgrad=absgrad,
        )  # fmt: skip
        pictures.sum().backward()
    picture = pictures.detach().expand(-1, -1, -1, 3)[0].contiguous().requires_grad_()
    l1_ssim_loss(picture, torch.zeros((SIZE, SIZE, 3))).backward()
    return time.perf_counter() - start


if __name__ == "__main__":
    print(f"CPU kernels ready after {warm_up():.1f} s")
