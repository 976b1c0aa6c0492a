from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.captures import load_capture, read_mesh_poses
from backend.jobs.upright import upward
from backend.splats.io.mesh_files import read_mesh
from blender_addon.core import camera as cameras
from blender_addon.core import capture_file
from blender_addon.core.capture_file import CaptureFolder, Existing, NamedMesh, Picture
from blender_addon.core.capture_poses import POSES_FILE, MeshPoses
from blender_addon.core.viewpoints import Orbit, viewpoints
from shared_protocol.errors import UserError

LENS = cameras.Lens(lens=40.0, shift_x=0.1, shift_y=-0.05)
FRAME = cameras.frame(48, 32, pixel_aspect=(1.0, 1.25))
TRIANGLE = (np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32), np.array([[0, 1, 2]], np.int32))


def take(place: CaptureFolder, count: int = 4, shade: int = 0) -> list[Picture]:
    """Pictures as Blender would have rendered them."""
    pictures = []
    for i, pose in enumerate(viewpoints(Orbit(count), np.zeros(3), 4.0)):
        name = place.new_name(f"view_{i:04d}")
        Image.new("RGBA", (FRAME.width, FRAME.height), (shade, 0, 0, 128)).save(place.work / name)
        pictures.append(Picture(name, cameras.view_camera(LENS, FRAME, pose)))
    return pictures


def points(count: int = 5) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(3.0 * count, dtype=np.float32).reshape(-1, 3), np.full((count, 3), (10, 20, 30), np.uint8)


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_backend_reads_the_cameras_and_points_as_they_were(tmp_path: Path) -> None:
    place = CaptureFolder(tmp_path / "scene", "KEEP")
    pictures = take(place, 9)
    capture = load_capture(place.finish(pictures, points()))
    assert capture.warnings == () and capture.dialect == "transforms"
    for picture in pictures:
        view = capture.view(picture.file_path)
        assert view is not None
        camera, wanted = view.camera, picture.camera
        assert (camera.fx, camera.fy, camera.cx, camera.cy) == (wanted.fx, wanted.fy, wanted.cx, wanted.cy)
        assert (camera.width, camera.height) == (48, 32)
        np.testing.assert_allclose(camera.camera_from_world, np.reshape(wanted.camera_from_world, (4, 4)), atol=1e-6)
    assert capture.points is not None
    np.testing.assert_array_equal(capture.points.positions, points()[0])
    np.testing.assert_array_equal(capture.points.colors, points()[1])


def test_the_file_says_that_its_world_is_blenders(tmp_path: Path) -> None:
    place = CaptureFolder(tmp_path / "scene", "KEEP")
    folder = place.finish(take(place))
    assert json.loads((folder / "transforms.json").read_text())["splatwright_world"] == "blender"
    assert capture_file.is_from_blender(folder)
    assert not capture_file.is_from_blender(tmp_path)


def test_up_is_blenders_however_the_cameras_are_held(tmp_path: Path) -> None:
    place = CaptureFolder(tmp_path / "scene", "KEEP")
    pictures = take(place)
    lying = np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])  # rolled by a quarter turn
    rolled = [
        Picture(
            picture.file_path,
            cameras.view_camera(
                LENS, FRAME, cameras.world_from_blender_camera(picture.camera.camera_from_world) @ lying
            ),
        )
        for picture in pictures
    ]
    capture = load_capture(place.finish(rolled))
    assert capture.up == upward(capture) == (0, 0, 1)
    assert upward(replace(capture, up=None)) != (0, 0, 1)


def test_a_capture_is_no_capture_until_it_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "scene"
    place = CaptureFolder(folder, "KEEP")
    take(place)
    assert not folder.exists()
    place.discard()
    assert list(tmp_path.iterdir()) == []


def test_what_an_earlier_end_in_the_middle_left_is_not_taken_over(tmp_path: Path) -> None:
    take(CaptureFolder(tmp_path / "scene", "KEEP"), 6)  # and then Blender was gone
    place = CaptureFolder(tmp_path / "scene", "KEEP")
    folder = place.finish(take(place, 4))
    assert len(files_in(folder)) == 5 and list(tmp_path.iterdir()) == [folder]


def test_an_earlier_capture_is_kept_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    place = CaptureFolder(tmp_path / "scene", "KEEP")
    folder = place.finish(take(place))
    before = files_in(folder)
    with pytest.raises(UserError, match="holds a capture already"):
        CaptureFolder(folder, "KEEP")
    assert files_in(folder) == before


def test_replacing_takes_away_the_earlier_pictures_and_nothing_else(tmp_path: Path) -> None:
    place = CaptureFolder(tmp_path / "scene", "KEEP")
    folder = place.finish(take(place, 9), points(), [NamedMesh("Cube", *TRIANGLE)])
    (folder / "notes.txt").write_text("mine")
    (folder / "images" / "mine.png").write_bytes(b"also mine")
    place = CaptureFolder(folder, "REPLACE")
    place.finish(take(place, 4, shade=200))
    views = [f"images/view_{i:04d}.png" for i in range(4)]
    assert files_in(folder) == sorted(["images/mine.png", *views, "notes.txt", "transforms.json"])
    with Image.open(folder / views[0]) as picture:
        assert picture.getpixel((0, 0)) == (200, 0, 0, 128)


def test_a_capture_that_was_not_replaced_in_the_end_is_as_it_was(tmp_path: Path) -> None:
    place = CaptureFolder(tmp_path / "scene", "KEEP")
    folder = place.finish(take(place))
    before = {name: (folder / name).read_bytes() for name in files_in(folder)}
    place = CaptureFolder(folder, "REPLACE")
    take(place, 6, shade=99)
    place.discard()
    assert {name: (folder / name).read_bytes() for name in files_in(folder)} == before


def test_extending_adds_pictures_under_new_names_and_keeps_the_points(tmp_path: Path) -> None:
    place = CaptureFolder(tmp_path / "scene", "KEEP")
    folder = place.finish(take(place, 4), points(5))
    place = CaptureFolder(folder, "EXTEND")
    place.finish(take(place, 5, shade=50), points(99))
    capture = load_capture(folder)
    assert len(capture.views) == 9 and len({view.name for view in capture.views}) == 9
    assert capture.points is not None and len(capture.points.positions) == 5
    with Image.open(folder / "images/view_0000_2.png") as picture:
        assert picture.getpixel((0, 0)) == (50, 0, 0, 128)


def test_another_folder_is_never_written_into(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"dear to me")
    for existing in ("KEEP", "REPLACE", "EXTEND"):
        with pytest.raises(UserError, match="something else than a capture of a scene"):
            CaptureFolder(tmp_path, existing)
    # Also not when it is a capture of photos.
    (tmp_path / "transforms.json").write_text('{"frames": []}')
    with pytest.raises(UserError, match="something else"):
        CaptureFolder(tmp_path, "REPLACE")


def test_a_capture_file_cannot_have_files_deleted_outside_its_folder(tmp_path: Path) -> None:
    place = CaptureFolder(tmp_path / "scene", "KEEP")
    folder = place.finish(take(place))
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"precious")
    path = folder / "transforms.json"
    path.write_text(path.read_text().replace("images/view_0000.png", "../outside.png"))
    place = CaptureFolder(folder, "REPLACE")
    place.finish(take(place))
    assert outside.read_bytes() == b"precious"


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        CaptureFolder(tmp_path / "file" / "scene", "KEEP")


def test_names_of_cameras_become_names_of_files(tmp_path: Path) -> None:
    place = CaptureFolder(tmp_path / "scene", "KEEP")
    assert place.new_name("Kamera/ä: 1_0003") == "images/Kamera_1_0003.png"
    assert place.new_name("...") == "images/view.png"


def test_meshes_lie_beside_the_pictures_under_their_objects_names(tmp_path: Path) -> None:
    place = CaptureFolder(tmp_path / "scene", "KEEP")
    names = ["Körper/1", "Körper/1", "Cube"]
    folder = place.finish(take(place), None, [NamedMesh(name, *TRIANGLE) for name in names])
    listed = json.loads((folder / "transforms.json").read_text())["splatwright_meshes"]
    assert [entry["object"] for entry in listed] == names
    for entry in listed:
        mesh = read_mesh(folder / entry["file_path"])
        np.testing.assert_array_equal(mesh.vertices, TRIANGLE[0])
        np.testing.assert_array_equal(mesh.faces, TRIANGLE[1])


def test_points_lie_on_the_triangles_spread_by_area() -> None:
    small = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    large = np.array([[0, 0, 5], [3, 0, 5], [0, 3, 5]], np.float32)  # nine times as large
    face = np.array([[0, 1, 2]])
    red, blue = np.array([[255, 0, 0]], np.uint8), np.array([[0, 0, 255]], np.uint8)
    positions, colors = capture_file.points_on([(small, face, red), (large, face, blue)], 1000)
    on_small = positions[:, 2] == 0
    assert abs(int(on_small.sum()) - 100) <= 1
    assert (colors[on_small] == red).all() and (colors[~on_small] == blue).all()
    flat = positions[~on_small, :2] / 3
    assert (flat >= 0).all() and (flat.sum(axis=1) <= 1 + 1e-6).all()
    assert flat.mean(axis=0) == pytest.approx([1 / 3, 1 / 3], abs=0.03)


@pytest.mark.parametrize("count", [0, 100])
def test_nothing_gives_no_points(count: int) -> None:
    line = (np.zeros((3, 3), np.float32), np.array([[0, 1, 2]]), np.zeros((1, 3), np.uint8))
    for meshes in ([], [line]):
        positions, colors = capture_file.points_on(meshes, count)
        assert positions.shape == colors.shape == (0, 3)


def test_points_outside_of_every_picture_are_not_seen() -> None:
    camera = cameras.view_camera(cameras.Lens(lens=36.0), cameras.frame(40, 20), np.eye(4))  # sees 1 : 1 : 0.5
    points = np.array([(0, 0, -2), (0.9, 0.4, -2), (1.1, 0, -2), (0, 0.6, -2), (0, 0, 2), (0, 0, 0.0)])
    assert capture_file.is_seen(points, [camera]).tolist() == [True, True, False, False, False, False]
    assert not capture_file.is_seen(points, []).any()


# ---- poses of a mesh


def posed(folder: Path, existing: Existing, shifts: tuple[float, ...], mesh: str = "Fox") -> Path:
    """A capture of four photos, frame after frame, in which the mesh is shifted so far."""
    place = CaptureFolder(folder, existing)
    poses = place.poses_of(mesh, moves=len(set(shifts)) > 1)
    pictures = take(place)
    if poses is not None:
        for picture, shift in zip(pictures, shifts, strict=True):
            poses.take(picture.file_path, int(10 * shift), TRIANGLE[0] + np.float32(shift))
    return place.finish(pictures, poses=poses)


def test_a_training_on_a_mesh_reads_how_it_stood_in_each_photo(tmp_path: Path) -> None:
    folder = posed(tmp_path / "fox", "KEEP", (0, 1, 1, 2))
    found, capture = read_mesh_poses(folder / POSES_FILE), load_capture(folder)
    assert len(found) == 3, "photos of one frame share a pose"
    found.refuse_unfitting(3, (view.name for view in capture.views))
    for view, shift in zip(sorted(capture.views, key=lambda view: view.name), (0, 1, 1, 2), strict=True):
        np.testing.assert_array_equal(found.vertices[found.of(view.name)], TRIANGLE[0] + shift)


def test_photos_of_one_frame_have_no_file_of_poses_and_replacing_takes_it_away(tmp_path: Path) -> None:
    posed(tmp_path / "fox", "KEEP", (0, 1, 1, 2))
    folder = posed(tmp_path / "fox", "REPLACE", (0, 0, 0, 0))
    assert not (folder / POSES_FILE).exists()
    assert (posed(folder, "REPLACE", (0, 1, 2, 3)) / POSES_FILE).exists()


def test_a_capture_is_extended_with_its_poses(tmp_path: Path) -> None:
    posed(tmp_path / "fox", "KEEP", (0, 1, 1, 2))
    folder = posed(tmp_path / "fox", "EXTEND", (5, 5, 5, 5))
    found = read_mesh_poses(folder / POSES_FILE)
    found.refuse_unfitting(3, (view.name for view in load_capture(folder).views))
    assert len(found) == 4 and len(found.shown) == 8
    posed(folder, "REPLACE", (1, 1, 1, 1))
    assert not (folder / POSES_FILE).exists()


def test_photos_with_poses_and_without_are_not_mixed(tmp_path: Path) -> None:
    posed(tmp_path / "fox", "KEEP", (0, 1, 1, 2))
    with pytest.raises(UserError, match="'Fox' stood"):
        posed(tmp_path / "fox", "EXTEND", (0, 1, 1, 2), mesh="")
    with pytest.raises(UserError, match="'Fox' stood"):
        posed(tmp_path / "fox", "EXTEND", (0, 1, 1, 2), mesh="Wolf")
    posed(tmp_path / "still", "KEEP", (0, 0, 0, 0))
    with pytest.raises(UserError, match="do not say how 'Fox' stood"):
        posed(tmp_path / "still", "EXTEND", (0, 1, 1, 2))
    (tmp_path / "fox" / POSES_FILE).write_bytes(b"nothing")
    with pytest.raises(UserError, match="cannot be read"):
        posed(tmp_path / "fox", "EXTEND", (0, 1, 1, 2))


def test_a_mesh_that_changes_its_vertices_is_said() -> None:
    poses = MeshPoses("Fox")
    poses.take("images/a.png", 1, TRIANGLE[0])
    with pytest.raises(UserError, match=r"2 vertices in photo images/b\.png, and 3 before"):
        poses.take("images/b.png", 2, TRIANGLE[0][:2])
    with pytest.raises(UserError, match="no numbers"):
        poses.take("images/b.png", 2, TRIANGLE[0] * np.float32(np.nan))
