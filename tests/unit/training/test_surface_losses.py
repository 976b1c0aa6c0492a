"""The terms that lay splats on a surface, against plain loops in double precision, and what they do to splats."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from backend.methods.job import QuietJob
from backend.methods.registry import find
from backend.splats.neighbours import nearest_ones
from backend.splats.quaternions import matrices_to_quats
from backend.training.given_splats import GivenSplats
from backend.training.inputs import TrainingInputs, TrainingResult
from backend.training.losses import Comparison
from backend.training.photo_consistency import photo_consistency
from backend.training.representation import ActiveSplats
from backend.training.surface_losses import (
    between,
    density_error,
    depth_against_normals,
    flatness,
    near_the_surface,
    normal_disagreement,
    normal_error,
    opacity_entropy,
    sdf_error,
    surface_alignment,
)
from backend.training.surface_picture import draw_surface, shortest_axes, slopes
from backend.training.surface_samples import NearestSplats, SurfaceSamples, measured, points_around
from backend.training.views import Picture

MakeInputs = Callable[..., TrainingInputs]
SIDE = 40  # pixels
TILTED = np.array([0.35, -0.25, -1.0]) / np.linalg.norm([0.35, -0.25, -1.0])  # normal of a plane before the camera
DISTANCE = 3.0  # at which the optical axis meets it


def random_splats(count: int, seed: int = 0) -> ActiveSplats:
    """Double precision, close together before the camera."""
    rng = np.random.default_rng(seed)
    values = (
        rng.normal(scale=0.3, size=(count, 3)) + np.array([0, 0, DISTANCE]),
        rng.normal(size=(count, 4)),
        np.exp(rng.normal(scale=0.6, size=(count, 3)) - 1.6),
        rng.uniform(0.1, 0.95, count),
    )
    means, quats, scales, opacities = (torch.tensor(value, dtype=torch.float64) for value in values)
    return ActiveSplats(means, quats, scales, opacities, (torch.zeros(count, 1, 3), torch.zeros(count, 0, 3)))


def plane_of_splats(*, turned: float = 0.0, spacing: float = 0.06) -> ActiveSplats:
    """Flat round splats over a tilted plane, whose own normals are `turned` away from the plane's, in radians."""
    across = np.cross(TILTED, [0.0, 1.0, 0.0])
    across /= np.linalg.norm(across)
    along = np.cross(TILTED, across)
    steps = np.arange(-2.2, 2.2, spacing)
    a, b = (grid.reshape(-1, 1) for grid in np.meshgrid(steps, steps))
    means = a * across + b * along + (0, 0, DISTANCE)
    frame = Rotation.from_rotvec(turned * across).as_matrix() @ np.stack([across, along, TILTED], 1)
    quats = np.repeat(matrices_to_quats(frame[None]), len(means), 0)
    scales = np.repeat([[spacing, spacing, 1e-4]], len(means), 0)
    centres, turns, sizes = (torch.tensor(value, dtype=torch.float32) for value in (means, quats, scales))
    count = len(means)
    return ActiveSplats(
        centres, turns, sizes, torch.full((count,), 0.9), (torch.zeros(count, 1, 3), torch.zeros(count, 0, 3))
    )


def picture() -> Picture:
    intrinsics = torch.tensor([[[1.2 * SIDE, 0, SIDE / 2], [0, 1.2 * SIDE, SIDE / 2], [0, 0, 1]]])
    return Picture(torch.zeros(SIDE, SIDE, 3, dtype=torch.uint8), None, None, torch.eye(4)[None], intrinsics)


def seen_by_camera(splats: ActiveSplats, step: int = 0) -> Comparison:
    blank = torch.zeros(SIDE, SIDE, 3)
    visible = torch.ones(len(splats.means), dtype=torch.bool)
    return Comparison(
        blank, blank[..., 0], blank, None, splats,
        picture=picture(), visible=visible, step=step, near=0.01, generator=torch.Generator().manual_seed(2),
    )  # fmt: skip


def sampled(splats: ActiveSplats, count: int = 50) -> tuple[SurfaceSamples, np.ndarray, np.ndarray]:
    generator = torch.Generator().manual_seed(1)
    sources = torch.randint(len(splats.means), (count,), generator=generator)
    neighbours = nearest_ones(splats.means.detach().numpy(), 16)
    points = points_around(splats, sources, generator)
    return measured(splats, points, sources, torch.tensor(neighbours)), sources.numpy(), neighbours


def by_hand(splats: ActiveSplats, points: np.ndarray, sources: np.ndarray, neighbours: np.ndarray) -> dict[str, float]:
    """The density and the normal term of SuGaR, one point and one neighbour after the other."""
    means, quats, scales, opacities = (t.detach().numpy() for t in splats[:4])  # type: ignore[union-attr]
    turns = Rotation.from_quat(quats[:, [1, 2, 3, 0]]).as_matrix()
    thin, axis = scales.min(axis=1), [turns[i][:, scales[i].argmin()] for i in range(len(means))]
    off, turned = [], []
    for point, source in zip(points, sources, strict=True):
        density, weights, normals = 0.0, [], []
        for j in neighbours[source]:
            covariance = turns[j] @ np.diag(scales[j] ** 2) @ turns[j].T
            apart = point - means[j]
            share = opacities[j] * math.exp(-0.5 * apart @ np.linalg.solve(covariance, apart))
            density += share
            weights.append(share * abs(apart @ axis[j]) / thin[j] ** 2)
            normals.append(axis[j] if axis[j] @ axis[source] >= 0 else -axis[j])
        thickness = float(np.mean(thin[neighbours[source]]))
        height = (point - means[source]) @ axis[source]
        off.append(abs(density - math.exp(-0.5 * (height / thickness) ** 2)))
        mean = np.average(normals, axis=0, weights=weights)
        turned.append(((axis[source] - mean) ** 2).sum())
    return {"density": float(np.mean(off)), "normals": float(np.mean(turned))}


def test_density_and_normals_are_those_of_plain_loops() -> None:
    splats = random_splats(40)
    samples, sources, neighbours = sampled(splats)
    truth = by_hand(splats, samples.points.numpy(), sources, neighbours)
    assert float(density_error(seen_by_camera(splats), samples)) == pytest.approx(truth["density"], rel=1e-9)
    assert float(normal_error(samples)) == pytest.approx(truth["normals"], rel=1e-9)


def test_gradients_are_those_of_finite_differences() -> None:
    splats, generator = random_splats(24), torch.Generator().manual_seed(1)
    sources = torch.randint(24, (12,), generator=generator)
    neighbours = torch.tensor(nearest_ones(splats.means.numpy(), 16))
    points = points_around(splats, sources, generator)

    def density(*shapes: Tensor) -> Tensor:
        changed = splats._replace(means=shapes[0], quats=shapes[1], scales=shapes[2], opacities=shapes[3])
        return measured(changed, points, sources, neighbours).density

    leaves = [t.clone().requires_grad_() for t in splats[:4]]  # type: ignore[union-attr]
    assert torch.autograd.gradcheck(density, leaves, atol=1e-6)

    def entropy(opacities: Tensor) -> Tensor:
        return opacity_entropy(0.1)(seen_by_camera(splats._replace(opacities=opacities)))

    assert torch.autograd.gradcheck(entropy, [leaves[3]])


def test_entropy_is_least_for_clear_and_opaque_splats() -> None:
    def of(value: float) -> float:
        splats = random_splats(5)
        return float(opacity_entropy(1.0)(seen_by_camera(splats._replace(opacities=torch.full((5,), value)))))

    assert of(0.5) == pytest.approx(math.log(2), rel=1e-5)
    assert of(0.01) < of(0.2) < of(0.5) > of(0.9) > of(0.99)


def test_only_what_is_seen_counts() -> None:
    splats = random_splats(6)
    assert splats.scales is not None
    seen = replace(seen_by_camera(splats), visible=torch.arange(6) < 2)
    assert float(flatness(2.0)(seen)) == pytest.approx(2 * float(splats.scales[:2].amin(dim=1).mean()))
    opacities = splats.opacities[:2]
    entropy = -(opacities * opacities.log() + (1 - opacities) * (1 - opacities).log()).mean()
    assert float(opacity_entropy(1.0)(seen)) == pytest.approx(float(entropy), rel=1e-6)
    nothing = replace(seen_by_camera(plane_of_splats()), visible=torch.zeros(5476, dtype=torch.bool))
    terms = [opacity_entropy(1.0), flatness(1.0)]
    terms += [surface_alignment(f, samples=5, every=9, field_weight=1, normal_weight=1) for f in ("density", "sdf")]
    assert [float(term(nothing)) for term in terms] == [0.0] * 4


def test_a_part_counts_between_two_steps() -> None:
    part, splats = between(flatness(1.0), 3, 5), random_splats(3)
    assert [float(part(seen_by_camera(splats, step))) > 0 for step in range(7)] == [False] * 3 + [True] * 2 + [
        False
    ] * 2


def test_a_part_without_weight_draws_no_surface(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("losses", "photo_consistency"):
        monkeypatch.setattr(
            f"backend.training.{module}.draw_surface", lambda *_, **__: pytest.fail("drawn for nothing")
        )
    seen = replace(seen_by_camera(random_splats(3)), neighbours=(picture(),))
    assert [float(part(seen)) for part in (depth_against_normals(0.0), photo_consistency(0.0, samples=9))] == [0.0, 0.0]


def test_depth_and_normals_of_a_plane_are_drawn() -> None:
    drawn = draw_surface(plane_of_splats(), picture(), near=0.01)
    middle = slice(SIDE // 4, 3 * SIDE // 4)
    assert drawn.known[middle, middle].all()
    rays = drawn.rays.numpy()
    truth = DISTANCE * TILTED[2] / (rays @ TILTED)  # where the ray meets the plane
    assert np.abs(drawn.depth.numpy() - truth)[middle, middle].max() < 2e-3
    assert (drawn.normals[middle, middle].numpy() @ TILTED).min() > 0.9999
    from_depth, known = slopes(drawn)
    assert known[middle, middle].all() and (from_depth[middle, middle].numpy() @ TILTED).min() > 0.999
    assert float(normal_disagreement(drawn)) < 1e-3


def test_turned_splats_disagree_with_their_depth_and_learn_not_to() -> None:
    splats = plane_of_splats(turned=0.5)
    assert splats.quats is not None
    quats = splats.quats.clone().requires_grad_()
    optimizer = torch.optim.Adam([quats], lr=0.02)
    cosines, errors = [], []
    for _ in range(60):
        changed = splats._replace(quats=quats)
        error = normal_disagreement(draw_surface(changed, picture(), near=0.01))
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
        near_axis = splats.means[:, :2].norm(dim=1) < 0.6
        cosines.append(float((shortest_axes(changed).detach()[near_axis] @ torch.tensor(TILTED).float()).abs().mean()))
    assert errors[0] > 0.05 and errors[-1] < errors[0] / 10
    assert cosines[0] < 0.9 and cosines[-1] > 0.98


def test_distance_to_the_surface_is_that_of_the_drawn_depth() -> None:
    splats = plane_of_splats()
    seen = seen_by_camera(splats)
    near = near_the_surface(seen)
    in_sight = (splats.means[:, :2] / splats.means[:, 2:]).abs().amax(dim=1) < 0.38
    assert near[in_sight].float().mean() > 0.95 and not near[~in_sight & (splats.means[:, 2] < 1)].any()
    sources = (near & in_sight).nonzero()[:40, 0]
    neighbours = torch.tensor(nearest_ones(splats.means.numpy(), 16))
    assert splats.scales is not None
    for lifted in (0.0, 0.3):  # towards the camera, off the drawn surface
        points = splats.means[sources] + lifted * torch.tensor([0.0, 0.0, -1.0])
        samples = measured(splats, points, sources, neighbours)
        thin, error = float(splats.scales.amin()), float(sdf_error(seen, samples))
        wanted = []
        for density in (samples.density.double() / 16).clamp(1e-12, 1 - 1e-6).tolist():
            wanted.append(abs(thin * math.sqrt(-2 * math.log(density)) - lifted) / 0.1)
        assert error == pytest.approx(float(np.mean(wanted)), abs=0.12)  # a pixel's slope
        assert (error < 0.2) == (lifted == 0.0)


def test_neighbours_are_found_again_when_it_is_time_or_splats_changed() -> None:
    splats, nearest = random_splats(20), NearestSplats(every=10)
    first = nearest.of(splats, 0)
    assert first.shape == (20, 16) and (first[:, 0] == torch.arange(20)).all()
    moved = splats._replace(means=splats.means.flip(0))
    assert nearest.of(moved, 9) is first
    assert not torch.equal(nearest.of(moved, 10), first)
    assert nearest.of(random_splats(7), 11).shape == (7, 7)


@pytest.mark.parametrize("field", ["density", "sdf"])
def test_alignment_turns_a_thick_skin_into_its_plane(field: str) -> None:
    """Thick splats around a plane, as dense as a surface ought to be: the term alone turns them into the plane."""
    plane, generator = plane_of_splats(spacing=0.12), torch.Generator().manual_seed(0)
    assert plane.quats is not None and plane.scales is not None
    quats = plane.quats + 0.15 * torch.randn(plane.quats.shape, generator=generator)
    log_scales = (0.42 * plane.scales).clamp_min(0.02).log()
    values = [t.requires_grad_() for t in (plane.means + 0, quats, log_scales)]
    optimizer = torch.optim.Adam(values, lr=0.003)
    term = surface_alignment(field, samples=2000, every=50, field_weight=1.0, normal_weight=1.0)
    middle = plane.means[:, :2].norm(dim=1) < 0.7

    def figures() -> tuple[float, float]:
        scales = values[2].detach().exp()
        ratio = (scales.amin(dim=1) / scales.amax(dim=1))[middle].mean()
        axes = shortest_axes(plane._replace(quats=values[1].detach(), scales=scales))
        return float(ratio), float((axes[middle] @ torch.tensor(TILTED).float()).abs().mean())

    before = figures()
    for step in range(60):
        splats = plane._replace(means=values[0], quats=values[1], scales=values[2].exp())
        optimizer.zero_grad()
        term(seen_by_camera(splats, step)).backward()
        optimizer.step()
    after = figures()
    assert after[0] < before[0], "not flatter"
    assert 1 - after[1] < 0.8 * (1 - before[1]), "normals are no better"


def trained(method: str, inputs: TrainingInputs, **settings) -> TrainingResult:
    found = find(method)
    return found.run(found.settings_type(background="black", **settings), inputs, QuietJob())


def thinness(result: TrainingResult) -> float:
    scales = np.exp(result.cloud.log_scales)
    return float((scales.min(axis=1) / scales.max(axis=1)).mean())


@pytest.mark.parametrize("control", ["mcmc", "default"])
def test_agreeing_normals_flatten_under_any_density_control(ball_inputs: MakeInputs, control: str) -> None:
    inputs = ball_inputs(steps=200)
    plain = trained("surface_normals", inputs, control=control, agree_weight=0.0, flat_weight=0.0)
    made = trained("surface_normals", inputs, control=control)
    assert thinness(made) < 0.6 * thinness(plain)


@pytest.mark.parametrize("field", ["density", "sdf"])
def test_sugar_goes_on_from_finished_splats(ball_inputs: MakeInputs, field: str) -> None:
    finished = trained("default", ball_inputs(steps=150))
    inputs = replace(ball_inputs(steps=150), start=GivenSplats(finished.cloud))
    made = trained("sugar_surface", inputs, field=field, samples=2000)
    assert made.finished and 0 < len(made.cloud) <= len(finished.cloud)
    assert made.origins is not None and len(made.origins) == len(made.cloud)
    assert thinness(made) < thinness(finished)
    opacities = 1 / (1 + np.exp(-made.cloud.opacity_logits))
    assert np.median(opacities) > 0.5


def test_faint_splats_go_once_and_none_come_after(ball_inputs: MakeInputs) -> None:
    class Counting(QuietJob):
        def __init__(self) -> None:
            self.counts: list[int] = []

        def progress(self, step: int, steps: int, **figures: float) -> None:
            self.counts.append(int(figures["splats"]))

    job, found = Counting(), find("sugar_surface")
    found.run(found.settings_type(samples=500, least_opacity=0.3), ball_inputs(steps=100), job)
    at = 60  # 9/15 of the steps
    assert job.counts[at] < job.counts[at - 1]
    assert set(job.counts[at:]) == {job.counts[at]}
