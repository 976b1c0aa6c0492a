"""Where splats of several objects are seen, and in which order."""

from __future__ import annotations

import numpy as np
import pytest

from blender_addon.core import splat_order
from blender_addon.core.camera import as_matrix
from shared_protocol import things

FAR_AWAY = np.array([3e5, -2e5, 1e5])


def made_camera(near: float = 0.1, far: float = 100.0, at: tuple[float, ...] = (0.0, 0.0, -6.0)) -> things.ViewCamera:
    """Looks along +z from there."""
    pose = np.eye(4)
    pose[:3, 3] = -np.asarray(at)
    return things.ViewCamera(as_matrix(pose), fx=100, fy=100, cx=50, cy=50, width=100, height=100, near=near, far=far)


def made_object(
    first: int, count: int, offset: tuple[float, ...] = (0.0, 0.0, 0.0), seed: int = 0
) -> splat_order.Placed:
    random = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = random.normal(size=(3, 3)), offset
    return splat_order.Placed(random.normal(size=(count, 3)).astype(np.float32), first, matrix)


def world(placed: splat_order.Placed) -> np.ndarray:
    return placed.means @ placed.world_from_object[:3, :3].T + placed.world_from_object[:3, 3]


def test_all_splats_of_all_objects_come_by_falling_depth() -> None:
    placed = [made_object(0, 500, seed=1), made_object(500, 300, (0.5, 0, 1), seed=2), made_object(0, 500, seed=3)]
    seen = splat_order.seen_by(made_camera(near=5.0, far=8.0), placed, splat_order.entries_of(placed))
    numbers, owners = seen.order.astype(int).T
    depths = np.array([world(placed[o])[n - placed[o].first][2] + 6 for n, o in zip(numbers, owners, strict=True)])
    every = np.concatenate([world(item)[:, 2] + 6 for item in placed])
    assert len(depths) == ((every >= 5) & (every <= 8)).sum() and 0 < len(depths) < len(every)
    assert (np.diff(depths) <= 1e-5).all()
    assert len(np.unique(seen.order, axis=0)) == len(seen.order)


def test_rows_carry_splats_into_the_cameras_axes_also_far_from_the_origin() -> None:
    camera = made_camera(at=tuple(FAR_AWAY - (0, 0, 6)))
    placed = [made_object(0, 50, tuple(FAR_AWAY), seed=4)]
    rows = splat_order.seen_by(camera, placed, splat_order.entries_of(placed)).rows
    assert rows.shape == (splat_order.ROWS, 4) and rows.dtype == np.float32
    relative = (placed[0].means - rows[:3, 3]) - rows[3, :3]  # in single precision, as the graphics card does it
    seen = relative @ rows[:3, :3].T
    np.testing.assert_allclose(seen, world(placed[0]) - (FAR_AWAY - (0, 0, 6)), atol=1e-4)
    forward = placed[0].world_from_object[:3, :3] @ rows[4, :3]
    np.testing.assert_allclose(forward / np.linalg.norm(forward), (0, 0, 1), atol=1e-6)


def test_nothing_is_seen_of_nothing() -> None:
    seen = splat_order.seen_by(made_camera(), [], splat_order.entries_of([]))
    assert seen.order.shape == (0, 2) and seen.rows.shape == (0, 4)


@pytest.mark.parametrize(
    ("counts", "most", "drawn"),
    [([30, 70], 100, [30, 70]), ([300, 700], 100, [30, 70]), ([5, 100_000], 1000, [1, 999]), ([], 10, [])],
)
def test_objects_share_what_may_be_drawn(counts: list[int], most: int, drawn: list[int]) -> None:
    assert splat_order.shares(counts, most) == drawn
