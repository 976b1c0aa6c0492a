"""Splats that Blender draws itself, against the backend's pictures of the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import golden
import numpy as np
import pytest
import splat_scene
from made_splats import write_ball, write_shining, write_small

WIDTH, HEIGHT = 320, 240
ALIKE = 35  # dB that the two pictures must reach where there are splats
Room = Callable[[str], ModuleType]
Draw = Callable[..., np.ndarray]


@pytest.fixture
def scene(connected: ModuleType, tmp_path: Path) -> Iterator[Path]:
    """A ball, shining splats that are turned and scaled unevenly, and their mirrored twin; a plane and a cube between.

    It is saved, so that the copies lie beside it. Returns where.
    """
    ball = splat_scene.make(tmp_path)
    write_shining(tmp_path / "shining.ply")
    bpy.ops.splatwright.import_splats(filepath=str(tmp_path / "shining.ply"))
    shining = bpy.context.view_layer.objects.active
    shining.location, shining.rotation_euler, shining.scale = (0.7, 0.4, 0.2), (0.3, 0.8, 0.4), (1.2, 0.5, 0.8)
    twin = shining.copy()
    twin.location, twin.scale = (-1.0, 0.9, 0.6), (-0.5, 0.5, 0.9)
    bpy.context.collection.objects.link(twin)
    ball.scale = (0.9, 0.9, 0.9)
    bpy.context.view_layer.update()
    path = tmp_path / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    assert all(Path(bpy.path.abspath(item.splatwright.file)).is_file() for item in (ball, shining, twin))
    yield path


@pytest.fixture
def drawn(room: Room) -> Draw:
    """drawn(by_blender=...) is the viewport's picture, [H, W, 4] 0..1."""
    golden.viewport(room, WIDTH, HEIGHT)
    offscreen = room("host.offscreen")
    return lambda **how: offscreen.draw_camera(bpy.context.scene.camera, WIDTH, HEIGHT, **how) / 255


def hide_splats(hidden: bool) -> None:
    for item in bpy.data.objects:
        if item.splatwright.asset:
            item.hide_set(hidden)


def compare(drawn: Draw) -> None:
    """Both pictures, where either of them shows splats."""
    hide_splats(True)
    without = drawn(by_blender=True)
    hide_splats(False)
    of_backend, of_blender = drawn(), drawn(by_blender=True)
    seen = np.maximum(np.abs(of_backend - without), np.abs(of_blender - without)).max(-1) > 1 / 255
    assert 0.05 < seen.mean() < 0.9
    assert splat_scene.decibels(of_blender[seen], of_backend[seen]) >= ALIKE


def test_in_perspective(scene: Path, drawn: Draw) -> None:
    compare(drawn)


def test_with_parallel_rays(scene: Path, drawn: Draw) -> None:
    camera = bpy.context.scene.camera.data
    camera.type, camera.ortho_scale = "ORTHO", 5.0
    compare(drawn)


def test_splats_that_want_to_become_fainter_where_they_are_small(
    connected: ModuleType, room: Room, drawn: Draw, tmp_path: Path
) -> None:
    """A PLY has no room for that, so their copy is of the backend's own kind."""
    splat_scene.add_camera()
    write_small(tmp_path / "small.safetensors")
    bpy.ops.splatwright.import_splats(filepath=str(tmp_path / "small.safetensors"))
    small = bpy.context.view_layer.objects.active.splatwright
    assert connected.wait_until(lambda: room("host.versions").of(small.asset), 20)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert Path(bpy.path.abspath(small.file)).suffix == ".safetensors"
    compare(drawn)


# ---- without a backend


@pytest.fixture
def lone(room: Room, no_backend: Any, empty_file: None, tmp_path: Path) -> Any:
    """A ball that only its copy beside the .blend knows; the scene's camera looks at it."""
    (tmp_path / "scene.splats").mkdir()
    write_ball(tmp_path / "scene.splats" / "ball-1.ply")
    ball: Any = bpy.data.objects.new("Ball", bpy.data.meshes.new("Ball"))
    bpy.context.collection.objects.link(ball)
    ball.splatwright.asset, ball.splatwright.version = "ball", "1"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    ball.splatwright.file = "//scene.splats/ball-1.ply"
    splat_scene.add_camera()
    bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y = WIDTH, HEIGHT
    yield ball
    room("host.local_display").forget()


@pytest.fixture
def said(room: Room) -> Callable[[], str]:
    """What the notice in a view says when all is read."""
    local = room("host.local_display")
    space = next(a for a in bpy.context.window.screen.areas if a.type == "VIEW_3D").spaces.active

    def say() -> str:
        try:
            local.make_ready()
        except room("protocol").errors.UserError:
            pass
        view = local.LocalView()
        view.look(bpy.context.evaluated_depsgraph_get(), space, 0)
        return view.notice()

    return say


def place(picture: np.ndarray, point: tuple[float, float, float]) -> np.ndarray:
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    x, y, _ = world_to_camera_view(bpy.context.scene, bpy.context.scene.camera, Vector(point))
    return picture[int((1 - y) * HEIGHT), int(x * WIDTH)]


def test_a_copy_is_drawn_where_its_object_stands(lone: Any, drawn: Draw, said: Callable[[], str]) -> None:
    lone.location.x = 0.5
    bpy.context.view_layer.update()
    picture = drawn(by_blender=True)
    lone.hide_set(True)
    without = drawn(by_blender=True)
    assert place(picture, (0.5, 0, 1))[2] > 0.85  # blue grows with z
    assert (place(picture, (-0.9, 0, 0.9)) == place(without, (-0.9, 0, 0.9))).all()
    assert said() == ""
    lone.hide_set(False)
    assert said() == "Drawn by Blender: 1,500 splats."


def test_only_the_weightiest_are_drawn_where_there_are_too_many(
    lone: Any, addon: Any, drawn: Draw, said: Callable[[], str]
) -> None:
    whole = drawn(by_blender=True)
    addon.chosen.most_splats = 1000
    try:
        fewer = drawn(by_blender=True)
        assert said() == "Drawn by Blender: 1,000 of 1,500 splats."
        twin = lone.copy()
        bpy.context.collection.objects.link(twin)
        assert said() == "Drawn by Blender: 1,000 of 3,000 splats."
    finally:
        addon.chosen.property_unset("most_splats")
    crown, belly = (0, 0, 1), (0.6, -0.6, -0.4)
    assert (place(fewer, crown) == place(whole, crown)).all()  # the solid half weighs most
    assert np.abs(place(fewer, belly) - place(whole, belly)).max() > 0.02


def test_a_view_says_what_it_does_not_show(lone: Any, addon: Any, said: Callable[[], str]) -> None:
    lone.splatwright.version = "2"
    assert "'Ball' is shown as it was copied, which is another version." in said()
    lone.splatwright.version = "1"
    bpy.ops.mesh.primitive_cube_add()
    lone.splatwright.mesh = bpy.context.object
    assert said().endswith("What follows a mesh is shown at rest.")
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.splatwright.asset = "another"
    without = f"'{bpy.context.object.name}' is not drawn: it has no copy beside the file."
    assert without in said()
    lone.hide_set(True)
    assert said() == ""  # the view says then that there is no backend
    addon.chosen.drawn_by = "BLENDER"
    try:
        assert said() == without
    finally:
        addon.chosen.property_unset("drawn_by")


def test_a_damaged_copy_is_said_and_nothing_else_is_lost(
    lone: Any, drawn: Draw, room: Room, said: Callable[[], str], tmp_path: Path
) -> None:
    twin = lone.copy()
    bpy.context.collection.objects.link(twin)
    whole = (tmp_path / "scene.splats" / "ball-1.ply").read_bytes()
    (tmp_path / "scene.splats" / "ball-2.ply").write_bytes(whole[:-100])
    twin.splatwright.version, twin.splatwright.file = "2", "//scene.splats/ball-2.ply"
    with pytest.raises(room("protocol").errors.UserError, match=r"ball-2\.ply' is damaged: it is shorter"):
        drawn(by_blender=True)
    notice = said()
    assert notice.startswith("Drawn by Blender: 1,500 splats.") and "is damaged: it is shorter than it says" in notice
    (tmp_path / "scene.splats" / "ball-2.ply").write_bytes(whole)
    assert said() == "Drawn by Blender: 3,000 splats."


def test_copies_are_read_beside_blender(lone: Any, room: Room) -> None:
    """As the tick does it."""
    local, current = room("host.local_display"), room("host.current")
    local.forget()
    view = local.LocalView()
    space = next(a for a in bpy.context.window.screen.areas if a.type == "VIEW_3D").spaces.active
    depsgraph = bpy.context.evaluated_depsgraph_get()
    local.advance(1)
    assert not view.look(depsgraph, space, 1) and view.notice() == "Splats are being read."
    assert current.wait_until(lambda: view.look(depsgraph, space, 1), 20)
    assert local.is_drawing()
    view.rest()
    assert not local.is_drawing() and view.notice() == ""


# ---- who draws


def test_blender_draws_where_no_backend_does_or_as_it_is_told(addon: Any, room: Room) -> None:
    local = room("host.local_display")
    wanted = {}
    try:
        for mode in ("AUTOMATIC", "BACKEND", "BLENDER"):
            addon.chosen.drawn_by = mode
            wanted[mode] = local.is_wanted(True)
    finally:
        addon.chosen.property_unset("drawn_by")
    assert wanted == {"AUTOMATIC": True, "BACKEND": False, "BLENDER": True}


def test_the_backend_draws_where_there_is_one_once_it_has_a_picture(scene: Path, room: Room) -> None:
    local = room("host.local_display")
    assert not local.is_wanted(True) and local.is_wanted(False)
    local.advance(1)
    assert not local.is_drawing()  # nothing is read where the backend will draw


def test_the_backend_is_asked_for_nothing_where_blender_draws_by_choice(
    scene: Path, connected: ModuleType, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    eyes, viewport, local = room("host.eyes"), room("host.viewport"), room("host.local_display")
    preferences = room("host.preferences").chosen()
    monkeypatch.setattr(room("host.current"), "is_interactive", lambda: True)
    area = next(a for a in bpy.context.window.screen.areas if a.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    eye = eyes.Eye()
    monkeypatch.setitem(eyes.by_region, region.as_pointer(), eye)
    matrix = (1, 0, 0, 0, 0, 0, -1, 0, 0, 1, 0, 6, 0, 0, 0, 1)
    eye.camera = room("protocol").things.ViewCamera(matrix, fx=200, fy=200, cx=80, cy=60, width=160, height=120)

    def is_drawn_by_blender() -> bool:
        viewport.advance()
        wanted = local.is_wanted(eye.picture is not None)
        return wanted and eye.local.look(bpy.context.evaluated_depsgraph_get(), area.spaces.active, eyes.state)

    preferences.drawn_by = "BLENDER"
    try:
        assert connected.wait_until(is_drawn_by_blender, 20)
        assert eye.view.wish is None and eye.view.asked is None and eye.picture is None
        whole = "Drawn by Blender: 3,100 splats."
        notice = room("host.viewport_drawing").notice
        assert connected.wait_until(lambda: is_drawn_by_blender() and notice(eye) == whole, 20)
    finally:
        preferences.property_unset("drawn_by")
    assert connected.wait_until(lambda: (viewport.advance(), eye.picture)[1] is not None, 20)
    assert not is_drawn_by_blender()
    assert notice(eye) == ""
