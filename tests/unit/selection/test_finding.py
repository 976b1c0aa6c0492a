"""Splats by outline, brush, volume, colour and numbers, against definitions in plain Python."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from backend.selection import by_value, on_screen
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from shared_protocol.errors import UserError


def cloud(count: int = 400, seed: int = 0) -> SplatCloud:
    random = np.random.default_rng(seed)
    return SplatCloud(
        random.normal(size=(count, 3)).astype(np.float32),
        random.normal(size=(count, 4)).astype(np.float32),
        random.uniform(-4, -1, (count, 3)).astype(np.float32),
        random.normal(size=count).astype(np.float32),
        random.normal(size=(count, 4, 3)).astype(np.float32),
    )


def camera(*, orthographic: bool = False) -> Camera:
    pose = np.eye(4)
    pose[2, 3] = 1.0  # some splats are behind it
    return Camera(pose, 60, 70, 50, 40, 100, 80, orthographic)


STANDS = np.array([[1.2, 0.1, 0, 0.2], [0, 0.8, 0.3, -0.1], [0, -0.2, 1, 0.3], [0, 0, 0, 1.0]])
LASSO = np.array([(10, 10), (90, 20), (30, 40), (85, 75), (15, 60)], np.float32)  # with a bay


def places(means: np.ndarray, seen_by: Camera) -> list[tuple[float, float] | None]:
    found: list[tuple[float, float] | None] = []
    for mean in means.astype(np.float64):
        x, y, z, _ = seen_by.camera_from_world @ STANDS @ (*mean, 1)
        w = 1 if seen_by.orthographic else z
        found.append((seen_by.fx * x / w + seen_by.cx, seen_by.fy * y / w + seen_by.cy) if z > 0.05 else None)
    return found


def winds_around(place: tuple[float, float], corners: np.ndarray) -> bool:
    """Whether the corners turn around a place, by their angles."""
    angles = np.arctan2(corners[:, 1] - place[1], corners[:, 0] - place[0])
    steps = np.diff(np.append(angles, angles[0]))
    return abs(((steps + np.pi) % (2 * np.pi) - np.pi).sum()) > np.pi


@pytest.mark.parametrize("orthographic", [False, True])
def test_what_is_seen_within_an_outline_is_found_and_nothing_behind_the_camera(orthographic: bool) -> None:
    splats, seen_by = cloud(), camera(orthographic=orthographic)
    expected = [place is not None and winds_around(place, LASSO) for place in places(splats.means, seen_by)]
    view = on_screen.seen(splats.means, seen_by, STANDS, near=0.05, far=1e10)
    found = on_screen.in_outline(view, LASSO)
    assert 20 < found.sum() < 380
    assert found.tolist() == expected


def test_a_wild_outline_and_a_long_stroke_find_what_their_definitions_say() -> None:
    """Of hundreds of pieces, many of them level, and with places in the very rows of corners."""
    random = np.random.default_rng(3)
    line = random.uniform(0, 100, (300, 2)).round().astype(np.float32)
    line[1::7, 1] = line[:-1:7, 1]
    dots = np.concatenate([random.uniform(-5, 105, (300, 2)), line[:50] + np.float32([0.25, 0])]).astype(np.float32)
    view = on_screen.Seen(dots, np.ones(len(dots), np.float32), np.ones(len(dots), bool))
    crossings = [
        sum((a[1] > y) != (b[1] > y) and x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0] for a, b in sides)
        for sides in [list(zip(line.astype(float), np.roll(line, 1, axis=0).astype(float), strict=True))]
        for x, y in dots.astype(float)
    ]
    assert on_screen.in_outline(view, line).tolist() == [crossed % 2 == 1 for crossed in crossings]
    starts, along = line[:-1].astype(float), np.diff(line.astype(float), axis=0)
    away = dots[:, None].astype(float) - starts
    share = ((away * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12)).clip(0, 1)
    nearest = np.linalg.norm(away - share[..., None] * along, axis=-1).min(axis=1)
    assert on_screen.under_brush(view, line, 1.5).tolist() == (nearest <= 1.5).tolist()


def test_a_brush_finds_what_is_near_its_path() -> None:
    splats, seen_by = cloud(), camera()
    path = np.array([(20, 20), (60, 40), (60, 70)], np.float32)
    samples = np.concatenate([np.linspace(a, b, 4000) for a, b in itertools.pairwise(path)])
    expected = [
        place is not None and np.linalg.norm(samples - place, axis=1).min() <= 9
        for place in places(splats.means, seen_by)
    ]
    view = on_screen.seen(splats.means, seen_by, STANDS, near=0.05, far=1e10)
    found = on_screen.under_brush(view, path, 9)
    assert found.sum() > 15 and found.tolist() == expected
    dab = on_screen.under_brush(view, path[:1], 9)
    assert dab.sum() < found.sum() and not (dab & ~found).any()


def test_volumes_that_stand_askew_hold_what_their_own_axes_say() -> None:
    splats = cloud()
    local = splats.means.astype(np.float64) @ np.linalg.inv(STANDS)[:3, :3].T + np.linalg.inv(STANDS)[:3, 3]
    assert by_value.in_box(splats.means, STANDS).tolist() == (np.abs(local) <= 1).all(axis=1).tolist()
    assert by_value.in_sphere(splats.means, STANDS).tolist() == (np.linalg.norm(local, axis=1) <= 1).tolist()


def test_colours_and_numbers_are_those_that_the_words_say() -> None:
    splats = cloud()
    colors = (0.5 + 0.28209479 * splats.sh[:, 0]).clip(0, 1)
    near = np.linalg.norm(colors - (0.4, 0.6, 0.5), axis=1) <= 0.3
    assert 0 < near.sum() < len(near)
    assert by_value.of_color(splats, (0.4, 0.6, 0.5), 0.3).tolist() == near.tolist()
    opacity = 1 / (1 + np.exp(-splats.opacity_logits.astype(float)))
    expected = (opacity >= 0.25) & (opacity <= 0.5)
    assert by_value.in_range(by_value.values_of(splats, "opacity"), 0.25, 0.5).tolist() == expected.tolist()
    sizes = np.sort(np.exp(splats.log_scales), axis=1)
    assert by_value.values_of(splats, "size") == pytest.approx(sizes[:, 2])
    assert by_value.values_of(splats, "elongation") == pytest.approx(sizes[:, 2] / sizes[:, 1], rel=1e-5)
    assert by_value.values_of(splats, "sh_energy") == pytest.approx(
        np.linalg.norm(splats.sh[:, 1:].reshape(len(splats), -1), axis=1), rel=1e-5
    )
    middle = np.median(splats.means, axis=0)
    assert by_value.values_of(splats, "distance") == pytest.approx(
        np.linalg.norm(splats.means - middle, axis=1), rel=1e-5
    )


def test_what_a_cloud_alone_does_not_tell_is_said() -> None:
    with pytest.raises(UserError, match="known in their own version only"):
        by_value.values_of(cloud(), "visibility")
