"""The overlay against goldens, against the truth, and against what must be in front of what."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import golden
import made_splats
import numpy as np
import pytest
import splat_scene
from golden import Draw
from served_backend import REPOSITORY, ServedBackend

WIDTH, HEIGHT = 320, 240


@pytest.fixture
def ball(connected: ModuleType, tmp_path: Path) -> Any:
    return splat_scene.make(tmp_path)


@pytest.fixture
def drawn(room: Callable[[str], ModuleType]) -> Draw:
    return golden.viewport(room, WIDTH, HEIGHT)


def place(picture: np.ndarray, point: tuple[float, float, float]) -> np.ndarray:
    """The pixel where the camera sees a point of the world."""
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    x, y, _ = world_to_camera_view(bpy.context.scene, bpy.context.scene.camera, Vector(point))
    return picture[int((1 - y) * HEIGHT), int(x * WIDTH)]


def test_a_mesh_in_front_and_one_through_the_middle(ball: Any, drawn: Draw) -> None:
    picture = drawn()
    golden.compare(picture, "overlay_perspective.png")
    ball.hide_set(True)
    without = drawn()
    ball.hide_set(False)
    cube = (1.0, -1.31, 0.4)  # its side, in front of the ball
    assert (place(picture, cube) == place(without, cube)).all()
    crown = (0.0, 0.0, 1.0)
    assert place(picture, crown)[2] > 0.85  # blue grows with z
    on_the_plane = (1.9, -0.3, -0.6)  # beside the ball
    assert (place(picture, on_the_plane) == place(without, on_the_plane)).all()
    behind_the_ball = (-1.635, 1.54, -0.6)  # on the plane, where the ball's solid half covers it
    assert np.abs(place(picture, behind_the_ball) - place(without, behind_the_ball)).max() > 0.2


@pytest.mark.slow
@pytest.mark.skipif(bpy.app.version < (5, 1), reason="EEVEE takes half a minute to start without a GPU; once is enough")
def test_meshes_hide_splats_also_where_blender_draws_no_depth(ball: Any, drawn: Draw) -> None:
    """EEVEE without overlays."""
    space = next(a for a in bpy.context.window.screen.areas if a.type == "VIEW_3D").spaces.active
    space.shading.type = "MATERIAL"
    try:
        picture = drawn()
        ball.hide_set(True)
        without = drawn()
        ball.hide_set(False)
    finally:
        space.shading.type = "SOLID"
    cube = (1.0, -1.31, 0.4)  # its side, in front of the ball
    assert (place(picture, cube) == place(without, cube)).all()
    crown = (0.0, 0.0, 1.0)
    assert np.abs(place(picture, crown) - place(without, crown)).max() > 0.2
    behind_the_ball = (-1.635, 1.54, -0.6)  # on the plane, where the ball's solid half covers it
    assert np.abs(place(picture, behind_the_ball) - place(without, behind_the_ball)).max() > 0.2


def test_an_orthographic_camera(ball: Any, drawn: Draw) -> None:
    camera = bpy.context.scene.camera.data
    camera.type, camera.ortho_scale = "ORTHO", 5.0
    golden.compare(drawn(), "overlay_orthographic.png")


def test_what_is_not_splats_is_left_as_it_is(ball: Any, drawn: Draw) -> None:
    whole = drawn()
    ball.hide_set(True)
    without = drawn()
    assert 0.05 < (np.abs(whole - without).max(-1) > 0.02).mean() < 0.5
    ball.hide_set(False)
    assert (drawn() == whole).all()


def test_each_duplicate_has_its_own_place_and_shape(ball: Any, drawn: Draw) -> None:
    one = drawn()
    for offset, scale in (((-2.2, 0.0, 0.0), (0.4, 0.4, 0.9)), ((1.2, 1.6, 0.0), (0.5, 0.5, 0.5))):
        copy = ball.copy()
        copy.location, copy.scale = offset, scale
        bpy.context.collection.objects.link(copy)
    collection = bpy.data.collections.new("Instanced")
    inside = ball.copy()
    collection.objects.link(inside)
    empty = bpy.data.objects.new("Instance", None)
    empty.instance_type, empty.instance_collection, empty.location = "COLLECTION", collection, (-2.6, 1.0, 1.4)
    empty.scale = (0.4, 0.4, 0.4)
    bpy.context.collection.objects.link(empty)
    many = drawn()
    for point in ((-2.2, 0.0, 0.0), (1.2, 1.6, 0.0), (-2.6, 1.0, 1.4)):
        assert np.abs(place(many, point) - place(one, point)).max() > 0.05, point
    golden.compare(many, "overlay_duplicates.png")


@pytest.fixture
def fog(connected: ModuleType, tmp_path: Path) -> Any:
    """In it a plane through its middle, larger than what the camera sees."""
    splat_scene.make(tmp_path)
    for item in [item for item in bpy.data.objects if item.type == "MESH"]:
        bpy.data.objects.remove(item)
    made_splats.write_fog(tmp_path / "fog.ply")
    bpy.ops.splatwright.import_splats(filepath=str(tmp_path / "fog.ply"))
    fog = bpy.context.view_layer.objects.active
    fog.rotation_euler = (0, 0, 0)
    bpy.ops.mesh.primitive_plane_add(size=60, rotation=(0.5, 0.2, 0.0))
    return fog


def truth(served: ServedBackend, folder: Path, camera: Any) -> np.ndarray:
    """The fog in front of the plane, [H, W, 4] premultiplied. camera: a ViewCamera."""
    normal = bpy.context.object.matrix_world.to_3x3().col[2]  # the plane goes through the origin
    asked = {
        "plane": [*normal, 0.0],
        "camera": {name: getattr(camera, name) for name in camera.__struct_fields__},
    }
    (folder / "asked.json").write_text(json.dumps(asked), encoding="utf-8")
    script = REPOSITORY / "tests" / "blender" / "brute_force_picture.py"
    command = [served.python, script, folder / "fog.ply", folder / "asked.json", folder / "truth.npy"]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=True)
    return np.load(folder / "truth.npy")


@pytest.mark.parametrize("source", ["meshes", "depth"])
@pytest.mark.parametrize("kind", ["PERSP", "ORTHO"])
def test_a_plane_through_the_middle_of_a_fog_cuts_it_as_brute_force_does(
    fog: Any,
    served_backend: Any,
    room: Callable[[str], ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    kind: str,
) -> None:
    surface, taken = room("host.view_surface"), list[Any]()
    monkeypatch.setattr(surface, "source_of", lambda *_: source)
    take = surface.take
    monkeypatch.setattr(surface, "take", lambda *given: taken.append(take(*given)) or taken[-1])
    bpy.context.scene.camera.data.type, bpy.context.scene.camera.data.ortho_scale = kind, 4.0
    drawn = golden.viewport(room, 160, 120)
    picture = drawn()[..., :3]
    fog.hide_set(True)
    behind = drawn()[..., :3]
    color = truth(served_backend, tmp_path, taken[0].camera)
    there = color[..., 3] > 1 / 255
    expected = color[..., :3] + (1 - color[..., 3:]) * behind
    uncut = np.abs(expected - behind)[there].max()
    assert there.mean() > 0.1 and uncut > 0.2
    decibels = splat_scene.decibels(picture[there], expected[there])
    print(f"{source} {kind}: {decibels:.1f} dB")
    assert decibels >= 40
