"""A tiny scene to train on: seven photos of a few coloured balls and points on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.captures.capture import Photo, PointCloud
from backend.splats.cameras import Camera
from backend.training.inputs import TrainingInputs
from backend.training.plan import TrainingPlan

WIDTH, HEIGHT = 36, 28


def camera_at(angle: float, *, distance: float = 4.0, height: float = 1.0) -> Camera:
    """On a circle around the origin, looking at it."""
    centre = np.array([distance * np.cos(angle), distance * np.sin(angle), height])
    forward = -centre / np.linalg.norm(centre)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ centre
    return Camera(matrix, fx=40.0, fy=40.0, cx=WIDTH / 2, cy=HEIGHT / 2, width=WIDTH, height=HEIGHT)


def ball_photo(name: str, camera: Camera, *, transparent: bool) -> Photo:
    """Three balls around the origin, ray cast; the rest is grey, or transparent."""
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    rays = np.stack([(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones_like(rows)], -1)
    rays = rays @ camera.camera_from_world[:3, :3]
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    rgb = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    nearest = np.full((HEIGHT, WIDTH), np.inf)
    for axis in range(3):
        ball = 0.8 * np.eye(3)[axis]
        along = rays @ (ball - camera.centre)
        miss = np.linalg.norm(ball - camera.centre - along[..., None] * rays, axis=-1)
        hit = (miss < 0.6) & (along < nearest)
        nearest[hit] = along[hit]
        rgb[hit] = 255 * np.eye(3, dtype=np.uint8)[axis]
        alpha[hit] = 255
    return Photo(name, camera, rgb, alpha if transparent else None, None)


@pytest.fixture(scope="session")
def ball_inputs() -> Callable[..., TrainingInputs]:
    """ball_inputs(steps=40) are training inputs; scale= makes the world larger, transparent= gives photos alpha."""

    def make(
        steps: int = 40, *, max_splats: int = 300, scale: float = 1.0, transparent: bool = False, points: bool = True
    ) -> TrainingInputs:
        cameras = [camera_at(angle) for angle in np.linspace(0, 2 * np.pi, 7, endpoint=False)]
        photos = [ball_photo(f"{i}.png", camera, transparent=transparent) for i, camera in enumerate(cameras)]
        photos = [replace(photo, camera=scaled(photo.camera, scale)) for photo in photos]
        rng = np.random.default_rng(0)
        directions = rng.normal(size=(120, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        ball = np.arange(120) % 3
        positions = (scale * (0.8 * np.eye(3)[ball] + 0.6 * directions)).astype(np.float32)
        cloud = PointCloud(positions, (255 * np.eye(3)[ball]).astype(np.uint8))
        plan = TrainingPlan(device="cpu", quality="draft", max_pixels=2000, steps=steps, max_splats=max_splats)
        return TrainingInputs(photos[1:], photos[:1], cloud if points else None, plan)

    return make


def scaled(camera: Camera, scale: float) -> Camera:
    """The camera in a world that is `scale` times larger."""
    matrix = camera.camera_from_world.copy()
    matrix[:3, 3] *= scale
    return replace(camera, camera_from_world=matrix)


@pytest.fixture
def checkpoint_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return folder
