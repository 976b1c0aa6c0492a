"""The CPU rasterizer against float64 brute force: pictures within 1e-5, gradients within 1e-4."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from backend.splats.raster import blending_weights, brute_force, rasterization
from backend.splats.raster.brute_force import _blend

PICTURE_ERROR = 1e-5
GRADIENT_ERROR = 1e-4


@dataclass
class Scene:
    """Random splats in front of cameras that look along z."""

    count: int
    width: int
    height: int
    size: float = 8.0  # pixels, roughly three standard deviations
    cameras: int = 1
    degree: int | None = 3
    channels: int = 3
    seed: int = 0
    opaque: bool = False

    def tensors(self) -> dict[str, Tensor]:
        g = torch.Generator().manual_seed(self.seed)
        focal = 1.2 * max(self.width, self.height)
        z = 2 + 6 * torch.rand(self.count, generator=g)
        u = (torch.rand(self.count, generator=g) * 1.2 - 0.1) * self.width
        v = (torch.rand(self.count, generator=g) * 1.2 - 0.1) * self.height
        radius = self.size * torch.exp(0.6 * torch.randn(self.count, generator=g)).clamp(0.25, 20)
        scales = (radius / 3.33 * z / focal)[:, None] * torch.exp(0.5 * torch.randn(self.count, 3, generator=g))
        logits = torch.randn(self.count, generator=g) * 2 + (3.0 if self.opaque else -0.5)
        x, y = (u - self.width / 2) / focal * z, (v - self.height / 2) / focal * z
        tensors = {
            "means": torch.stack([x, y, z], 1),
            "quats": torch.randn(self.count, 4, generator=g),
            "scales": scales,
            "opacities": torch.sigmoid(logits),
        }
        if self.degree is None:
            tensors["colors"] = torch.rand(self.count, self.channels, generator=g)
        else:
            coefficients = torch.randn(self.count, (self.degree + 1) ** 2, 3, generator=g) * 0.2
            tensors["sh0"], tensors["sh_rest"] = coefficients[:, :1].clone(), coefficients[:, 1:].clone()
        return tensors

    def views(self) -> tuple[Tensor, Tensor, int, int]:
        focal = 1.2 * max(self.width, self.height)
        views = torch.eye(4).repeat(self.cameras, 1, 1)
        for k in range(self.cameras):
            angle = torch.tensor(0.1 * k)
            views[k, 0, 0], views[k, 0, 2] = torch.cos(angle), torch.sin(angle)
            views[k, 2, 0], views[k, 2, 2] = -torch.sin(angle), torch.cos(angle)
            views[k, :3, 3] = torch.tensor([0.2 * k, -0.1 * k, 0.3 * k])
        k = torch.tensor([[focal, 0, self.width / 2 + 1.5], [0, 1.1 * focal, self.height / 2 - 0.7], [0, 0, 1]])
        return views, k.repeat(self.cameras, 1, 1), self.width, self.height


def draw(implementation: Any, tensors: dict[str, Tensor], scene: Scene, **options: Any) -> tuple[Tensor, Tensor, Any]:
    colors = tensors["colors"] if scene.degree is None else (tensors["sh0"], tensors["sh_rest"])
    shape = (tensors.get("quats"), tensors.get("scales"))
    if "covars" in tensors:
        options["covars"] = tensors["covars"]
    return implementation(
        tensors["means"], *shape, tensors["opacities"], colors, *scene.views(), sh_degree=scene.degree, **options
    )


def assert_same(scene: Scene, tensors: dict[str, Tensor] | None = None, **options: Any) -> None:
    """Draws with both, sends the same random gradients back, compares everything."""
    tensors = tensors or scene.tensors()
    ours = {k: t.clone().requires_grad_() for k, t in tensors.items()}
    truth = {k: t.double().requires_grad_() for k, t in tensors.items()}
    picture, alpha, _ = draw(rasterization, ours, scene, **options)
    exact_options = {k: v for k, v in options.items() if k != "absgrad"}
    exact_picture, exact_alpha, _ = draw(brute_force.rasterization, truth, scene, **exact_options)
    scale = exact_picture.abs().max().clamp(min=1.0)
    assert (picture - exact_picture).abs().max() <= PICTURE_ERROR * scale
    assert (alpha - exact_alpha).abs().max() <= PICTURE_ERROR
    g = torch.Generator().manual_seed(9)
    weights, alpha_weights = torch.rand(picture.shape, generator=g) - 0.3, torch.rand(alpha.shape, generator=g) - 0.5
    ((picture * weights).sum() + (alpha * alpha_weights).sum()).backward()
    ((exact_picture * weights).sum() + (exact_alpha * alpha_weights).sum()).backward()
    for name, exact in truth.items():
        got = ours[name].grad
        if exact.grad is None:  # the picture does not depend on it: colours in a picture of depths
            assert got is None or got.abs().sum() == 0, name
            continue
        assert got is not None, name
        error = (got - exact.grad).norm() / exact.grad.norm().clamp_min(1e-12)
        assert error <= GRADIENT_ERROR, f"{name}: {error:.2e}"


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (17, 33), (40, 31), (64, 48)])
def test_odd_sizes(width: int, height: int) -> None:
    assert_same(Scene(60, width, height), backgrounds=torch.tensor([[0.2, 0.5, 0.7]]))


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4])
def test_every_sh_degree(degree: int) -> None:
    assert_same(Scene(80, 40, 30, degree=degree, seed=degree))


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 9])
def test_any_channel_count(channels: int) -> None:
    assert_same(Scene(80, 40, 30, degree=None, channels=channels), backgrounds=torch.rand(1, channels))


@pytest.mark.parametrize("mode", ["RGB", "D", "ED", "RGB+D", "RGB+ED"])
def test_depth_modes(mode: str) -> None:
    assert_same(Scene(100, 40, 30, cameras=2), render_mode=mode, backgrounds=torch.rand(2, 3))


def test_antialiased_several_cameras() -> None:
    assert_same(Scene(150, 50, 37, size=4.0, cameras=3, seed=3), rasterize_mode="antialiased", absgrad=True)


def test_saturated_pixels() -> None:
    assert_same(Scene(600, 50, 40, size=25.0, opaque=True, seed=4))


def test_orthographic() -> None:
    scene = Scene(60, 40, 30, seed=5)
    tensors = scene.tensors()
    tensors["means"][:, :2] /= tensors["means"][:, 2:]
    tensors["scales"] = tensors["scales"] / 4
    assert_same(scene, tensors, camera_model="ortho")


def test_covariances_instead_of_shape() -> None:
    scene = Scene(80, 40, 30, cameras=2, seed=6)
    tensors = scene.tensors()
    half = torch.randn(80, 3, 3, generator=torch.Generator().manual_seed(1)) * 0.1
    del tensors["quats"], tensors["scales"]
    tensors["covars"] = half @ half.transpose(1, 2) + 1e-3 * torch.eye(3)
    assert_same(scene, tensors)


def test_coefficients_of_their_own_for_each_camera() -> None:
    scene = Scene(30, 24, 18, cameras=2, degree=None)
    tensors = scene.tensors()
    per_camera = torch.randn(2, 30, 4, 3, generator=torch.Generator().manual_seed(2)) * 0.3
    arguments = [tensors[k] for k in ("means", "quats", "scales", "opacities")]
    ours, _, _ = rasterization(*arguments, per_camera, *scene.views(), sh_degree=1)
    exact, _, _ = brute_force.rasterization(*arguments, per_camera, *scene.views(), sh_degree=1)
    assert (ours - exact).abs().max() <= PICTURE_ERROR


def test_one_splat_and_none() -> None:
    assert_same(Scene(1, 20, 20, seed=8))
    none = Scene(0, 20, 12)
    picture, alpha, _ = draw(rasterization, none.tensors(), none, backgrounds=torch.tensor([[0.1, 0.2, 0.3]]))
    assert torch.equal(picture[0, 3, 4], torch.tensor([0.1, 0.2, 0.3]))
    assert alpha.abs().max() == 0


def test_behind_and_at_the_camera() -> None:
    scene = Scene(60, 40, 30, seed=9)
    tensors = scene.tensors()
    tensors["means"][:20, 2] *= -1
    tensors["means"][20] = 0.0
    tensors["means"][21] = torch.tensor([0.0, 0.0, 0.0101])  # just beyond the near plane
    tensors["scales"][21] = 1e-3
    assert_same(scene, tensors)


def test_empty_view_has_zero_gradients() -> None:
    scene = Scene(20, 30, 30)
    tensors = {k: t.requires_grad_() for k, t in scene.tensors().items()}
    moved = {**tensors, "means": tensors["means"] * torch.tensor([1.0, 1.0, -1.0])}
    picture, alpha, _ = draw(rasterization, moved, scene)
    (picture.sum() + alpha.sum()).backward()
    assert picture.abs().max() == 0
    assert all(t.grad is not None and t.grad.abs().max() == 0 for t in tensors.values())


@pytest.mark.parametrize("factor", [(1e-4, 1e-4, 1e-4), (40.0, 0.01, 0.01), (30.0, 30.0, 30.0), (200.0, 1e-3, 1.0)])
def test_extreme_scales(factor: tuple[float, float, float]) -> None:
    scene = Scene(40, 48, 40, seed=10)
    tensors = scene.tensors()
    tensors["scales"] = tensors["scales"] * torch.tensor(factor)
    assert_same(scene, tensors)


def test_gradients_that_are_not_contiguous() -> None:
    scene = Scene(80, 40, 30, seed=11)
    results = []
    for transposed in (False, True):
        tensors = {k: t.requires_grad_() for k, t in scene.tensors().items()}
        picture, _, _ = draw(rasterization, tensors, scene)
        weights = torch.rand(30, 40, 3, generator=torch.Generator().manual_seed(1))
        if transposed:
            # the same loss through a permuted view: its gradient reaches us with permuted strides
            (picture[0].permute(2, 1, 0) * weights.permute(2, 1, 0).contiguous()).sum().backward()
        else:
            (picture[0] * weights).sum().backward()
        results.append(tensors["means"].grad)
    assert torch.equal(results[0], results[1])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["means", "quats", "scales", "opacities", "sh0", "sh_rest"])
def test_broken_values_are_left_out_and_counted(name: str, bad: float, caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(40, 30, 20, seed=12)
    healthy = scene.tensors()
    keep = torch.ones(40, dtype=torch.bool)
    keep[[3, 17]] = False
    broken = {k: t.clone() for k, t in healthy.items()}
    broken[name][3] = bad
    broken[name][17].view(-1)[-1] = bad
    broken = {k: t.requires_grad_() for k, t in broken.items()}
    picture, _, info = draw(rasterization, broken, scene)
    expected, _, _ = draw(rasterization, {k: t[keep] for k, t in healthy.items()}, scene)
    assert torch.equal(picture, expected)
    assert info["broken"] == 2
    assert "2 splats hold NaN or infinite values" in caplog.text
    picture.sum().backward()
    assert all(t.grad is not None and torch.isfinite(t.grad).all() for t in broken.values())


def test_absolute_gradients_are_sums_over_pixels() -> None:
    scene = Scene(12, 9, 7, size=6.0, degree=None, seed=13)
    tensors = scene.tensors()
    picture, _, info = draw(rasterization, {k: t.requires_grad_() for k, t in tensors.items()}, scene, absgrad=True)
    info["means2d"].retain_grad()
    weights = torch.rand(picture.shape, generator=torch.Generator().manual_seed(3)) - 0.4
    (picture * weights).sum().backward()

    means2d = info["means2d"][0].detach().double().requires_grad_()
    conics, opacities = info["conics"][0].detach().double(), info["opacities"][0].detach().double()
    order = torch.argsort(info["depths"][0].detach())
    matrices = torch.stack([conics[:, :2], conics[:, 1:]], 1)
    exact, _ = _blend(
        means2d[order], matrices[order], opacities[order], tensors["colors"].detach().double()[order],
        torch.zeros(3, dtype=torch.float64), scene.width, scene.height,
    )  # fmt: skip
    absolute, signed = torch.zeros_like(means2d), torch.zeros_like(means2d)
    for row in range(scene.height):
        for column in range(scene.width):
            part = (exact[row, column] * weights[0, row, column]).sum()
            (gradient,) = torch.autograd.grad(part, means2d, retain_graph=True)
            absolute += gradient.abs()
            signed += gradient
    assert (info["means2d"].absgrad[0] - absolute).norm() <= GRADIENT_ERROR * absolute.norm()
    assert (info["means2d"].grad[0] - signed).norm() <= GRADIENT_ERROR * signed.norm()


@pytest.mark.parametrize("labels", [1, 3, 6])
@pytest.mark.parametrize("opacity", [None, 0.99])
def test_blending_weights_are_sums_of_alpha_times_transmittance(labels: int, opacity: float | None) -> None:
    scene = Scene(50, 30, 20, degree=None, channels=50, cameras=2, seed=14)
    tensors = scene.tensors()
    arguments = [tensors[k] for k in ("means", "quats", "scales", "opacities")]
    if opacity is not None:  # pixels are finished before their last splat
        arguments[3] = torch.full_like(arguments[3], opacity)
    viewmats, intrinsics, width, height = scene.views()
    # one channel a splat: the picture's channels are its weights
    exact, _, _ = brute_force.rasterization(*arguments, torch.eye(50), viewmats, intrinsics, width, height)
    counts = torch.rand((2, height, width, labels), generator=torch.Generator().manual_seed(1))
    sums = torch.einsum("chwn,chwe->ne", exact, counts.to(exact.dtype))
    weights = blending_weights(*arguments, viewmats, intrinsics, counts)
    assert (weights - sums).abs().max() <= 1e-4 * sums.max()


def test_the_blend_stops_at_a_surface() -> None:
    scene = Scene(300, 50, 40, size=20.0, cameras=2, seed=17)
    tensors = scene.tensors()
    surface = 2.0 + 6.0 * torch.rand((2, 40, 50), generator=torch.Generator().manual_seed(4))
    surface[:, :10] = torch.inf
    surface[:, 30:] = 0.5  # nearer than every splat
    picture, alpha, _ = draw(rasterization, tensors, scene, surface_depths=surface, render_mode="RGB+ED")
    exact, exact_alpha, _ = draw(
        brute_force.rasterization, tensors, scene, surface_depths=surface, render_mode="RGB+ED"
    )
    assert (picture - exact).abs().max() <= PICTURE_ERROR * exact.abs().max()
    assert (alpha - exact_alpha).abs().max() <= PICTURE_ERROR
    assert alpha[:, 30:].abs().max() == 0
    whole, _, _ = draw(rasterization, tensors, scene, render_mode="RGB+ED")
    assert torch.equal(picture[:, :10], whole[:, :10])
    with pytest.raises(ValueError, match="no gradients"):
        draw(rasterization, {k: t.requires_grad_() for k, t in tensors.items()}, scene, surface_depths=surface)


@pytest.mark.parametrize("channels", [None, 6], ids=["colours and depth", "channels in two chunks"])
def test_four_samples_of_a_surface_are_the_mean_of_four_pictures(channels: int | None) -> None:
    scene = Scene(300, 50, 40, size=20.0, cameras=2, seed=18)
    if channels is not None:
        scene = replace(scene, degree=None, channels=channels)
    tensors, mode = scene.tensors(), "RGB" if channels else "RGB+ED"
    surface = 2.0 + 6.0 * torch.rand((2, 40, 50, 4), generator=torch.Generator().manual_seed(5))
    surface[:, :10] = torch.inf
    surface[:, 20:30, :, 1:] = torch.inf  # the edge of something before nothing
    surface[:, 35:] = 0.5  # nearer than every splat
    picture, alpha, _ = draw(rasterization, tensors, scene, surface_depths=surface, render_mode=mode)
    exact, exact_alpha, _ = draw(brute_force.rasterization, tensors, scene, surface_depths=surface, render_mode=mode)
    assert (picture - exact).abs().max() <= PICTURE_ERROR * exact.abs().max()
    assert (alpha - exact_alpha).abs().max() <= PICTURE_ERROR
    parts = [draw(rasterization, tensors, scene, surface_depths=surface[..., s], render_mode="RGB") for s in range(4)]
    mean = torch.stack([part[0] for part in parts]).mean(0)
    assert (picture[..., : mean.shape[-1]] - mean).abs().max() <= PICTURE_ERROR * exact.abs().max()
    assert (parts[0][0] - mean).abs().max() > 0.05, "the samples do not differ, so that this shows nothing"


def test_colours_do_not_depend_on_how_coefficients_are_handed_over() -> None:
    scene = Scene(60, 30, 20, seed=15)
    tensors = scene.tensors()
    whole = torch.cat([tensors["sh0"], tensors["sh_rest"]], 1)
    arguments = [tensors[k] for k in ("means", "quats", "scales", "opacities")]
    pair, _, _ = draw(rasterization, tensors, scene)
    single, _, _ = rasterization(*arguments, whole, *scene.views(), sh_degree=3)
    assert torch.equal(pair, single)


def test_lower_degree_ignores_higher_coefficients() -> None:
    scene = replace(Scene(60, 30, 20, seed=16), degree=3)
    tensors = {k: t.requires_grad_() for k, t in scene.tensors().items()}
    picture, _, _ = draw(rasterization, tensors, replace(scene, degree=1))
    picture.sum().backward()
    gradient = tensors["sh_rest"].grad
    assert gradient is not None
    assert gradient[:, 3:].abs().max() == 0
    assert gradient[:, :3].abs().max() > 0
