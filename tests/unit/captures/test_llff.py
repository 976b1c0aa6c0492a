"""LLFF's poses_bounds.npy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.captures import has_poses, load_capture
from shared_protocol.errors import UserError
from tests.unit.captures.writing import HEIGHT, WIDTH, assert_same_camera, orbit, write_photo


def llff(folder: Path, count: int = 9, images: int | None = None, scale: float = 1.0) -> Path:
    """Rows of a 3x5 matrix [down, right, back, centre, (height, width, focal)] and two depths."""
    rows = []
    for i, pose in enumerate(orbit(count)):
        right, down, forward, centre = pose[:3].T
        size = np.array([HEIGHT, WIDTH, 50.0]) * scale
        rows.append([*np.stack([down, right, -forward, centre, size], axis=1).ravel(), 0.5, 9.0])
        if images is None or i < images:
            write_photo(folder / f"images/IMG_{i:03d}.JPG", seed=i)
    np.save(folder / "poses_bounds.npy", np.array(rows))
    return folder


def test_cameras_are_those_that_were_written(tmp_path: Path) -> None:
    capture = load_capture(llff(tmp_path))
    assert has_poses(tmp_path) and capture.dialect == "llff" and capture.points is None
    assert [view.name for view in capture.test_views] == ["images/IMG_000.JPG", "images/IMG_008.JPG"]
    for view, pose in zip(capture.views, orbit(9), strict=True):
        assert_same_camera(view.camera, pose)
        assert (view.camera.fx, view.camera.fy) == (50.0, 50.0)
        assert (view.camera.cx, view.camera.cy) == (WIDTH / 2, HEIGHT / 2)


def test_poses_of_larger_photos_are_scaled(tmp_path: Path) -> None:
    camera = load_capture(llff(tmp_path, scale=4.0)).views[0].camera
    assert (camera.fx, camera.width, camera.height) == (50.0, WIDTH, HEIGHT)


@pytest.mark.parametrize("images", [8, 3, 0])
def test_every_pose_needs_its_image(tmp_path: Path, images: int) -> None:
    with pytest.raises(UserError, match=rf"poses_bounds\.npy holds 9 poses, but there are {images} images"):
        load_capture(llff(tmp_path, images=images))


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    path = llff(tmp_path) / "poses_bounds.npy"
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"poses_bounds\.npy"):
            load_capture(tmp_path)


@pytest.mark.parametrize(
    "content",
    [np.zeros((9, 15)), np.zeros(17), np.zeros((0, 17)), np.array([["a"] * 17]), np.array([{"a": 1}], dtype=object)],
)
def test_other_arrays_are_refused(tmp_path: Path, content: np.ndarray) -> None:
    np.save(llff(tmp_path) / "poses_bounds.npy", content, allow_pickle=True)
    with pytest.raises(UserError, match=r"poses_bounds\.npy"):
        load_capture(tmp_path)


@pytest.mark.parametrize(("column", "value"), [(0, np.nan), (3, np.inf), (0, 9.0), (4, -1.0), (14, 0.0), (9, np.nan)])
def test_impossible_rows_are_refused(tmp_path: Path, column: int, value: float) -> None:
    rows = np.load(llff(tmp_path) / "poses_bounds.npy")
    rows[4, column] = value
    np.save(tmp_path / "poses_bounds.npy", rows)
    with pytest.raises(UserError, match=r"IMG_004\.JPG"):
        load_capture(tmp_path)


def test_ethiopian_says_the_same_in_both_of_its_dialects(sample_data, tmp_path: Path) -> None:
    folder = sample_data("ethiopian_turntable")
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "transforms.json":
            copy = tmp_path / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    one, other = load_capture(folder), load_capture(tmp_path)
    assert (one.dialect, other.dialect) == ("transforms", "llff")
    for a, b in zip(one.views, other.views, strict=True):
        assert a.name == b.name and a.mask_path is not None and b.mask_path is not None
        np.testing.assert_allclose(a.camera.camera_from_world, b.camera.camera_from_world, atol=1e-6)
        np.testing.assert_allclose(a.camera.intrinsics, b.camera.intrinsics, rtol=1e-6)
