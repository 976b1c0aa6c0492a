"""The capture that is made when there is none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from backend.captures import Photo, choose_mask_use, load_capture, make_capture, read_photos
from tests.unit.captures.made_scene import distance_to_surface


def test_it_is_a_whole_capture(tmp_path: Path) -> None:
    folder = make_capture(tmp_path / "new" / "folder", views=12, width=48, height=32)
    capture = load_capture(folder, strict=True)
    assert folder == tmp_path / "new" / "folder"
    assert (len(capture.train_views), len(capture.test_views)) == (10, 2)
    assert capture.points is None and choose_mask_use(capture)[0] == "off"
    photos = read_photos(capture.views, max_pixels=10_000, masks="off")
    assert all(photo.rgb.shape == (32, 48, 3) and photo.rgb.std() > 20 for photo in photos)
    assert sorted(path.name for path in folder.iterdir()) == ["images", "transforms.json"]


def test_its_points_lie_on_what_the_photos_show(tmp_path: Path) -> None:
    capture = load_capture(make_capture(tmp_path, views=6, width=96, height=64, points=500))
    assert capture.points is not None and capture.points.positions.shape == (500, 3)
    assert distance_to_surface(capture.points.positions).max() < 1e-4
    # A point that a photo sees nearest has the photo's colour there, up to light and shade.
    camera = capture.views[0].camera
    inside = capture.points.positions @ camera.camera_from_world[:3, :3].T + camera.camera_from_world[:3, 3]
    assert (inside[:, 2] > 0).mean() > 0.9


def test_the_same_place_looks_the_same_from_two_sides(tmp_path: Path) -> None:
    """Photos are consistent with the cameras: the floor, which hardly shines, has one colour in both."""
    capture = load_capture(make_capture(tmp_path, views=12, width=240, height=160, arc=12.0))
    photos = read_photos([capture.views[0], capture.views[2]], max_pixels=10**6, masks="off")
    grid = np.stack(np.meshgrid(np.linspace(-2.5, 2.5, 40), np.linspace(-2.5, 2.5, 40)), axis=-1).reshape(-1, 2)
    floor = np.concatenate([grid, np.zeros((len(grid), 1))], axis=1)
    first, second = (floor_colors(photo, floor) for photo in photos)
    known = ~np.isnan(first + second).any(axis=1)
    assert known.sum() > 1000
    difference = np.abs(first[known] - second[known]).max(axis=1)
    elsewhere = np.abs(first[known] - np.roll(second[known], 7, axis=0)).max(axis=1)
    assert np.median(difference) < 15 < 3 * 15 < np.median(elsewhere)


def floor_colors(photo: Photo, points: np.ndarray) -> np.ndarray:
    """NaN where the photo does not reach."""
    camera = photo.camera
    seen = points @ camera.camera_from_world[:3, :3].T + camera.camera_from_world[:3, 3]
    pixels = seen[:, :2] / seen[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    where = (pixels - 0.5).astype(np.float32)
    colors = cv2.remap(photo.rgb, where[:, :1], where[:, 1:], cv2.INTER_LINEAR)[:, 0].astype(float)
    outside = (pixels < 1).any(axis=1) | (pixels > (camera.width - 1, camera.height - 1)).any(axis=1)
    colors[outside] = np.nan
    return colors


def test_transparent_skies(tmp_path: Path) -> None:
    capture = load_capture(make_capture(tmp_path, views=4, width=48, height=32, transparent=True))
    assert choose_mask_use(capture)[0] == "alpha"
    photo = read_photos(capture.views, max_pixels=10_000, masks="alpha")[0]
    assert photo.alpha is not None and photo.alpha[0, 0] == 0 and photo.alpha[16, 24] == 255


def test_it_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_capture(tmp_path / name, views=3, width=32, height=24, points=50)
    for path in (tmp_path / "a").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


@pytest.mark.parametrize("arc", [90.0, 360.0])
def test_photos_go_around_the_scene_as_far_as_asked(tmp_path: Path, arc: float) -> None:
    capture = load_capture(make_capture(tmp_path, views=10, width=16, height=12, arc=arc))
    centres = np.array([view.camera.centre for view in capture.views])
    angles = np.degrees(np.unwrap(np.arctan2(centres[:, 1], centres[:, 0])))
    assert angles[-1] - angles[0] == pytest.approx(0.9 * arc)
    assert Image.open(capture.views[0].image_path).size == (16, 12)
