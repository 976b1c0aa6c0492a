"""Splats whose mesh gets other vertices or faces are bound again by themselves, where it is still the same surface."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bound_ball
import bpy
import numpy as np
import pytest
from bound_ball import followed

Room = Callable[[str], ModuleType]


@pytest.fixture
def bound(connected: ModuleType, room: Room, tmp_path: Path) -> tuple[Any, Any]:
    ball, mesh = bound_ball.make(connected, room, tmp_path)
    bpy.context.view_layer.objects.active = ball
    assert followed(room, connected, ball)
    return ball, mesh


@pytest.fixture
def ticked(room: Room) -> Callable[[], None]:
    """The tick as a timer would call it, for longer than a mesh has to keep its topology."""

    def tick() -> None:
        end = time.monotonic() + room("host.rebinding").SETTLED_S + 0.3
        while time.monotonic() < end:
            room("tick").tick()
            time.sleep(0.02)

    return tick


def means_as_rest(connected: ModuleType, ball: Any) -> np.ndarray:
    """Of the splats after the mesh's pose was made their rest."""
    bpy.ops.splatwright.run_method(method="apply_pose")
    return np.array(connected.link().backend.splats(ball.splatwright.asset, ball.splatwright.version).means)


def flip_a_face(mesh: Any) -> None:
    """As many vertices and corners, but one face is made of its own in another order."""
    data = mesh.data
    corners = [loop.vertex_index for loop in data.loops]
    first = next(polygon for polygon in data.polygons if polygon.loop_total == 4)
    span = slice(first.loop_start, first.loop_start + 4)
    corners[span] = corners[span][1:] + corners[span][:1]
    data.loops.foreach_set("vertex_index", corners)
    data.update()


def subdivide(mesh: Any) -> None:
    mesh.modifiers.new("More", "SUBSURF").levels = 1


def remesh(mesh: Any) -> None:
    modifier = mesh.modifiers.new("Remesh", "REMESH")
    modifier.mode, modifier.voxel_size = "VOXEL", 0.1


@pytest.mark.parametrize("change", [subdivide, remesh, flip_a_face], ids=lambda change: change.__name__)
def test_the_same_surface_is_bound_again_once(
    bound: tuple[Any, Any], connected: ModuleType, room: Room, ticked: Callable[[], None], change: Callable[[Any], None]
) -> None:
    ball, mesh = bound
    before, known = ball.splatwright.version, ball.splatwright.mesh_topology
    change(mesh)
    ticked()
    made = ball.splatwright.version
    assert made != before and ball.splatwright.mesh == mesh and ball.splatwright.mesh_topology not in ("", known)
    assert connected.session().failure is None, "nobody has to be told"
    ticked()
    assert ball.splatwright.version == made and not room("host.bindings").trouble_of(ball)
    at_rest = np.array(connected.link().backend.splats(ball.splatwright.asset, made).means)
    mesh.location.x = -1.5
    assert np.allclose(means_as_rest(connected, ball), at_rest - (1.5, 0, 0), atol=2e-3)


def test_another_surface_is_said_and_not_bound(
    bound: tuple[Any, Any], connected: ModuleType, draw: Callable[..., Any], ticked: Callable[[], None]
) -> None:
    ball, mesh = bound
    version = ball.splatwright.version
    mesh.modifiers.new("Thick", "SOLIDIFY").thickness = 0.9
    ticked()
    assert ball.splatwright.version == version
    layout = draw("SPLATWRIGHT_PT_rig")
    assert "another surface" in " ".join(layout.texts) and "splatwright.bind_again" in layout.operators
    mesh.modifiers.clear()
    ticked()
    assert "another surface" not in " ".join(draw("SPLATWRIGHT_PT_rig").texts)


def test_nothing_happens_while_somebody_edits_or_where_it_is_switched_off(
    bound: tuple[Any, Any], connected: ModuleType, room: Room, draw: Callable[..., Any], ticked: Callable[[], None]
) -> None:
    ball, mesh = bound
    version = ball.splatwright.version
    bpy.context.view_layer.objects.active = mesh
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.subdivide()
    ticked()
    assert ball.splatwright.version == version and room("host.bindings").trouble_of(ball)
    ball.splatwright.rebinds = False
    bpy.ops.object.mode_set(mode="OBJECT")
    ticked()
    assert ball.splatwright.version == version
    bpy.context.view_layer.objects.active = ball
    assert "rebinds" in draw("SPLATWRIGHT_PT_rig").properties
    ball.splatwright.rebinds = True
    ticked()
    assert ball.splatwright.version != version


def test_undo_takes_it_back_and_it_is_not_done_again(
    bound: tuple[Any, Any], connected: ModuleType, room: Room, ticked: Callable[[], None]
) -> None:
    name, version = bound[0].name, bound[0].splatwright.version
    subdivide(bound[1])
    bpy.ops.ed.undo_push(message="subdivided")
    ticked()
    made = bpy.data.objects[name].splatwright.version
    assert made != version
    bpy.ops.ed.undo()
    ticked()
    ball = bpy.data.objects[name]
    assert ball.splatwright.version == version and "other vertices" in room("host.bindings").trouble_of(ball)
    bpy.ops.ed.redo()
    assert bpy.data.objects[name].splatwright.version == made


def test_it_is_bound_with_the_settings_that_it_was_bound_with(
    bound: tuple[Any, Any], connected: ModuleType, room: Room, ticked: Callable[[], None]
) -> None:
    ball, mesh = bound
    versions, asset = room("host.versions"), ball.splatwright.asset
    settings = '{"distance": 0.005, "far": "follow"}'
    bpy.ops.splatwright.run_method(method="bind", object=ball.name, mesh=mesh.name, settings=settings)
    assert connected.wait_until(lambda: versions.find(asset, ball.splatwright.version) is not None, 10)
    before = versions.find(asset, ball.splatwright.version)
    assert 100 < before.far_splats < 1400, "the mesh lies a little inside of them"
    assert followed(room, connected, ball)
    subdivide(mesh)
    mesh.modifiers[0].subdivision_type = "SIMPLE"  # exactly the same surface
    ticked()
    assert ball.splatwright.version != before.version
    assert connected.wait_until(lambda: versions.find(asset, ball.splatwright.version) is not None, 10)
    assert versions.find(asset, ball.splatwright.version).far_splats == before.far_splats, "not as the panel says"
