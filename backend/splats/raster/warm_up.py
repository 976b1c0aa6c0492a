"""Draws a few splats in every way that training and rendering draw them, so that numba compiles its kernels."""

from __future__ import annotations

import itertools

import torch

from backend.splats.raster import rasterization
from backend.splats.similarity import l1_ssim_loss

SIZE = 32


def warm_up_rasterizer() -> None:
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
    with torch.no_grad():
        for mode, samples in itertools.product(("RGB", "RGB+ED", "D"), (1, 4)):
            surface = torch.full((1, SIZE, SIZE, samples), 2.5)
            rasterization(
                means, quats, scales, opacities, (sh0, sh_rest), view, intrinsics, SIZE, SIZE,
                sh_degree=3, render_mode=mode, surface_depths=surface,
            )  # fmt: skip
