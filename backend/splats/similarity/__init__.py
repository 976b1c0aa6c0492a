"""How alike two pictures are: PSNR, SSIM, and the loss that training minimises."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def psnr(image: Tensor, target: Tensor, weight: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio in decibels of pictures [H, W, 3] in 0..1; 100 when they are equal.

    weight: [H, W] in 0..1; pixels of weight 0 do not count.
    """
    square = (image.double() - target.double()).square().mean(-1)
    error = square.mean() if weight is None else (square * weight).sum() / weight.sum().clamp_min(1e-12)
    return min(100.0, -10.0 * math.log10(max(float(error), 1e-10)))


def ssim(image: Tensor, target: Tensor) -> Tensor:
    """Structural similarity of pictures [H, W, 3] in 0..1: Gaussian window of 11 pixels, sigma 1.5, zeros outside.

    Source: Wang et al. 2004; borders as in the 3DGS reference code. Differentiable by `image`.
    """
    return 1.0 - l1_ssim_loss(image, target, ssim_weight=1.0)


def l1_ssim_loss(image: Tensor, target: Tensor, *, ssim_weight: float = 0.2, weight: Tensor | None = None) -> Tensor:
    """(1 - w) * mean |image - target| + w * (1 - SSIM), the loss of 3DGS. Differentiable by `image` [H, W, 3].

    weight: [H, W] in 0..1; where it is 0 the picture is free. The result is per counted pixel.
    """
    share = 1.0
    if weight is not None:
        image = torch.lerp(target, image, weight[..., None])
        share = float(weight.mean().clamp_min(1e-6)) if not weight.is_cuda else weight.mean().clamp_min(1e-6)
    if image.is_cuda:
        from backend.splats.similarity.torch_form import l1_ssim
    else:
        from backend.splats.similarity.cpu import l1_ssim
    return l1_ssim(image, target, ssim_weight) / share
