"""COLMAP models, binary and text; pycolmap writes them and is the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import pytest

from backend.captures import has_poses, load_capture
from shared_protocol.errors import UserError
from tests.unit.captures.writing import (
    HEIGHT,
    WIDTH,
    assert_same_camera,
    colmap_model,
    orbit,
    write_colmap_photos,
    write_photo,
)


def write_model(folder: Path, model: pycolmap.Reconstruction, kind: str, where: str = "sparse/0") -> Path:
    target = folder / where
    target.mkdir(parents=True, exist_ok=True)
    if kind == "binary":
        model.write_binary(target)
    else:
        model.write_text(target)
    return target


@pytest.mark.parametrize("kind", ["binary", "text"])
@pytest.mark.parametrize("where", ["sparse/0", "sparse", "colmap/sparse/0"])
def test_cameras_and_points_are_those_that_were_written(tmp_path: Path, kind: str, where: str) -> None:
    target = write_model(tmp_path, colmap_model(9), kind, where)
    assert any(path.stem in ("rigs", "frames") for path in target.iterdir())
    write_colmap_photos(tmp_path, 9)
    assert has_poses(tmp_path)
    capture = load_capture(tmp_path)
    assert capture.dialect == "colmap" and not capture.warnings
    assert [view.name for view in capture.views] == [f"images/a {i:03d}.png" for i in range(9)]
    assert [view.name for view in capture.test_views] == ["images/a 000.png", "images/a 008.png"]
    for view, pose in zip(capture.views, orbit(9), strict=True):
        assert_same_camera(view.camera, pose)
        assert (view.camera.fx, view.camera.fy, view.camera.cx, view.camera.cy) == (50.0, 51.0, 19.0, 16.0)
        assert (view.camera.width, view.camera.height) == (WIDTH, HEIGHT)
    assert capture.points is not None
    np.testing.assert_allclose(sorted(capture.points.positions.tolist()), [[i, 0.5, -0.25] for i in range(4)])
    np.testing.assert_array_equal(np.sort(capture.points.colors[:, 0]), [0, 10, 20, 30])


MODELS = [
    ("SIMPLE_PINHOLE", (50, 19, 16), (50, 50, 19, 16), (0, 0, 0, 0, 0)),
    ("PINHOLE", (50, 51, 19, 16), (50, 51, 19, 16), (0, 0, 0, 0, 0)),
    ("SIMPLE_RADIAL", (50, 19, 16, 0.1), (50, 50, 19, 16), (0.1, 0, 0, 0, 0)),
    ("RADIAL", (50, 19, 16, 0.1, 0.2), (50, 50, 19, 16), (0.1, 0.2, 0, 0, 0)),
    ("OPENCV", (50, 51, 19, 16, 0.1, 0.2, 0.3, 0.4), (50, 51, 19, 16), (0.1, 0.2, 0.3, 0.4, 0)),
]


@pytest.mark.parametrize("kind", ["binary", "text"])
@pytest.mark.parametrize(("model", "params", "intrinsics", "distortion"), MODELS)
def test_distortion_is_kept_in_opencvs_order(
    tmp_path: Path, kind: str, model: str, params: tuple, intrinsics: tuple, distortion: tuple
) -> None:
    write_model(tmp_path, colmap_model(4, model, params), kind)
    write_colmap_photos(tmp_path, 4)
    view = load_capture(tmp_path).views[0]
    assert (view.camera.fx, view.camera.fy, view.camera.cx, view.camera.cy) == intrinsics
    assert view.distortion == distortion


@pytest.mark.parametrize("kind", ["binary", "text"])
@pytest.mark.parametrize(
    ("model", "count"),
    [("OPENCV_FISHEYE", 8), ("FULL_OPENCV", 12), ("FOV", 5), ("SIMPLE_RADIAL_FISHEYE", 4), ("THIN_PRISM_FISHEYE", 12)],
)
def test_other_models_are_refused_by_name(tmp_path: Path, kind: str, model: str, count: int) -> None:
    write_model(tmp_path, colmap_model(4, model, (50.0, 50.0, 19.0, 16.0, *[0.01] * 8)[:count]), kind)
    write_colmap_photos(tmp_path, 4)
    with pytest.raises(UserError) as caught:
        load_capture(tmp_path)
    assert caught.value.kind == "unsupported"
    assert model in caught.value.message and "cameras." in caught.value.message


def test_images_of_a_rig_have_the_pose_of_their_own_sensor(tmp_path: Path) -> None:
    """The second camera of a rig has no pose of its own in frames.bin; images.bin holds the composed one."""
    model = pycolmap.Reconstruction()
    cameras = [
        pycolmap.Camera(camera_id=i, model="PINHOLE", width=WIDTH, height=HEIGHT, params=[50, 50, 20, 15])
        for i in (1, 2)
    ]
    rig = pycolmap.Rig(rig_id=1)
    rig.add_ref_sensor(cameras[0].sensor_id)
    beside = pycolmap.Rigid3d(pycolmap.Rotation3d(np.array([0.0, 0.1, 0.0, np.sqrt(0.99)])), np.array([0.3, 0.0, 0.1]))
    rig.add_sensor(cameras[1].sensor_id, beside)
    for camera in cameras:
        model.add_camera(camera)
    model.add_rig(rig)
    for i, pose in enumerate(orbit(3), start=1):
        frame = pycolmap.Frame(frame_id=i, rig_id=1)
        images = [
            pycolmap.Image(name=f"a {2 * i + k - 2:03d}.png", camera_id=k + 1, image_id=2 * i + k) for k in range(2)
        ]
        for image in images:
            frame.add_data_id(image.data_id)
            image.frame_id = i
        frame.rig_from_world = pycolmap.Rigid3d(np.linalg.inv(pose)[:3])
        model.add_frame(frame)
        for image in images:
            model.add_image(image)
        model.register_frame(i)
    write_model(tmp_path, model, "binary")
    write_colmap_photos(tmp_path, 6)
    offset = np.eye(4)
    offset[:3] = beside.matrix()
    views = load_capture(tmp_path).views
    for i, pose in enumerate(orbit(3)):
        assert_same_camera(views[2 * i].camera, pose)
        assert_same_camera(views[2 * i + 1].camera, pose @ np.linalg.inv(offset))


@pytest.mark.parametrize("part", ["cameras", "images", "points3D"])
def test_a_binary_file_cut_off_anywhere_is_refused(tmp_path: Path, part: str) -> None:
    path = write_model(tmp_path, colmap_model(4), "binary") / f"{part}.bin"
    write_colmap_photos(tmp_path, 4)
    whole = path.read_bytes()
    assert len(load_capture(tmp_path).views) == 4
    for length in range(0, len(whole), 1 + len(whole) // 60):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=f"{part}.bin is cut off"):
            load_capture(tmp_path)


def test_counts_that_cannot_be_true_are_refused_at_once(tmp_path: Path) -> None:
    path = write_model(tmp_path, colmap_model(4), "binary") / "points3D.bin"
    write_colmap_photos(tmp_path, 4)
    path.write_bytes((2**62).to_bytes(8, "little") + path.read_bytes()[8:])
    with pytest.raises(UserError, match=r"points3D\.bin is cut off"):
        load_capture(tmp_path)


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("cameras.txt", "PINHOLE", "PINHOLE x", "line that cannot be read"),
        ("cameras.txt", "1 PINHOLE 40 30 50", "1 PINHOLE 40 30", "impossible values"),
        ("cameras.txt", "50 51", "-50 51", "impossible values"),
        ("cameras.txt", "50 51", "nan 51", "impossible values"),
        ("images.txt", " a 001.png", "", "line that cannot be read"),
        ("images.txt", " 1 a 001.png", " 7 a 001.png", "camera 7"),
        ("points3D.txt", "0.5 -0.25", "0.5 x", "line that cannot be read"),
    ],
)
def test_text_that_cannot_be_read_is_refused(tmp_path: Path, file: str, old: str, new: str, words: str) -> None:
    path = write_model(tmp_path, colmap_model(4), "text") / file
    write_colmap_photos(tmp_path, 4)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=words) as caught:
        load_capture(tmp_path)
    assert file in caught.value.message


def test_a_quaternion_that_is_no_rotation_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path, colmap_model(4), "text") / "images.txt"
    write_colmap_photos(tmp_path, 4)
    lines = path.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if line.endswith("a 002.png"))
    number, _, *rest = lines[at].split(maxsplit=2)
    lines[at] = " ".join([number, "3.0", *rest])
    path.write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"images\.txt: the pose of 'a 002\.png' is not a rotation"):
        load_capture(tmp_path)


def test_a_model_without_images_or_points(tmp_path: Path) -> None:
    target = write_model(tmp_path, colmap_model(4), "binary")
    write_colmap_photos(tmp_path, 4)
    (target / "points3D.bin").write_bytes(bytes(8))
    assert load_capture(tmp_path).points is None
    (target / "points3D.bin").unlink()
    assert load_capture(tmp_path).points is None
    (target / "images.bin").write_bytes(bytes(8))
    with pytest.raises(UserError, match=r"images\.bin lists no cameras"):
        load_capture(tmp_path)


def test_photos_are_found_in_other_places_and_in_sub_folders(tmp_path: Path) -> None:
    write_model(tmp_path, colmap_model(4, prefix="day 1/"), "binary")
    for i in range(4):
        write_photo(tmp_path / f"images/day 1/a {i:03d}.png")
        write_photo(tmp_path / f"masks/day 1/a {i:03d}.png", mode="L")
    views = load_capture(tmp_path).views
    assert views[0].name == "images/day 1/a 000.png" and views[3].mask_path == tmp_path / "masks/day 1/a 003.png"
    (tmp_path / "images").rename(tmp_path / "images_4")
    assert load_capture(tmp_path).views[0].name == "images_4/day 1/a 000.png"
    (tmp_path / "images_4/day 1").rename(tmp_path / "day 1")
    assert load_capture(tmp_path).views[0].name == "day 1/a 000.png"


@pytest.mark.parametrize("name", ["/tmp/a.png", "../a.png"])
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    model = colmap_model(4)
    model.image(2).name = name if name.startswith("/") else f"../{name}"
    write_model(tmp_path / "capture", model, "binary")
    write_colmap_photos(tmp_path / "capture", 4)
    with pytest.raises(UserError, match=r"images\.bin names"):
        load_capture(tmp_path / "capture")


def test_missing_images_are_warned_about(tmp_path: Path) -> None:
    write_model(tmp_path, colmap_model(5), "text")
    write_colmap_photos(tmp_path, 5)
    (tmp_path / "images/a 003.png").unlink()
    (warning,) = load_capture(tmp_path).warnings
    assert warning == "1 of 5 images listed in images.txt are missing and were left out: a 003.png."


def test_alexander_agrees_with_pycolmap(sample_data) -> None:
    folder = sample_data("alexander_masked")
    capture = load_capture(folder)
    truth = pycolmap.Reconstruction(folder / "sparse/0")
    assert len(capture.views) == truth.num_reg_images() == 53
    for image in truth.images.values():
        view = capture.view(image.name)
        assert view is not None and view.mask_path is not None
        np.testing.assert_allclose(view.camera.camera_from_world[:3], image.cam_from_world().matrix(), atol=1e-12)
        assert view.distortion[0] == image.camera.params[3]
    assert capture.points is not None and len(capture.points.positions) == truth.num_points3D()
