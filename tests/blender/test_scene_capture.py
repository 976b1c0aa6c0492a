"""Captures of the scene: what is rendered, what the backend would read, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import numpy as np
import pytest
import small_tower
from small_tower import VIEWS, capture, told, unusual


@pytest.fixture
def scene(empty_file: None) -> Any:
    return small_tower.make()


def alpha(path: Path) -> np.ndarray:
    """[H, W], first row on top."""
    image = bpy.data.images.load(str(path), check_existing=False)
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[::-1, :, 3]


def projected(frame: dict[str, Any], points: np.ndarray) -> np.ndarray:
    """Pixels [N, 2], from what the file says alone."""
    camera = np.linalg.inv(frame["transform_matrix"])
    x, y, z = (points @ camera[:3, :3].T + camera[:3, 3]).T  # OpenGL's axes
    return np.stack([frame["fl_x"] * x / -z + frame["cx"], frame["fl_y"] * y / z + frame["cy"]], axis=-1)


def corners(scene: Any) -> np.ndarray:
    return np.concatenate(
        [np.array([o.matrix_world @ v.co for v in o.data.vertices]) for o in scene.objects if o.type == "MESH"]
    )


# ---- what comes out


def test_pictures_fit_to_their_cameras(scene: Any, tmp_path: Path) -> None:
    unusual(scene)
    scene.splatwright.capture.samples = 16
    assert capture(tmp_path / "tower") == {"FINISHED"}
    frames = told(tmp_path / "tower")["frames"]
    assert len(frames) == VIEWS
    for frame in frames:
        seen = alpha(tmp_path / "tower" / frame["file_path"]) > 0.5
        assert seen.shape == (frame["h"], frame["w"]) == (64, 96)
        rows, columns = np.nonzero(seen)
        found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        pixels = projected(frame, corners(scene))
        wanted = np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
        assert np.abs(found - wanted).max() < 1.0
        assert wanted.min() > 0 and (wanted[2:] < (96, 64)).all()  # all of it is in the picture


def test_the_selection_is_in_the_middle_and_fills_the_picture(scene: Any, tmp_path: Path) -> None:
    scene.objects["Cube.001"].select_set(True)
    capture(tmp_path / "top")
    middle, small = np.array([[0.5, 0.2, 1.5]]), corners(scene)[8:]
    for frame in told(tmp_path / "top")["frames"]:
        np.testing.assert_allclose(projected(frame, middle), [(48, 32)], atol=1e-3)
        pixels = projected(frame, small)
        assert (pixels > 0).all() and (pixels < (96, 64)).all() and np.ptp(pixels[:, 1]) > 32


def test_points_lie_on_the_objects_in_their_colours(scene: Any, tmp_path: Path) -> None:
    capture(tmp_path / "tower")
    content = (tmp_path / "tower" / told(tmp_path / "tower")["ply_file_path"]).read_bytes()
    head, body = content.split(b"end_header\n", 1)
    assert b"element vertex 500" in head
    points = np.frombuffer(body, [("position", "<f4", 3), ("color", "u1", 3)])
    on_top = points["color"][:, 1] == 255
    apart = np.abs(points["position"] - np.float32([[0.5, 0.2, 1.5]])).max(axis=1)
    np.testing.assert_allclose(apart[on_top], 0.5, atol=1e-5)
    np.testing.assert_allclose(np.abs(points["position"][~on_top]).max(axis=1), 1, atol=1e-5)
    assert (points["color"][~on_top] == (255, 0, 0)).all()


def test_only_the_selected_shows_and_meshes_come_along(scene: Any, tmp_path: Path) -> None:
    chosen = scene.splatwright.capture
    chosen.only_selected = chosen.meshes = True
    scene.objects["Cube.001"].select_set(True)
    capture(tmp_path / "top")
    assert [entry["object"] for entry in told(tmp_path / "top")["splatwright_meshes"]] == ["Cube.001"]
    frame = told(tmp_path / "top")["frames"][0]
    below = projected(frame, np.array([[-0.9, -0.9, -0.9]]))[0].astype(int)
    seen = alpha(tmp_path / "top" / frame["file_path"])
    assert not (0 <= below[0] < 96 and 0 <= below[1] < 64 and seen[below[1], below[0]] > 0)
    assert scene.objects["Cube"].hide_render is False


def test_workbench_shows_the_colours_of_the_solid_view(scene: Any, tmp_path: Path) -> None:
    scene.splatwright.capture.engine = "WORKBENCH"
    scene.display.shading.light, scene.display.shading.color_type = "FLAT", "SINGLE"
    scene.display.shading.single_color = (0.0, 0.0, 1.0)
    assert capture(tmp_path / "tower") == {"FINISHED"}
    image = bpy.data.images.load(str(tmp_path / "tower" / "images" / "view_0000.png"))
    pixels = np.array(image.pixels[:]).reshape(-1, 4)
    opaque = pixels[:, 3] > 0.99  # 254 of 255 in Blender 4.5
    assert opaque.any() and not opaque.all()
    np.testing.assert_allclose(pixels[opaque], np.broadcast_to((0, 0, 1, 1), (opaque.sum(), 4)), atol=0.01)
    assert scene.render.engine != "BLENDER_WORKBENCH"


def test_splats_are_not_in_the_pictures(scene: Any, tmp_path: Path) -> None:
    scene.objects["Cube.001"].splatwright.asset = "some"
    capture(tmp_path / "tower")
    for frame in told(tmp_path / "tower")["frames"]:
        rows, _ = np.nonzero(alpha(tmp_path / "tower" / frame["file_path"]) > 0.5)
        assert rows.min() >= projected(frame, corners(scene)[:8])[:, 1].min() - 1
    assert scene.objects["Cube.001"].hide_render is False


def test_splats_in_the_final_render_are_not_asked_for(
    no_backend: Any, scene: Any, tmp_path: Path, room: Callable[[str], ModuleType]
) -> None:
    room("host.render_nodes").set_up(scene)
    bpy.ops.mesh.primitive_cube_add(location=(9, 9, 9))
    bpy.context.object.splatwright.asset = "some"
    capture(tmp_path / "tower")
    assert room("host.current").session().failure is None


def test_the_background_can_stay(scene: Any, tmp_path: Path) -> None:
    scene.splatwright.capture.transparent = False
    capture(tmp_path / "tower")
    assert alpha(tmp_path / "tower" / "images" / "view_0000.png").min() == 1


def test_chosen_cameras_take_pictures_over_frames_with_the_scenes_own_frame(scene: Any, tmp_path: Path) -> None:
    bpy.ops.object.camera_add(location=(14, 0, 0), rotation=(math.pi / 2, 0, math.pi / 2))
    camera: Any = bpy.context.object
    camera.name, camera.data.shift_x, camera.data.sensor_fit = "Dolly", 0.05, "VERTICAL"
    for frame, height in ((1, 0.0), (9, 2.0)):
        camera.location.z = height
        camera.keyframe_insert("location", frame=frame)
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage, render.pixel_aspect_y = 200, 120, 50, 1.25
    chosen = scene.splatwright.capture
    chosen.source, chosen.animated, chosen.samples = "CAMERAS", True, 16
    chosen.frame_start, chosen.frame_end, chosen.frame_step = 1, 9, 2
    scene.frame_set(4)
    assert capture(tmp_path / "dolly") == {"FINISHED"}
    frames = told(tmp_path / "dolly")["frames"]
    assert [Path(frame["file_path"]).stem for frame in frames] == [f"Dolly_{i:04d}" for i in (1, 3, 5, 7, 9)]
    heights = [frame["transform_matrix"][2][3] for frame in frames]
    assert heights[0] == pytest.approx(0) and heights[-1] == pytest.approx(2) and heights == sorted(heights)
    assert scene.frame_current == 4
    for frame in frames:
        rows, columns = np.nonzero(alpha(tmp_path / "dolly" / frame["file_path"]) > 0.5)
        pixels = projected(frame, corners(scene))
        assert np.abs([columns.min(), rows.min()] - pixels.min(axis=0)).max() < 1
        assert np.abs([columns.max() + 1, rows.max() + 1] - pixels.max(axis=0)).max() < 1


def test_pictures_around_are_spread_over_frames_with_the_pose_of_the_mesh_in_each(scene: Any, tmp_path: Path) -> None:
    tower = next(item for item in scene.objects if item.type == "MESH")
    for frame, height in ((1, 0.0), (9, 4.0)):
        tower.location.z = height
        tower.keyframe_insert("location", index=2, frame=frame)
    chosen = scene.splatwright.capture
    scene.splatwright.bind_mesh, chosen.engine = tower, "WORKBENCH"
    chosen.spread, chosen.frame_start, chosen.frame_end, chosen.frame_step = True, 1, 9, 4
    scene.frame_set(1)
    assert capture(tmp_path / "tower") == {"FINISHED"}
    frames = told(tmp_path / "tower")["frames"]
    assert len(frames) == VIEWS and scene.frame_current == 1
    poses = np.load(tmp_path / "tower" / "mesh_poses.npz")
    assert poses["vertices"].shape == (3, 8, 3)
    assert np.bincount(poses["poses"]).tolist() == [2, 2, 2]
    shown = dict(zip(poses["photos"].tolist(), poses["poses"].tolist(), strict=True))
    assert set(shown) == {f"view_{number:04d}" for number in range(VIEWS)}
    heights = poses["vertices"][:, :, 2].mean(1)
    assert heights == pytest.approx([0, 2, 4], abs=1e-4)
    capture(tmp_path / "alone", existing="KEEP")
    chosen.spread = False
    capture(tmp_path / "alone", existing="REPLACE")
    assert not (tmp_path / "alone" / "mesh_poses.npz").exists()


def test_selected_cameras_can_take_pictures_of_the_selected_objects_alone(scene: Any, tmp_path: Path) -> None:
    for i in range(4):
        bpy.ops.object.camera_add(location=(0, 0, 8 + i))
    for object in scene.objects:
        object.select_set(object.type == "CAMERA" or object.name == "Cube.001")
    chosen = scene.splatwright.capture
    chosen.source, chosen.only_selected = "CAMERAS", True
    scene.render.resolution_x = scene.render.resolution_y = 64
    capture(tmp_path / "top")
    for frame in told(tmp_path / "top")["frames"]:
        rows, columns = np.nonzero(alpha(tmp_path / "top" / frame["file_path"]) > 0.5)
        pixels = projected(frame, corners(scene)[8:])
        assert np.abs([columns.min(), rows.min()] - pixels.min(axis=0)).max() < 1.5
    scene.objects["Cube.001"].select_set(False)
    with pytest.raises(RuntimeError, match="No object is selected"):
        capture(tmp_path / "none")


# ---- what is there already


def test_a_capture_is_kept_replaced_or_extended_as_it_is_said(scene: Any, tmp_path: Path) -> None:
    folder = tmp_path / "tower"
    capture(folder)
    before = {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    with pytest.raises(RuntimeError, match="holds a capture already"):
        capture(folder)
    assert {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.png")} == before
    scene.splatwright.capture.count = 4
    assert capture(folder, existing="EXTEND") == {"FINISHED"}
    assert len(told(folder)["frames"]) == VIEWS + 4
    assert capture(folder, existing="REPLACE") == {"FINISHED"}
    assert len(told(folder)["frames"]) == 4 == len(list(folder.rglob("*.png")))


def test_afterwards_the_training_finds_the_capture(
    scene: Any, tmp_path: Path, room: Callable[[str], ModuleType]
) -> None:
    find = room("ui.operators_train").capture_folder
    scene.splatwright.capture_kind = "FOLDER"
    capture(tmp_path / "tower")
    assert Path(find(scene)) == tmp_path / "tower"


# ---- what is refused


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("unsaved", "was not saved yet"),
        ("nothing", "nothing to capture"),
        ("few", "capture needs 4 or more"),
        ("orthographic", "'Camera' is orthographic"),
        ("word", "cannot be 'AGAIN'"),
        ("elevations", "lowest elevation is above the highest"),
        ("elsewhere", "something else than a capture"),
    ],
)
def test_what_cannot_be_captured_is_said_in_a_sentence(case: str, message: str, scene: Any, tmp_path: Path) -> None:
    chosen, folder, options = scene.splatwright.capture, str(tmp_path / "tower"), {}
    if case == "unsaved":
        folder = "//tower"
    elif case == "nothing":
        for object in scene.objects:
            object.hide_render = True
    elif case in ("few", "orthographic"):
        bpy.ops.object.camera_add()
        chosen.source = "CAMERAS"
        bpy.context.object.data.type = "ORTHO" if case == "orthographic" else "PERSP"
    elif case == "word":
        options = {"existing": "AGAIN"}
    elif case == "elevations":
        chosen.lowest, chosen.highest = 1.0, 0.5
    else:
        Path(folder).mkdir()
        Path(folder, "letter.txt").write_text("dear to me")
    with pytest.raises(RuntimeError, match=message):
        bpy.ops.splatwright.capture_scene(folder=folder, **options)
    assert not (tmp_path / "tower.splatwright-unfinished").exists()


# ---- the preview


def test_the_planned_cameras_are_shown_and_follow_the_choices(scene: Any, tmp_path: Path) -> None:
    bpy.ops.splatwright.preview_capture()
    shown = scene.objects["Capture cameras"]
    eyes = np.array([vertex.co for vertex in shown.data.vertices]).reshape(VIEWS, 6, 3)[:, 0]
    scene.splatwright.capture.count = VIEWS  # as it was
    capture(tmp_path / "tower")
    taken = np.array([frame["transform_matrix"] for frame in told(tmp_path / "tower")["frames"]])
    np.testing.assert_allclose(eyes, taken[:, :3, 3], atol=1e-5)
    scene.splatwright.capture.count = 9
    assert len(shown.data.vertices) == 9 * 6
    scene.splatwright.capture.lowest = 1.5
    assert len(shown.data.vertices) == 0  # there is no such plan
    scene.splatwright.capture.lowest = 0.0
    assert len(shown.data.vertices) == 9 * 6
    bpy.ops.splatwright.preview_capture(visible=False)
    assert "Capture cameras" not in bpy.data.objects and "Capture cameras" not in bpy.data.meshes


def test_the_panel_shows_what_matters(scene: Any, draw: Callable[..., Any]) -> None:
    chosen = scene.splatwright.capture
    scene.splatwright.capture_kind = "SCENE"
    around = draw("SPLATWRIGHT_PT_capture")
    assert {"count", "lowest", "width", "folder"} <= set(around.properties)
    assert {"rings", "seed", "animated", "frame_start"}.isdisjoint(around.properties)
    chosen.spread = True
    assert {"spread", "frame_start", "frame_end"} <= set(draw("SPLATWRIGHT_PT_capture").properties)
    assert {"splatwright.capture_scene", "splatwright.preview_capture"} <= set(around.operators)
    chosen.source, chosen.animated, chosen.engine = "CAMERAS", True, "WORKBENCH"
    cameras = draw("SPLATWRIGHT_PT_capture")
    assert {"frame_start", "frame_end", "frame_step"} <= set(cameras.properties)
    assert {"count", "samples", "denoise"}.isdisjoint(cameras.properties)
