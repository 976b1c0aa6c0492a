"""Labels from masks: the best there are by brute force, and right where masks are wrong in places."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.selection.flash_splat import UNKNOWN, Masked, belongs, best_labels, confidences, label_sums
from backend.selection.in_picture import Look, contributions, labelled_contributions, pointed_at
from backend.selection.on_screen import on_surface, seen
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.raster import rasterization
from shared_protocol.errors import UserError


def looking_from(angle: float, *, pixels: int = 64, distance: float = 6.0, orthographic: bool = False) -> Camera:
    """At the origin, from around the y axis."""
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    pose[2, 3] = distance
    focal = pixels / 6 if orthographic else pixels
    return Camera(pose, focal, focal, pixels / 2, pixels / 2, pixels, pixels, orthographic)


def look(angle: float, **more: object) -> Look:
    return Look(looking_from(angle, **more), np.eye(4), 0.01, 1e10)  # type: ignore[arg-type]


def blobs(centres: list[tuple[float, float, float]], count: int, seed: int = 0) -> tuple[SplatCloud, np.ndarray]:
    """Balls of splats, and which ball each belongs to, from 1 on."""
    random = np.random.default_rng(seed)
    of = np.repeat(np.arange(len(centres)), count)
    means = np.array(centres)[of] + 0.3 * random.normal(size=(len(of), 3))
    return SplatCloud(
        means.astype(np.float32),
        random.normal(size=(len(of), 4)).astype(np.float32),
        np.log(random.uniform(0.03, 0.1, (len(of), 3))).astype(np.float32),
        random.normal(1, 1, len(of)).astype(np.float32),
        np.zeros((len(of), 1, 3), np.float32),
    ), (of + 1).astype(np.uint8)


def pictured_labels(cloud: SplatCloud, labels: np.ndarray, view: Look) -> np.ndarray:
    """uint8 [H, W]: the label that is seen in each pixel; 0 where little is."""
    amounts = []
    for label in range(1, int(labels.max()) + 1):
        amounts.append(_label_picture(cloud, labels == label, view))
    stack = np.stack([1 - sum(amounts), *amounts])
    return stack.argmax(axis=0).astype(np.uint8)


def _label_picture(cloud: SplatCloud, marked: np.ndarray, view: Look) -> np.ndarray:
    picture, _, _ = rasterization(
        torch.from_numpy(cloud.means), torch.from_numpy(cloud.quats), torch.from_numpy(cloud.log_scales).exp(),
        torch.from_numpy(cloud.opacity_logits).sigmoid(), torch.from_numpy(marked.astype(np.float32))[:, None],
        torch.tensor(view.camera.camera_from_world, dtype=torch.float32)[None],
        torch.tensor(view.camera.intrinsics, dtype=torch.float32)[None],
        view.camera.width, view.camera.height,
    )  # fmt: skip
    return picture[0, ..., 0].numpy()


def test_labels_are_the_best_of_all_there_could_be() -> None:
    random = np.random.default_rng(4)
    for trial in range(6):
        cloud, _ = blobs([(0, 0, 0)], 9, seed=trial)
        views = [
            Masked(look(angle, pixels=24), (random.random((24, 24)) < 0.5).astype(np.uint8)) for angle in (0.0, 1.3)
        ]
        # [V, N, H*W]: how much of each splat is in each pixel, one splat at a time.
        shown = np.array(
            [[_label_picture(cloud, np.arange(9) == i, view.look).ravel() for i in range(9)] for view in views]
        )

        def cost(labels: np.ndarray, shown: np.ndarray = shown, views: list[Masked] = views) -> float:
            return sum(
                np.abs(labels @ part - view.labels.ravel()).sum() for part, view in zip(shown, views, strict=True)
            )

        found = belongs(label_sums(cloud, views, "cpu"), 1)
        least = min(cost(np.array(labels)) for labels in itertools.product((0.0, 1.0), repeat=9))
        assert cost(found.astype(float)) == pytest.approx(least, abs=1e-3)


def test_objects_are_told_apart_although_a_tenth_of_the_masks_pixels_is_wrong() -> None:
    cloud, truth = blobs([(-0.8, 0, 0), (0.8, 0.1, 0.3), (0, 0.9, -0.6)], 500)
    random, views = np.random.default_rng(0), []
    for angle in np.linspace(0, 2 * np.pi, 12, endpoint=False):
        mask = pictured_labels(cloud, truth, look(angle, pixels=96))
        wrong = random.random(mask.shape) < 0.1
        mask[wrong] = random.integers(0, 4, int(wrong.sum()))
        views.append(Masked(look(angle, pixels=96), mask))
    sums = label_sums(cloud, views, "cpu")
    known = best_labels(sums) != UNKNOWN
    assert known.mean() > 0.9
    assert (best_labels(sums) == truth)[known].mean() > 0.97
    sure = confidences(sums)
    assert sure.min() >= 0 and sure.max() <= 1
    assert sure[known & (best_labels(sums) != truth)].mean() < sure[known & (best_labels(sums) == truth)].mean()
    counts = [belongs(sums, 2, bias).sum() for bias in (-1, -0.5, 0, 0.5, 0.9)]
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[-1]


def test_pixels_that_nobody_knows_count_for_nothing_and_what_is_not_seen_belongs_to_nothing() -> None:
    cloud, _ = blobs([(0, 0, 0)], 40)
    cloud = replace(
        cloud, means=np.concatenate([cloud.means[:-1], np.array([[0, 0, -50]], np.float32)])
    )  # behind the camera
    mask = np.full((64, 64), UNKNOWN, np.uint8)
    mask[:, :32] = 1
    sums = label_sums(cloud, [Masked(look(0.0), mask)], "cpu")
    assert (sums[:, 0] == 0).all()
    assert best_labels(sums)[-1] == UNKNOWN and confidences(sums)[-1] == 0 and not belongs(sums, 1, -1)[-1]
    with pytest.raises(UserError, match="no label 5"):
        belongs(sums, 5)


def test_masks_that_cannot_be_used_are_refused() -> None:
    cloud, _ = blobs([(0, 0, 0)], 5)
    with pytest.raises(UserError, match="no masks"):
        label_sums(cloud, [], "cpu")
    with pytest.raises(UserError, match=r"mask of view 1 is 9 x 8.*64 x 64"):
        label_sums(cloud, [Masked(look(0.0), np.ones((8, 9), np.uint8))], "cpu")
    with pytest.raises(UserError, match="show no object"):
        label_sums(cloud, [Masked(look(0.0), np.zeros((64, 64), np.uint8))], "cpu")


@pytest.mark.parametrize("orthographic", [False, True])
def test_what_a_splat_adds_to_a_picture_is_what_the_picture_is_made_of(orthographic: bool) -> None:
    cloud, _ = blobs([(0, 0, 0)], 60)
    view = look(0.4, orthographic=orthographic)
    stands = np.diag([1.5, 0.7, 1.0, 1.0])
    halves = torch.zeros(2, 64, 64)
    halves[0, :, :32], halves[1, :, 32:] = 1, 1
    placed = Look(view.camera, stands, 0.01, 1e10)
    both = labelled_contributions(cloud, placed, halves, "cpu")
    total = contributions(cloud, placed, "cpu")
    assert both.sum(axis=1) == pytest.approx(total, abs=1e-3) and total.max() > 1
    hidden = total >= np.sort(total)[-5]
    rest = contributions(cloud, replace(placed, hidden=hidden), "cpu")
    assert rest[hidden].max() < 1e-3 and (rest[~hidden] >= total[~hidden] - 1e-3).all()


def test_the_surface_and_what_is_pointed_at_are_in_front() -> None:
    means = np.array(
        [(0, 0, 0), (0, 0, 2), (1, 0, 2), (0, 0, -9)], np.float32
    )  # one before another, one beside, one behind us
    cloud = SplatCloud(
        means,
        np.tile(np.array((1, 0, 0, 0), np.float32), (4, 1)),
        np.full((4, 3), np.log(0.15), np.float32),
        np.full(4, 6, np.float32),
        np.zeros((4, 1, 3), np.float32),
    )
    view = look(0.0)
    pointed = pointed_at(cloud, view, (32.2, 32.4), "cpu")
    assert pointed is not None and pointed.index == 0 and pointed.depth == pytest.approx(6)
    beside = pointed_at(cloud, view, (32 + 64 / 8, 32.0), "cpu")
    assert beside is not None and beside.index == 2
    assert pointed_at(cloud, view, (2.0, 2.0), "cpu") is None
    hidden = replace(view, hidden=np.array([True, False, False, False]))
    through = pointed_at(cloud, hidden, (32.2, 32.4), "cpu")
    assert through is not None and through.index == 1 and through.depth == pytest.approx(8)
    depth = np.full((64, 64), 6.0, np.float32)
    depth[:, 38:] = 8
    places = seen(means, view.camera, np.eye(4), near=0.01, far=1e10)
    assert on_surface(places, np.full(4, 0.15), depth, np.ones_like(depth)).tolist() == [True, False, True, False]
