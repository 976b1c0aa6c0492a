"""transforms.json in all its dialects, and what every dialect shares: missing images, sizes, splits, paths."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from backend.captures import has_poses, load_capture
from shared_protocol.errors import UserError
from tests.unit.captures.writing import (
    HEIGHT,
    WIDTH,
    assert_same_camera,
    instant_ngp,
    opengl_frame,
    orbit,
    write_photo,
    write_transforms,
)


def refused(folder: Path, *words: str, strict: bool = False) -> UserError:
    with pytest.raises(UserError) as caught:
        load_capture(folder, strict=strict)
    for word in words:
        assert word in caught.value.message, caught.value.message
    assert caught.value.message.endswith(".") and caught.value.hint
    return caught.value


def edit(folder: Path, name: str = "transforms.json", frame: int | None = None, **fields: object) -> Path:
    """Changes the head of a transforms file, or one of its frames."""
    content = json.loads((folder / name).read_text())
    (content if frame is None else content["frames"][frame]).update(fields)
    (folder / name).write_text(json.dumps(content))
    return folder


def test_instant_ngp_gives_the_cameras_that_were_written(tmp_path: Path) -> None:
    capture = load_capture(instant_ngp(tmp_path, k1=0.1, k2=0.2, p1=0.003, p2=0.004, k3=0.05))
    assert capture.dialect == "transforms" and not capture.warnings
    for view, pose in zip(capture.views, orbit(9), strict=True):
        assert_same_camera(view.camera, pose)
        assert view.distortion == (0.1, 0.2, 0.003, 0.004, 0.05)
        assert (view.camera.fx, view.camera.fy, view.camera.cx, view.camera.cy) == (50.0, 51.0, 19.0, 16.0)
        assert (view.camera.width, view.camera.height) == (WIDTH, HEIGHT)


def test_every_eighth_view_in_name_order_is_held_out(tmp_path: Path) -> None:
    folder = instant_ngp(tmp_path, 17)
    content = json.loads((folder / "transforms.json").read_text())
    content["frames"].reverse()  # the order in the file does not count
    (folder / "transforms.json").write_text(json.dumps(content))
    capture = load_capture(folder)
    assert [view.name for view in capture.test_views] == ["images/000.png", "images/008.png", "images/016.png"]
    assert [view.name for view in capture.train_views] == [f"images/{i:03d}.png" for i in range(17) if i % 8]
    assert not capture.has_own_test_split


def synthetic(folder: Path, **counts: int) -> Path:
    poses = orbit(sum(counts.values()))
    for split, count in counts.items():
        frames = []
        for i in range(count):
            write_photo(folder / f"{split}/r_{i}.png", mode="RGBA", seed=i)
            frames.append(opengl_frame(f"./{split}/r_{i}", poses.pop(0)))
        write_transforms(folder, frames, f"transforms_{split}.json", camera_angle_x=0.6911)
    return folder


def test_nerf_synthetic_uses_its_own_test_split(tmp_path: Path) -> None:
    capture = load_capture(synthetic(tmp_path, train=4, test=2, val=3))
    assert [view.name for view in capture.train_views] == [f"train/r_{i}.png" for i in range(4)]
    assert [view.name for view in capture.test_views] == ["test/r_0.png", "test/r_1.png"]
    assert capture.has_own_test_split
    for view, pose in zip((*capture.train_views, *capture.test_views), orbit(9)[:6], strict=True):
        assert_same_camera(view.camera, pose)
        assert view.camera.fx == view.camera.fy == pytest.approx(0.5 * WIDTH / math.tan(0.5 * 0.6911))
        assert (view.camera.cx, view.camera.cy) == (WIDTH / 2, HEIGHT / 2)


def test_validation_views_are_tested_only_without_a_test_file(tmp_path: Path) -> None:
    capture = load_capture(synthetic(tmp_path, train=4, val=2))
    assert [view.name for view in capture.test_views] == ["val/r_0.png", "val/r_1.png"]
    assert len(capture.train_views) == 4 and capture.has_own_test_split


def test_test_images_that_were_never_copied_are_no_error(tmp_path: Path) -> None:
    folder = synthetic(tmp_path, train=9, test=20)
    for path in (folder / "test").iterdir():
        path.unlink()
    capture = load_capture(folder)
    assert [view.name for view in capture.test_views] == ["train/r_0.png", "train/r_8.png"]
    assert not capture.has_own_test_split and "No test image" in capture.warnings[0]
    refused(folder, "--strict", strict=True)


def test_a_frame_in_both_files_is_held_out(tmp_path: Path) -> None:
    folder = instant_ngp(tmp_path, 6)
    frames = json.loads((folder / "transforms.json").read_text())["frames"]
    write_transforms(folder, frames[:2], "transforms_test.json", camera_angle_x=0.6)
    capture = load_capture(folder)
    assert [view.name for view in capture.test_views] == ["images/000.png", "images/001.png"]
    assert len(capture.train_views) == 4 and not capture.warnings


def test_a_frame_may_have_its_own_lens(tmp_path: Path) -> None:
    folder = instant_ngp(tmp_path, 4, k1=0.1)
    write_photo(folder / "images/001.png", (60, 20))
    edit(folder, frame=1, w=60, h=20, fl_x=70, fl_y=71, cx=31, cy=9, k1=-0.2)
    edit(folder, frame=2, camera_angle_x=1.0)
    first, own, angle, _ = load_capture(folder).views
    assert (first.camera.fx, first.distortion[0]) == (50.0, 0.1)
    assert (own.camera.fx, own.camera.fy, own.camera.cx, own.camera.cy) == (70.0, 71.0, 31.0, 9.0)
    assert own.distortion[0] == -0.2
    assert angle.camera.fx == angle.camera.fy == pytest.approx(0.5 * WIDTH / math.tan(0.5))


def test_names_are_found_without_suffix_in_other_case_and_with_backslashes(tmp_path: Path) -> None:
    folder = instant_ngp(tmp_path, 5)
    (folder / "images/000.png").rename(folder / "images/000.PNG")
    edit(folder, frame=1, file_path="./images/001")
    edit(folder, frame=2, file_path="images\\002.png")
    write_photo(folder / "images/b.0003.JPG")
    edit(folder, frame=3, file_path="images/b.0003")
    names = [view.name for view in load_capture(folder).views]
    assert names == ["images/000.PNG", "images/001.png", "images/002.png", "images/004.png", "images/b.0003.JPG"]


def test_missing_images_are_counted_and_named_in_one_warning(tmp_path: Path) -> None:
    folder = instant_ngp(tmp_path, 9)
    for i in (2, 5):
        (folder / f"images/{i:03d}.png").unlink()
    capture = load_capture(folder)
    assert len(capture.views) == 7
    (warning,) = capture.warnings
    assert warning.startswith("2 of 9 images") and "images/002.png, images/005.png" in warning
    error = refused(folder, "7 of the 9", "transforms.json", "--strict", strict=True)
    assert "images/002.png" in error.hint


@pytest.mark.parametrize(("count", "missing"), [(3, 1), (9, 5)])
def test_too_few_images_are_an_error(tmp_path: Path, count: int, missing: int) -> None:
    folder = instant_ngp(tmp_path, count)
    for i in range(missing):
        (folder / f"images/{i:03d}.png").unlink()
    refused(folder, f"{count - missing} of the {count} images", "transforms.json")


def test_half_of_the_images_is_enough(tmp_path: Path) -> None:
    folder = instant_ngp(tmp_path, 8)
    for i in range(4):
        (folder / f"images/{i:03d}.png").unlink()
    assert len(load_capture(folder).views) == 4


def test_images_listed_twice_count_once(tmp_path: Path) -> None:
    folder = edit(instant_ngp(tmp_path, 5), frame=4, file_path="images/003.png")
    capture = load_capture(folder)
    assert len(capture.views) == 4 and "listed twice" in capture.warnings[0]


def test_evenly_scaled_photos_scale_the_intrinsics(tmp_path: Path) -> None:
    folder = instant_ngp(tmp_path, 4)
    for i in range(4):
        write_photo(folder / f"images/{i:03d}.png", (WIDTH // 2, HEIGHT // 2))
    camera = load_capture(folder).views[0].camera
    assert (camera.width, camera.height) == (20, 15)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (25.0, 25.5, 9.5, 8.0)


@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (WIDTH, WIDTH), (WIDTH, HEIGHT + 3)])
def test_photos_of_another_aspect_are_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    folder = instant_ngp(tmp_path, 4)
    path = write_photo(folder / "images/002.png", size)
    refused(folder, str(path), f"{size[0]} x {size[1]}", f"{WIDTH} x {HEIGHT}", "transforms.json")


def test_points_named_by_the_file_are_read(tmp_path: Path) -> None:
    folder = instant_ngp(tmp_path, 4, ply_file_path="points.ply")
    header = "ply\nformat ascii 1.0\nelement vertex 3\n"
    columns = "property float x\nproperty float y\nproperty float z\n"
    colors = "property uchar red\nproperty uchar green\nproperty uchar blue\n"
    rows = "1 2 3 10 20 30\n4 5 6 40 50 60\nnan 0 0 0 0 0\n"
    (folder / "points.ply").write_text(f"{header}{columns}{colors}end_header\n{rows}")
    points = load_capture(folder).points
    assert points is not None
    np.testing.assert_array_equal(points.positions, [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(points.colors, [[10, 20, 30], [40, 50, 60]])

    (folder / "points.ply").write_text(f"{header}{columns}end_header\n1 2 3\n4 5 6\n7 8 9\n")
    points = load_capture(folder).points
    assert points is not None and (points.colors == 128).all()

    (folder / "points.ply").write_text(f"{header}{columns}end_header\n1 2 3\n4 5\n")
    refused(folder, "points.ply")
    (folder / "points.ply").unlink()
    capture = load_capture(folder)
    assert capture.points is None and "points.ply" in capture.warnings[0]


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    path = instant_ngp(tmp_path, 4) / "transforms.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(load_capture(tmp_path).views) == 4


def test_transforms_come_before_colmap_and_llff(tmp_path: Path) -> None:
    folder = instant_ngp(tmp_path, 4)
    (folder / "sparse/0").mkdir(parents=True)
    for name in ("sparse/0/cameras.bin", "sparse/0/images.bin", "poses_bounds.npy"):
        (folder / name).write_bytes(b"")
    assert load_capture(folder).dialect == "transforms"
    (folder / "transforms.json").unlink()
    refused(folder, "sparse/0/cameras.bin")
    (folder / "sparse/0/images.bin").unlink()
    refused(folder, "poses_bounds.npy")


def test_a_folder_without_cameras_says_what_to_do(tmp_path: Path) -> None:
    write_photo(tmp_path / "images/a.png")
    assert not has_poses(tmp_path)
    error = refused(tmp_path, str(tmp_path), "no cameras")
    assert error.fix == f"splatwright pose {tmp_path}"
    assert refused(tmp_path / "nowhere", "nowhere").kind == "not_found"


def test_has_poses(tmp_path: Path) -> None:
    assert has_poses(instant_ngp(tmp_path / "a", 3))
    assert has_poses(synthetic(tmp_path / "b", train=3))


STRETCHED = (np.diag([1.0, 1.1, 1.0, 1.0])).tolist()
MIRRORED = (np.diag([1.0, 1.0, -1.0, 1.0])).tolist()
PROJECTIVE = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0.2, 1]]


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (STRETCHED, "not a rotation"),
        (MIRRORED, "not a rotation"),
        (PROJECTIVE, "not a rotation"),
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], "4x4"),
        ([[1, 0, 0, 0], [0, 1], [0, 0, 1, 0]], "4x4"),
    ],
)
def test_poses_that_are_not_rigid_are_refused(tmp_path: Path, matrix: list[list[float]], words: str) -> None:
    folder = edit(instant_ngp(tmp_path, 4), frame=2, transform_matrix=matrix)
    refused(folder, "transforms.json", "images/002.png", words)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999"])
def test_poses_that_are_not_finite_are_refused(tmp_path: Path, value: str) -> None:
    folder = edit(instant_ngp(tmp_path, 4), frame=2, transform_matrix=[[1, 0, 0, 77777], [0, 1, 0, 0], [0, 0, 1, 0]])
    path = folder / "transforms.json"
    path.write_text(path.read_text().replace("77777", value))
    refused(folder, "transforms.json")


def test_a_slightly_rounded_rotation_becomes_exact(tmp_path: Path) -> None:
    pose = np.round(orbit(4)[2] @ np.diag([1.0, -1.0, -1.0, 1.0]), 4)
    folder = edit(instant_ngp(tmp_path, 4), frame=2, transform_matrix=pose.tolist())
    rotation = load_capture(folder).views[2].camera.camera_from_world[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert_same_camera(load_capture(folder).views[2].camera, orbit(4)[2], 2e-3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not a readable"),
        ("[]", "not a readable"),
        ('{"frames": []}', "no cameras"),
        ('{"camera_angle_x": 1}', "frames"),
        ('{"frames": [{"file_path": "a.png"}]}', "transform_matrix"),
        ('{"frames": [{"file_path": 3, "transform_matrix": []}]}', "frames[0].file_path"),
    ],
)
def test_json_that_is_no_capture_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "transforms.json").write_text(text)
    refused(tmp_path, str(tmp_path / "transforms.json"), words)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"fl_x": None, "fl_y": None}, "no focal length"),
        ({"fl_x": -5.0}, "focal length"),
        ({"fl_x": None, "fl_y": None, "camera_angle_x": 4.0}, "focal length"),
        ({"w": 40.5}, "image size of 40.5"),
        ({"w": 0}, "image size of 0"),
        ({"camera_model": "OPENCV_FISHEYE"}, "OPENCV_FISHEYE"),
        ({"camera_model": "EQUIRECTANGULAR"}, "EQUIRECTANGULAR"),
        ({"is_fisheye": True}, "fisheye"),
        ({"camera_model": "OPENCV", "k4": 0.1}, "fisheye"),
    ],
)
def test_lenses_that_cannot_be_used_are_refused(tmp_path: Path, fields: dict[str, object], words: str) -> None:
    refused(edit(instant_ngp(tmp_path, 4), **fields), "transforms.json", words)


@pytest.mark.parametrize("model", ["SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV"])
def test_known_camera_models_are_read(tmp_path: Path, model: str) -> None:
    assert len(load_capture(instant_ngp(tmp_path, 4, camera_model=model)).views) == 4


@pytest.mark.parametrize(
    "written", ["/etc/passwd", "C:\\photos\\a.png", "../outside.png", "images/../../outside.png", "."]
)
def test_paths_that_leave_the_folder_are_refused(tmp_path: Path, written: str) -> None:
    write_photo(tmp_path / "outside.png")
    folder = edit(instant_ngp(tmp_path / "capture", 4), frame=1, file_path=written)
    refused(folder, "transforms.json", written)
    folder = edit(folder, frame=1, file_path="images/001.png", mask_path=written)
    refused(folder, "transforms.json", written)


def test_links_that_leave_the_folder_are_refused(tmp_path: Path) -> None:
    outside = write_photo(tmp_path / "outside.png")
    folder = instant_ngp(tmp_path / "capture", 4)
    (folder / "images/001.png").unlink()
    (folder / "images/001.png").symlink_to(outside)
    refused(folder, "images/001.png", "outside the capture's folder")


def test_a_capture_may_itself_be_reached_through_a_link(tmp_path: Path) -> None:
    instant_ngp(tmp_path / "real", 4)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert load_capture(tmp_path / "link").views[0].name == "images/000.png"


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n"])
def test_files_that_are_no_images_are_refused(tmp_path: Path, content: bytes) -> None:
    folder = instant_ngp(tmp_path, 4)
    (folder / "images/002.png").write_bytes(content)
    refused(folder, str(folder / "images/002.png"))


def test_fox_is_read_with_its_17_missing_images(sample_data) -> None:
    capture = load_capture(sample_data("fox_posed"))
    assert (len(capture.train_views), len(capture.test_views)) == (43, 7)
    (warning,) = capture.warnings
    assert warning.startswith("17 of 67 images listed in transforms.json are missing") and "images/0005.jpg" in warning
    assert capture.test_views[0].name == "images/0001.jpg"
    assert capture.views[0].distortion == (0.0578421, -0.0805099, -0.000980296, 0.00015575, 0.0)
    with pytest.raises(UserError):
        load_capture(sample_data("fox_posed"), strict=True)


def test_chair_is_read_with_its_test_split(sample_data) -> None:
    capture = load_capture(sample_data("chair_synthetic"))
    assert (len(capture.train_views), len(capture.test_views)) == (100, 50)
    assert capture.has_own_test_split and not capture.warnings
