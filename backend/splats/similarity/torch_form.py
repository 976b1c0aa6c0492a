"""L1 + SSIM in plain torch: on CUDA, and as the readable form in tests."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.splats.similarity.window import C1, C2, HALF, WINDOW


def l1_ssim(image: Tensor, target: Tensor, ssim_weight: float) -> Tensor:
    """See `backend.splats.similarity.l1_ssim_loss`."""
    x, y = image.permute(2, 0, 1), target.permute(2, 0, 1)
    mean_x, mean_y, xx, yy, xy = _blur(torch.stack([x, y, x * x, y * y, x * y]))
    variance_x, variance_y, covariance = xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    similarity = numerator / ((mean_x**2 + mean_y**2 + C1) * (variance_x + variance_y + C2))
    return (1 - ssim_weight) * (image - target).abs().mean() + ssim_weight * (1 - similarity.mean())


def _blur(planes: Tensor) -> Tensor:
    """[P, 3, H, W], zeros outside."""
    window = torch.as_tensor(WINDOW, dtype=planes.dtype, device=planes.device)
    single = planes.reshape(-1, 1, *planes.shape[-2:])
    single = torch.nn.functional.conv2d(single, window.view(1, 1, -1, 1), padding=(HALF, 0))
    return torch.nn.functional.conv2d(single, window.view(1, 1, 1, -1), padding=(0, HALF)).reshape(planes.shape)
