"""gsplat on CUDA beside our CPU kernels: the same scene, the same picture, the same gradients."""

from __future__ import annotations

import logging
from itertools import count
from typing import Any

import pytest
import torch
from torch import Tensor

from backend.splats.raster import blending_weights, cuda, rasterization

pytestmark = pytest.mark.gpu
DEVICE = "cuda"


def scene() -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(0)
    means = torch.rand((2000, 3), generator=g) * torch.tensor([6.0, 4.0, 5.0]) + torch.tensor([-3.0, -2.0, 2.0])
    coefficients = torch.randn((2000, 16, 3), generator=g) * 0.2
    return {
        "means": means,
        "quats": torch.randn((2000, 4), generator=g),
        "scales": torch.rand((2000, 3), generator=g) * 0.1 + 0.005,
        "opacities": torch.rand(2000, generator=g),
        "sh0": coefficients[:, :1].clone(),
        "sh_rest": coefficients[:, 1:].clone(),
    }


def cameras(device: str) -> tuple[Tensor, Tensor, int, int]:
    views = torch.eye(4).repeat(2, 1, 1)
    views[1, 0, 3] = 0.5
    k = torch.tensor([[150.0, 0, 101.5], [0, 140, 66.0], [0, 0, 1]]).repeat(2, 1, 1)
    return views.to(device), k.to(device), 200, 133


def draw(tensors: dict[str, Tensor], device: str, **options: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
    colors = (tensors["sh0"], tensors["sh_rest"])
    shape = [tensors[name] for name in ("means", "quats", "scales", "opacities")]
    return rasterization(*shape, colors, *cameras(device), sh_degree=3, **options)


@pytest.mark.parametrize("mode", ["RGB", "RGB+ED", "D"])
@pytest.mark.parametrize("kind", ["classic", "antialiased"])
def test_pictures_and_gradients_agree(mode: str, kind: str) -> None:
    results = {}
    for device in ("cpu", DEVICE):
        tensors = {name: t.to(device).requires_grad_() for name, t in scene().items()}
        picture, alpha, info = draw(tensors, device, render_mode=mode, rasterize_mode=kind, absgrad=True)
        info["means2d"].retain_grad()
        weights = torch.rand(picture.shape, generator=torch.Generator().manual_seed(1)).to(device)
        ((picture * weights).sum() + alpha.sum()).backward()
        grads = {name: t.grad.cpu() for name, t in tensors.items() if t.grad is not None}
        results[device] = picture.detach().cpu(), alpha.detach().cpu(), grads, info["means2d"].absgrad.cpu()
    ours, theirs = results["cpu"], results[DEVICE]
    # gsplat compiles with fast math: a pixel at the rim of a splat may fall on the other side of 1/255
    assert (ours[0] - theirs[0]).abs().mean() <= 1e-4 * ours[0].abs().max()
    assert (ours[1] - theirs[1]).abs().mean() <= 1e-4
    for name, gradient in theirs[2].items():
        assert (ours[2][name] - gradient).norm() <= 1e-2 * gradient.norm().clamp_min(1e-12), name
    assert (ours[3] - theirs[3]).norm() <= 1e-2 * theirs[3].norm()


def test_broken_values_are_left_out(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "_calls", count())  # the first call looks
    for kind in ("classic", "antialiased"):
        tensors = {name: t.to(DEVICE) for name, t in scene().items()}
        keep = torch.ones(2000, dtype=torch.bool, device=DEVICE)
        for row, (name, value) in enumerate(
            (name, value) for name in tensors for value in (float("nan"), float("inf"))
        ):
            tensors[name][row].view(-1)[0] = value
            keep[row] = False
        leaves = {name: t.requires_grad_() for name, t in tensors.items()}
        picture, _, info = draw(leaves, DEVICE, rasterize_mode=kind)
        expected, _, _ = draw({name: t[keep] for name, t in tensors.items()}, DEVICE, rasterize_mode=kind)
        assert (picture - expected).abs().max() <= 1e-6
        assert int(info["broken"]) == int((~keep).sum())
        picture.sum().backward()
        assert all(t.grad is not None and torch.isfinite(t.grad[keep]).all() for t in leaves.values())
    with caplog.at_level(logging.WARNING):
        assert "12 splats hold NaN or infinite values" in caplog.text


def test_a_surface_stops_the_blend_as_on_the_cpu() -> None:
    surface = torch.full((2, 133, 200), 4.0)
    ours, _, _ = draw(scene(), "cpu", surface_depths=surface)
    tensors = {name: t.to(DEVICE) for name, t in scene().items()}
    theirs, _, _ = draw(tensors, DEVICE, surface_depths=surface.to(DEVICE))
    assert theirs.is_cuda
    assert torch.equal(ours, theirs.cpu())


def test_blending_weights_agree() -> None:
    weights = {}
    for device in ("cpu", DEVICE):
        shape = [scene()[name].to(device) for name in ("means", "quats", "scales", "opacities")]
        viewmats, intrinsics, width, height = cameras(device)
        counts = torch.rand((len(viewmats), height, width, 3), generator=torch.Generator().manual_seed(1)).to(device)
        weights[device] = blending_weights(*shape, viewmats, intrinsics, counts).cpu()
    assert (weights["cpu"] - weights[DEVICE]).norm() <= 1e-3 * weights["cpu"].norm()
