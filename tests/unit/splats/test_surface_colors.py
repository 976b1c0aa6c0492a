"""Splats in the colours of their normals and of their depth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.marked import MarkedRepresentation
from backend.splats.rendering import SceneObject, draw_scene
from backend.splats.representation import CloudRepresentation, Splats
from backend.splats.surface_axes import SurfaceAxes, shortest_axes, turns_of
from backend.splats.surface_colors import FARTHEST, NEAREST, in_depth, in_normals, visible_range
from tests.made_splats import discs, sphere

BALL = sphere(1.0, 6000)
MIRRORED = np.diag([-1.0, 1.0, 1.0, 1.0])
TURNED = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
STRETCHED = np.diag([2.0, 1.0, 0.7, 1.0])
SMALL = np.diag([0.5, 0.5, 0.5, 1.0])


def camera(distance: float = 5.0, **changes) -> Camera:
    """Looks along z from below, so that x is to the right and y downward in the picture."""
    matrix = np.eye(4)
    matrix[2, 3] = distance
    return replace(Camera(matrix, fx=110.0, fy=110.0, cx=48.0, cy=40.0, width=96, height=80), **changes)


def placed(splats: SplatCloud, matrix: np.ndarray | None = None, *, away: float = 0.0) -> SceneObject:
    stands = np.eye(4) if matrix is None else matrix.copy()
    stands[2, 3] += away
    return SceneObject(CloudRepresentation(splats, "cpu"), stands)


def wall(z: float) -> SplatCloud:
    steps = np.linspace(-6, 6, 61)
    x, y = (grid.ravel() for grid in np.meshgrid(steps, steps))
    means = np.stack([x, y, np.full_like(x, z)], -1)
    return discs(means, np.tile([0.0, 0, 1], (len(x), 1)), 0.2, np.full((len(x), 3), 0.5))


def seen_points(depth: torch.Tensor, by: Camera) -> np.ndarray:
    """Where in the world each pixel's depth is, [H, W, 3]."""
    row, column = np.mgrid[0 : by.height, 0 : by.width] + 0.5
    away = np.ones_like(row) if by.orthographic else depth.numpy()
    x, y = (column - by.cx) / by.fx * away, (row - by.cy) / by.fy * away
    return (np.stack([x, y, depth.numpy()], -1) - by.camera_from_world[:3, 3]) @ by.camera_from_world[:3, :3]


@pytest.mark.parametrize("matrix", [np.eye(4), TURNED, MIRRORED, STRETCHED, SMALL])
@pytest.mark.parametrize("orthographic", [False, True])
def test_normals_are_those_of_the_surface_in_the_world_and_look_at_the_camera(
    matrix: np.ndarray, orthographic: bool
) -> None:
    by = camera(orthographic=orthographic, **({"fx": 40.0, "fy": 40.0} if orthographic else {}))
    drawing = draw_scene([in_normals(placed(BALL, matrix), SurfaceAxes())], by, device="cpu", depth=True)
    assert drawing.depth is not None
    solid = (drawing.alpha > 0.97).numpy()
    found = 2 * (drawing.color / drawing.alpha.clamp_min(1e-6)[..., None]).numpy() - 1
    on_ball = seen_points(drawing.depth, by) @ np.linalg.inv(matrix[:3, :3]).T  # its normals are its points
    wanted = on_ball @ np.linalg.inv(matrix[:3, :3])
    cosines = (found * wanted).sum(-1) / np.linalg.norm(found, axis=-1) / np.linalg.norm(wanted, axis=-1)
    assert solid.sum() > 400 and np.degrees(np.arccos(np.median(cosines[solid]))) < 8
    assert found[solid][:, 2].mean() < -0.5


def test_axes_of_covariances_are_those_of_scales_and_turns_and_are_kept() -> None:
    generator = torch.Generator().manual_seed(3)
    quats, scales = torch.randn(500, 4, generator=generator), 0.1 + torch.rand(500, 3, generator=generator)
    turned = turns_of(quats) * scales[:, None]
    nothing = torch.zeros(500, 3)
    splats = Splats(nothing, None, None, turned @ turned.transpose(1, 2), nothing[:, 0], nothing, None)
    axes = SurfaceAxes(most=2)
    found = axes.of(splats)
    assert ((found * shortest_axes(quats, scales)).sum(-1).abs() > 0.99).float().mean() > 0.97
    assert axes.of(splats) is found
    for _ in range(2):
        axes.of(replace(splats, covariances=splats.covariances.clone()))  # type: ignore[union-attr]
    assert axes.of(splats) is not found, "only the last two are kept"


def test_depth_is_a_grey_from_the_nearest_to_the_farthest_that_is_seen() -> None:
    by = camera()
    item = placed(BALL)
    shown = visible_range([item], by, device="cpu")
    assert shown.nearest == pytest.approx(4.0, abs=0.05) and 4.6 < shown.farthest < 5.05
    drawing = draw_scene([in_depth(item, by, shown)], by, device="cpu", depth=True)
    assert drawing.depth is not None
    solid = (drawing.alpha > 0.97) & (drawing.depth > shown.nearest) & (drawing.depth < shown.farthest - 0.1)
    grey = drawing.color / drawing.alpha.clamp_min(1e-6)[..., None]
    place = (drawing.depth - shown.nearest) / (shown.farthest - shown.nearest)
    wanted = NEAREST + (FARTHEST - NEAREST) * place
    assert solid.sum() > 800 and (grey - wanted[..., None])[solid].abs().max() < 0.03


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_the_range_is_that_of_all_objects_and_of_nothing_that_is_covered_or_outside(scale: float) -> None:
    by, half = camera(), np.diag([scale, scale, scale, 1.0])
    far = placed(wall(3.0 / scale), half)
    shown = visible_range([placed(BALL), far], by, device="cpu")
    assert shown.nearest == pytest.approx(4.0, abs=0.1) and shown.farthest == pytest.approx(8.0, abs=0.1)
    covered = visible_range([placed(wall(0.0), np.diag([2.0, 2, 1, 1])), far], by, device="cpu")
    assert covered.farthest == pytest.approx(5.0, abs=0.1)
    beside = placed(BALL, away=-20.0)
    assert visible_range([placed(BALL), beside], by, device="cpu").farthest < 5.05
    with_two = draw_scene([in_depth(item, by, shown) for item in (placed(BALL), far)], by, device="cpu")
    middle, corner = with_two.color[40, 48, 0], with_two.color[6, 48, 0] / with_two.alpha[6, 48]
    assert middle > 0.9 and corner == pytest.approx(FARTHEST, abs=0.05)


def test_where_nothing_is_seen_the_picture_is_empty() -> None:
    by = camera()
    for items in ([], [placed(BALL, away=-20.0)]):
        shown = visible_range(items, by, device="cpu")
        assert shown.nearest < shown.farthest
        assert not draw_scene([in_depth(item, by, shown) for item in items], by, device="cpu").alpha.any()


def test_what_is_selected_is_tinted_and_what_is_hidden_is_gone() -> None:
    by, right = camera(), BALL.means[:, 0] > 0.1
    nothing = np.zeros(len(BALL), bool)

    def picture(selected: np.ndarray, hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        marked = MarkedRepresentation(CloudRepresentation(BALL, "cpu"), selected, hidden, "cpu")
        colored = in_normals(SceneObject(marked, np.eye(4)), SurfaceAxes())
        drawing = draw_scene([colored], by, device="cpu")
        return drawing.color.numpy(), drawing.alpha.numpy()

    plain, tinted = picture(nothing, nothing)[0], picture(right, nothing)[0]
    left_side, right_side = (slice(30, 50), slice(28, 44)), (slice(30, 50), slice(56, 66))
    np.testing.assert_allclose(tinted[left_side], plain[left_side], atol=1e-6)
    assert (tinted[right_side][..., 0] > plain[right_side][..., 0] + 0.1).all()
    assert picture(nothing, np.ones(len(BALL), bool))[1].max() == 0
    hollow = picture(nothing, BALL.means[:, 2] < 0)[0]  # its far side is seen from within
    assert (hollow[40, 48] * 2 - 1)[2] < -0.9, "and is turned to the camera"
