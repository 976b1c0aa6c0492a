"""Writes small captures of every dialect from the same known cameras."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pycolmap
from PIL import Image

from backend.splats.cameras import Camera

WIDTH, HEIGHT = 40, 30
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])  # between OpenCV's camera axes and OpenGL's


def orbit(count: int) -> list[np.ndarray]:
    """World from camera (OpenCV axes) of cameras around the origin at changing heights, [4, 4] each."""
    poses = []
    for i in range(count):
        angle = 2 * np.pi * i / count + 0.3
        centre = np.array([4 * np.cos(angle), 4 * np.sin(angle), 1 + 0.2 * (i % 3)])
        forward = -centre / np.linalg.norm(centre)
        right = np.cross(forward, (0.1, 0.0, 1.0))
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3] = np.stack([right, np.cross(forward, right), forward, centre], axis=1)
        poses.append(pose)
    return poses


def write_photo(
    path: Path,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    *,
    mode: str = "RGB",
    orientation: int | None = None,
    seed: int = 0,
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], channels), dtype=np.uint8)
    image = Image.fromarray(pixels.squeeze(), mode) if channels == 1 else Image.fromarray(pixels)
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    image.save(path, exif=exif)
    return path


def opengl_frame(name: str, world_from_camera: np.ndarray, **fields: object) -> dict[str, object]:
    return {"file_path": name, "transform_matrix": (world_from_camera @ FLIP).tolist(), **fields}


def write_transforms(
    folder: Path, frames: list[dict[str, object]], name: str = "transforms.json", **head: object
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps({**head, "frames": frames}))
    return folder


def instant_ngp(folder: Path, count: int = 9, **head: object) -> Path:
    """A whole capture in instant-ngp's dialect with images/000.png and so on."""
    frames = []
    for i, pose in enumerate(orbit(count)):
        write_photo(folder / f"images/{i:03d}.png", seed=i)
        frames.append(opengl_frame(f"images/{i:03d}.png", pose))
    lens = {"fl_x": 50.0, "fl_y": 51.0, "cx": 19.0, "cy": 16.0, "w": WIDTH, "h": HEIGHT}
    return write_transforms(folder, frames, **{**lens, **head})


def colmap_model(
    count: int, model: str = "PINHOLE", params: tuple[float, ...] = (50.0, 51.0, 19.0, 16.0), prefix: str = ""
) -> pycolmap.Reconstruction:
    """Images "a 000.png" and so on, and four points; the newer COLMAP's rigs and frames are part of it."""
    result = pycolmap.Reconstruction()
    camera = pycolmap.Camera(camera_id=1, model=model, width=WIDTH, height=HEIGHT, params=params)
    result.add_camera_with_trivial_rig(camera)
    for i, pose in enumerate(orbit(count), start=1):
        keypoints = np.arange(2.0 * (i % 3)).reshape(
            -1, 2
        )  # some images have no 2D points, which text writes as an empty line
        image = pycolmap.Image(name=f"{prefix}a {i - 1:03d}.png", camera_id=1, image_id=i, keypoints=keypoints)
        result.add_image_with_trivial_frame(image, pycolmap.Rigid3d(np.linalg.inv(pose)[:3]))
    for i in range(4):
        color = np.array([10 * i, 20, 250], np.uint8)
        result.add_point3D(np.array([i, 0.5, -0.25]), pycolmap.Track(), color)
    return result


def write_colmap_photos(folder: Path, count: int) -> None:
    for i in range(count):
        write_photo(folder / f"images/a {i:03d}.png", seed=i)


def assert_same_camera(camera: Camera, world_from_camera: np.ndarray, tolerance: float = 1e-9) -> None:
    """Centre and all three axes."""
    np.testing.assert_allclose(camera.centre, world_from_camera[:3, 3], atol=tolerance)
    np.testing.assert_allclose(camera.camera_from_world[:3, :3].T, world_from_camera[:3, :3], atol=tolerance)
    np.testing.assert_allclose(camera.forward, world_from_camera[:3, 2], atol=tolerance)
