from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from backend.captures.capture import Photo, PointCloud
from backend.training.frame import SceneFrame
from backend.training.inputs import TrainingInputs
from backend.training.start import StartSplats, start_scales, start_splats


def begin(
    photos: Sequence[Photo], points: PointCloud | None, *, most: int = 200, count: int = 150, seed: int = 0
) -> StartSplats:
    frame = SceneFrame.around([photo.camera for photo in photos])
    generator = torch.Generator().manual_seed(seed)
    return start_splats(photos, points, frame, most_from_points=most, random_count=count, generator=generator)


def in_capture(start: StartSplats, photos: Sequence[Photo]) -> np.ndarray:
    frame = SceneFrame.around([photo.camera for photo in photos])
    return start.positions * frame.extent + frame.origin


def test_points_are_taken_as_they_are(ball_inputs: Callable[..., TrainingInputs]) -> None:
    inputs = ball_inputs()
    assert inputs.points is not None
    start = begin(inputs.train_photos, inputs.points)
    np.testing.assert_allclose(in_capture(start, inputs.train_photos), inputs.points.positions, atol=1e-5)
    np.testing.assert_allclose(start.colors, inputs.points.colors / 255, atol=1e-6)


def test_too_many_points_are_thinned_at_random(ball_inputs: Callable[..., TrainingInputs]) -> None:
    inputs = ball_inputs()
    one, same, other = (begin(inputs.train_photos, inputs.points, most=110, seed=seed) for seed in (1, 1, 2))
    assert len(one) == 110
    assert np.array_equal(one.positions, same.positions) and not np.array_equal(one.positions, other.positions)
    assert len(np.unique(one.positions, axis=0)) == 110


def test_broken_points_are_left_out(ball_inputs: Callable[..., TrainingInputs]) -> None:
    inputs = ball_inputs()
    assert inputs.points is not None
    positions = inputs.points.positions.copy()
    positions[0, 0], positions[1, 2] = np.nan, np.inf
    assert len(begin(inputs.train_photos, PointCloud(positions, inputs.points.colors))) == 118


def test_a_handful_of_points_is_joined_by_random_ones(ball_inputs: Callable[..., TrainingInputs]) -> None:
    inputs = ball_inputs()
    assert inputs.points is not None
    few = PointCloud(inputs.points.positions[:5], inputs.points.colors[:5])
    start = begin(inputs.train_photos, few)
    assert len(start) == 150
    assert np.abs(in_capture(start, inputs.train_photos)[:5] - few.positions).max() < 1e-4


def test_random_ones_join_the_points_of_a_cut_out_object(ball_inputs: Callable[..., TrainingInputs]) -> None:
    opaque, cut_out = ball_inputs(), ball_inputs(transparent=True)
    assert opaque.points is not None
    assert len(begin(opaque.train_photos, opaque.points)) == len(opaque.points.positions) == 120
    assert len(begin(cut_out.train_photos, opaque.points)) == 150


def test_random_splats_lie_where_photos_look(ball_inputs: Callable[..., TrainingInputs]) -> None:
    photos = ball_inputs().train_photos
    start = begin(photos, None)
    assert len(start) == 150
    positions = in_capture(start, photos)
    seen = np.zeros(len(positions))
    for photo in photos:
        camera = photo.camera
        x, y, z = (positions @ camera.camera_from_world[:3, :3].T + camera.camera_from_world[:3, 3]).T
        column, row = camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy
        seen += (z > 0) & (column > -0.1) & (column < camera.width + 0.1) & (row > -0.1) & (row < camera.height + 0.1)
    assert seen.min() >= 2


def test_random_splats_of_a_cut_out_object_lie_inside_its_outline(
    ball_inputs: Callable[..., TrainingInputs],
) -> None:
    photos = ball_inputs(transparent=True).train_photos
    start = begin(photos, None)
    assert len(start) == 150
    positions = in_capture(start, photos)
    to_nearest_ball = np.linalg.norm(positions[:, None] - 0.8 * np.eye(3), axis=2).min(axis=1)
    assert np.quantile(to_nearest_ball, 0.9) < 0.8  # balls of radius 0.6; six photos leave some corners
    assert to_nearest_ball.max() < 1.6
    # The colour is what the photos show there: each ball's own colour wins in its middle.
    ball = np.linalg.norm(positions[:, None] - 0.8 * np.eye(3), axis=2).argmin(axis=1)
    middle = to_nearest_ball < 0.3
    assert middle.any() and np.mean(start.colors[middle].argmax(axis=1) == ball[middle]) > 0.8


def test_parallel_cameras_scatter_too(ball_inputs: Callable[..., TrainingInputs]) -> None:
    photo = ball_inputs().train_photos[0]
    start = begin([photo, photo], None)
    assert len(start) == 150 and np.isfinite(start.scales).all()


def test_sizes_follow_the_neighbours() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), -1).reshape(-1, 3).astype(np.float32)
    np.testing.assert_allclose(start_scales(0.01 * grid), 0.01, rtol=1e-5)
    assert start_scales(grid * 1000).max() <= 0.5
    assert start_scales(np.zeros((5, 3), np.float32)).min() > 0
    assert start_scales(grid[:1]) == pytest.approx(0.5)
    assert len(start_scales(grid[:3])) == 3
