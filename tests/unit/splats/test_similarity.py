"""PSNR, SSIM and the fused loss against plain torch in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from backend.splats.similarity import l1_ssim_loss, psnr, ssim
from backend.splats.similarity.torch_form import l1_ssim


def pictures(height: int, width: int, noise: float = 0.1) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(height * 1000 + width)
    target = torch.rand(height, width, 3, generator=g)
    return (target + noise * torch.randn(height, width, 3, generator=g)).clamp(0, 1), target


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 40), (11, 11), (33, 47), (64, 20)])
@pytest.mark.parametrize("ssim_weight", [0.0, 0.2, 1.0])
def test_value_and_gradient(height: int, width: int, ssim_weight: float) -> None:
    image, target = pictures(height, width)
    ours, exact = image.clone().requires_grad_(), image.double().requires_grad_()
    loss = l1_ssim_loss(ours, target, ssim_weight=ssim_weight)
    truth = l1_ssim(exact, target.double(), ssim_weight)
    assert abs(loss.item() - truth.item()) <= 1e-5
    (3 * loss).backward()
    (3 * truth).backward()
    assert ours.grad is not None and exact.grad is not None
    assert (ours.grad - exact.grad).norm() <= 1e-4 * exact.grad.norm()


def test_equal_pictures() -> None:
    _, target = pictures(20, 30)
    assert ssim(target, target).item() == pytest.approx(1.0, abs=1e-6)
    assert psnr(target, target) == 100.0


def test_psnr_of_a_known_error() -> None:
    target = torch.zeros(4, 5, 3)
    assert psnr(target + 0.1, target) == pytest.approx(20.0, abs=1e-4)


def test_pixels_of_weight_zero_do_not_count() -> None:
    image, target = pictures(24, 24)
    weight = torch.ones(24, 24)
    weight[:, 12:] = 0
    free = image.clone().requires_grad_()
    loss = l1_ssim_loss(free, target, weight=weight)
    loss.backward()
    assert free.grad is not None
    assert free.grad[:, 12:].abs().max() == 0
    worse = image.clone()
    worse[:, 12:] = 0
    assert l1_ssim_loss(worse, target, weight=weight) == loss
    assert psnr(worse, target, weight) == pytest.approx(psnr(image[:, :12], target[:, :12]), abs=1e-6)


def test_strided_pictures() -> None:
    image, target = pictures(18, 22)
    expected = l1_ssim_loss(image, target)
    strided = image.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    assert l1_ssim_loss(strided, target) == expected


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[H, W, 3\]"):
        l1_ssim_loss(torch.zeros(4, 4, 3), torch.zeros(4, 5, 3))
