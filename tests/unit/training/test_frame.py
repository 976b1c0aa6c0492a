from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from backend.methods.job import QuietJob
from backend.methods.registry import find
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.training.frame import SceneFrame, focus_point
from backend.training.inputs import TrainingInputs


def ring(count: int = 8, radius: float = 3.0, at: tuple[float, float, float] = (5.0, -2.0, 1.0)) -> list[Camera]:
    """Cameras on a circle that look at its centre."""
    cameras = []
    for angle in np.linspace(0, 2 * np.pi, count, endpoint=False):
        forward = -np.array([np.cos(angle), np.sin(angle), 0.0])
        rotation = np.stack([np.cross(forward, [0, 0, 1.0]), [0, 0, -1.0], forward])
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ (np.array(at) - radius * forward)
        cameras.append(Camera(matrix, 50.0, 50.0, 20.0, 15.0, 40, 30))
    return cameras


def project(camera: Camera, points: np.ndarray) -> np.ndarray:
    x, y, z = (points @ camera.camera_from_world[:3, :3].T + camera.camera_from_world[:3, 3]).T
    return np.stack([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy], -1)


def test_cameras_span_one_unit_and_the_picture_stays() -> None:
    cameras = ring()
    frame = SceneFrame.around(cameras)
    assert frame.extent == pytest.approx(1.1 * 3.0)
    moved = [frame.camera(camera) for camera in cameras]
    assert max(np.linalg.norm(camera.centre) for camera in moved) == pytest.approx(1 / 1.1)
    points = np.random.default_rng(1).normal(size=(20, 3)) * 0.5 + [5.0, -2.0, 1.0]
    for before, after in zip(cameras, moved, strict=True):
        np.testing.assert_allclose(project(before, points), project(after, frame.points(points)), atol=1e-3)


def test_a_cloud_comes_back_to_the_frame_of_the_capture() -> None:
    frame = SceneFrame(np.array([1.0, 2.0, 3.0]), 4.0)
    zeros = np.zeros((1, 3), np.float32)
    cloud = SplatCloud(zeros + 0.5, np.zeros((1, 4), np.float32), zeros, zeros[:, 0], zeros[:, None])
    back = frame.cloud_to_capture(cloud)
    np.testing.assert_allclose(back.means, [[3.0, 4.0, 5.0]])
    np.testing.assert_allclose(np.exp(back.log_scales), 4.0, rtol=1e-6)


def test_cameras_in_one_place_take_the_extent_from_the_points() -> None:
    camera = ring(1)[0]
    assert SceneFrame.around([camera, camera]).extent == 1.0
    points = camera.centre + np.array([[100.0, 0, 0]] * 3)
    assert SceneFrame.around([camera, camera], points).extent == pytest.approx(2.0)


def test_focus_is_what_a_ring_looks_at() -> None:
    np.testing.assert_allclose(focus_point(ring()), [5.0, -2.0, 1.0], atol=1e-9)


def test_no_focus_for_parallel_cameras_nor_for_those_that_look_outwards() -> None:
    camera = ring(1)[0]
    assert focus_point([camera, camera]) is None
    turn = np.diag([-1.0, 1.0, -1.0])  # look the other way
    outwards = []
    for c in ring():
        matrix = np.eye(4)
        matrix[:3, :3] = turn @ c.camera_from_world[:3, :3]
        matrix[:3, 3] = -matrix[:3, :3] @ c.centre
        outwards.append(replace(c, camera_from_world=matrix))
    assert focus_point(outwards) is None


def test_a_power_of_two_larger_world_gives_the_same_splats_to_the_last_bit(
    ball_inputs: Callable[..., TrainingInputs],
) -> None:
    method = find("mcmc")
    small, large = (
        method.run(method.settings_type(), ball_inputs(scale=scale), QuietJob()).cloud for scale in (1.0, 128.0)
    )
    assert np.array_equal(small.sh, large.sh) and np.array_equal(small.opacity_logits, large.opacity_logits)
    np.testing.assert_allclose(large.means, 128 * small.means, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["default", "mcmc"])
def test_a_hundred_times_larger_world_is_trained_as_well(ball_inputs: Callable[..., TrainingInputs], name: str) -> None:
    method = find(name)
    small, large = (
        method.run(method.settings_type(), ball_inputs(60, scale=scale), QuietJob()) for scale in (1.0, 100.0)
    )
    assert abs(len(small.cloud) - len(large.cloud)) <= 0.02 * len(small.cloud)
    size = np.median(large.cloud.log_scales) - np.median(small.cloud.log_scales)
    assert size == pytest.approx(np.log(100.0), abs=0.05)
    assert large.loss == pytest.approx(small.loss, rel=0.1)
