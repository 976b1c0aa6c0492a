"""Which way is up, from how the cameras of a capture stand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.captures import Capture, View
from backend.jobs.upright import upward
from backend.splats.cameras import Camera


def capture(ups: np.ndarray, dialect: str = "colmap") -> Capture:
    """ups: [V, 3] unit."""
    views = []
    for number, up in enumerate(ups):
        right = np.cross(up, (0.3, 0.5, 0.9))
        right /= np.linalg.norm(right)
        matrix = np.eye(4)
        matrix[:3, :3] = np.stack([right, -up, np.cross(right, -up)])
        name = f"{number}.png"
        views.append(View(name, Path(name), Camera(matrix, 10.0, 10.0, 5.0, 5.0, 10, 10)))
    return Capture(Path("."), dialect, tuple(views), ())


def leaning(axis: tuple[float, float, float], degrees: float, count: int = 40) -> np.ndarray:
    around = np.random.default_rng(0).normal(size=(count, 3))
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    return Rotation.from_rotvec(np.radians(degrees) * around).apply(axis)


def test_the_mean_of_the_cameras_is_up() -> None:
    wanted = np.array([0.6, 0.8, 0.0])
    found = upward(capture(leaning((0.6, 0.8, 0.0), 15)))
    assert np.dot(found, wanted) > 0.99 and np.linalg.norm(found) == pytest.approx(1)


def test_cameras_that_stand_all_ways_say_nothing() -> None:
    every_way = np.concatenate([np.eye(3), -np.eye(3)])
    assert upward(capture(every_way)) == (0, 0, 0)
    assert upward(capture(np.zeros((0, 3)))) == (0, 0, 0)


def test_the_z_axis_of_a_transforms_file_is_taken_exactly() -> None:
    tilted = leaning((0.0, 0.3, 0.954), 5)
    assert upward(capture(tilted, "transforms")) == (0.0, 0.0, 1.0)
    assert upward(capture(tilted, "colmap"))[1] > 0.2
    assert upward(capture(leaning((0.0, 1.0, 0.0), 5), "transforms"))[1] > 0.9, "unless the cameras stand otherwise"
