"""Photos are picked, and the cameras of a capture come into Blender, as a real backend reads them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Euler, Matrix, Vector

SIZE = (60, 40)
LENS = {"fl_x": 80.0, "fl_y": 76.0, "cx": 33.0, "cy": 18.0}
POINTS = np.array([(0, 0, 0), (0.4, -0.3, 0.2), (-0.2, 0.1, 0.5)])


def photo(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = bpy.data.images.new("photo", *SIZE)
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)
    return path


@pytest.fixture
def posed(empty_file: None, tmp_path: Path) -> Path:
    """Five photos around the origin, by a camera whose pixels are not square and whose lens is off the middle."""
    frames = []
    for i in range(5):
        turn = Euler((1.2, 0.1 * i, math.tau * i / 5)).to_matrix().to_4x4()
        matrix = turn @ Matrix.Translation((0, 0, 3))  # looks at the origin
        photo(tmp_path / "posed" / "images" / f"IMG_{i}.png")
        frames.append({"file_path": f"images/IMG_{i}.png", "transform_matrix": [list(row) for row in matrix]})
    written = {**LENS, "w": SIZE[0], "h": SIZE[1], "frames": frames}
    (tmp_path / "posed" / "transforms.json").write_text(json.dumps(written))
    return tmp_path / "posed"


def pixels(camera: bpy.types.Object, points: np.ndarray) -> np.ndarray:
    """Where Blender sees points of the world, in pixels from the upper left corner, [N, 2]."""
    scene: Any = bpy.context.scene
    shares = np.array([world_to_camera_view(scene, camera, Vector(point))[:2] for point in points])
    return np.stack([shares[:, 0] * SIZE[0], (1 - shares[:, 1]) * SIZE[1]], axis=-1)


def wanted(folder: Path, index: int) -> np.ndarray:
    """Where the capture's file says that they are."""
    frame = json.loads((folder / "transforms.json").read_text())["frames"][index]
    camera = np.linalg.inv(frame["transform_matrix"])
    x, y, z = (POINTS @ camera[:3, :3].T + camera[:3, 3]).T
    return np.stack([LENS["fl_x"] * x / -z + LENS["cx"], LENS["fl_y"] * y / z + LENS["cy"]], axis=-1)


def imported() -> list[Any]:
    return sorted((o for o in bpy.data.objects if o.type == "CAMERA"), key=lambda o: o.name)


def test_cameras_see_what_the_photos_saw(backend: Any, posed: Path, extension: ModuleType) -> None:
    assert bpy.ops.splatwright.import_capture_cameras(capture=str(posed)) == {"FINISHED"}
    bpy.context.view_layer.update()
    cameras = imported()
    assert [camera.name for camera in cameras] == [f"IMG_{i}" for i in range(5)]
    render: Any = bpy.context.scene.render
    assert (render.resolution_x, render.resolution_y) == SIZE
    for i, camera in enumerate(cameras):
        np.testing.assert_allclose(pixels(camera, POINTS), wanted(posed, i), atol=1e-3)
        (background,) = camera.data.background_images
        assert Path(bpy.path.abspath(background.image.filepath)) == posed / "images" / f"IMG_{i}.png"
        assert camera.data.show_background_images and background.frame_method == "STRETCH"
    collection = bpy.data.collections["Cameras of posed"]
    assert {camera.name for camera in cameras} < {object.name for object in collection.objects}


def test_cameras_move_with_their_splats(backend: Any, posed: Path, extension: ModuleType) -> None:
    splats = bpy.data.objects.new("Splats", bpy.data.meshes.new("Splats"))
    splats.splatwright.asset = "some"
    bpy.context.scene.collection.objects.link(splats)
    splats.matrix_world = Matrix.LocRotScale(Vector((3, 1, 2)), Euler((0.3, 0.4, 0.5)), Vector((2, 2, 2)))
    bpy.ops.splatwright.import_capture_cameras(capture=str(posed), backgrounds=False)
    for turn in (0.5, 1.5):
        splats.rotation_euler.z = turn
        bpy.context.view_layer.update()
        moved = np.array([splats.matrix_world @ Vector(point) for point in POINTS])
        for i, camera in enumerate(imported()):
            assert not len(camera.data.background_images)
            np.testing.assert_allclose(pixels(camera, moved), wanted(posed, i), atol=2e-3)


def test_paths_of_photos_are_relative_where_the_file_is_saved(backend: Any, posed: Path, extension: ModuleType) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(posed.parent / "scene.blend"))
    bpy.ops.splatwright.import_capture_cameras(capture=str(posed))
    (background,) = imported()[0].data.background_images
    assert background.image.filepath.replace("\\", "/") == "//posed/images/IMG_0.png"


def test_the_scenes_own_resolution_can_stay(backend: Any, posed: Path, extension: ModuleType) -> None:
    render: Any = bpy.context.scene.render
    before = (render.resolution_x, render.resolution_y, render.pixel_aspect_x, render.pixel_aspect_y)
    bpy.ops.splatwright.import_capture_cameras(capture=str(posed), match_scene=False)
    assert (render.resolution_x, render.resolution_y, render.pixel_aspect_x, render.pixel_aspect_y) == before


def test_what_does_not_fit_is_said(posed: Path, room: Callable[[str], ModuleType]) -> None:
    things, create = room("protocol").things, room("host.photo_cameras").create

    def view(name: str, width: int, distorted: bool) -> Any:
        camera = things.ViewCamera(things.IDENTITY, 50.0, 50.0, width / 2, 20.0, width, 40)
        return things.CapturedView(name=name, path="nowhere", camera=camera, distorted=distorted)

    views = [view("a.jpg", 60, True), view("b.jpg", 60, False), view("c.jpg", 80, True)]
    _, remarks = create(bpy.context, views, posed)
    assert bpy.context.scene.render.resolution_x == 60
    assert "2 different sizes" in remarks[0] and "2 photos are bent" in remarks[1]


def test_a_capture_without_cameras_is_refused_in_a_sentence(backend: Any, posed: Path, extension: ModuleType) -> None:
    (posed / "transforms.json").unlink()
    with pytest.raises(RuntimeError, match="holds no cameras"):
        bpy.ops.splatwright.import_capture_cameras(capture=str(posed))
    assert not imported()


# ---- picking


def test_a_folder_is_picked(posed: Path, extension: ModuleType) -> None:
    chosen: Any = bpy.context.scene.splatwright
    chosen.capture_kind = "SCENE"
    assert bpy.ops.splatwright.pick_capture_folder(directory=str(posed)) == {"FINISHED"}
    assert (chosen.capture_kind, Path(chosen.capture_path)) == ("FOLDER", posed)
    (posed.parent / "video").mkdir()
    (posed.parent / "video" / "clip.mp4").write_bytes(b"")
    with pytest.raises(RuntimeError, match=r"clip\.mp4 is a video"):
        bpy.ops.splatwright.pick_capture_folder(directory=str(posed.parent / "video"))
    assert Path(chosen.capture_path) == posed  # as it was


def test_some_photos_are_picked(posed: Path, extension: ModuleType) -> None:
    files = [{"name": f"IMG_{i}.png"} for i in range(4)]
    bpy.ops.splatwright.pick_photos(directory=str(posed / "images"), files=files)
    folder = Path(bpy.context.scene.splatwright.capture_path)
    assert folder == posed / "images_chosen"
    assert sorted(path.name for path in (folder / "images").iterdir()) == [file["name"] for file in files]
