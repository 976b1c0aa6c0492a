"""The Rig panel: what follows which mesh, letting go of it, taking its pose as the rest, binding again."""

from __future__ import annotations

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
Draw = Callable[..., Any]


@pytest.fixture
def bound(connected: ModuleType, room: Room, tmp_path: Path) -> tuple[Any, Any]:
    ball, mesh = bound_ball.make(connected, room, tmp_path)
    bpy.context.view_layer.objects.active = ball
    return ball, mesh


def text_of(draw: Draw) -> str:
    return " ".join(draw("SPLATWRIGHT_PT_rig").texts)


def test_it_asks_for_splats_then_for_a_mesh_and_shows_how_to_bind(
    connected: ModuleType, room: Room, draw: Draw, tmp_path: Path
) -> None:
    assert "Select the splats" in text_of(draw)
    bpy.context.view_layer.objects.active = bound_ball.splat_scene.make(tmp_path)
    layout = draw("SPLATWRIGHT_PT_rig")
    assert "Choose the mesh" in " ".join(layout.texts)
    assert {"driver", "keep_thickness", "stretch_limit", "far", "bind_mesh", "bind_pose"} <= set(layout.properties)
    enabled = [call.result.method for call in layout.called("operator") if call.is_enabled]
    assert enabled == ["bind"], "there is no pose to take yet"


def test_it_says_how_many_splats_follow_and_how_many_are_far(
    bound: tuple[Any, Any], connected: ModuleType, room: Room, draw: Draw
) -> None:
    ball, mesh = bound
    asset, versions = ball.splatwright.asset, room("host.versions")
    assert "1,500 of 1,500 splats follow 'Driver'." in text_of(draw)
    for vertex in mesh.data.shape_keys.key_blocks["Basis"].data:
        vertex.co.x = min(vertex.co.x, 0.0)
    for far, wanted in (("stay", "The others stay where they are."), ("follow", "are far from it")):
        settings = f'{{"distance": 0.05, "far": "{far}"}}'
        bpy.ops.splatwright.run_method(method="bind", object=ball.name, mesh=mesh.name, settings=settings)
        assert connected.wait_until(lambda: versions.find(asset, ball.splatwright.version) is not None, 30)
        assert wanted in text_of(draw)
        info = versions.find(asset, ball.splatwright.version)
        assert 0 < (info.far_splats if far == "follow" else info.splats - info.bound_splats) < info.splats


def test_splats_let_go_of_their_mesh_and_follow_it_again(
    bound: tuple[Any, Any], connected: ModuleType, room: Room, draw: Draw
) -> None:
    name, mesh = bound[0].name, bound[1].name
    at_rest = bound_ball.drawn(room, connected)
    bound[1].location.x = -1.5
    assert followed(room, connected, bound[0])
    posed = bound_ball.drawn(room, connected)
    bpy.ops.ed.undo_push(message="before")
    assert bpy.ops.splatwright.unbind_splats() == {"FINISHED"}
    assert not followed(room, connected, bpy.data.objects[name])
    assert np.abs(bound_ball.drawn(room, connected) - at_rest).max() < 0.02
    assert "stay at rest until" in text_of(draw)
    with pytest.raises(RuntimeError, match="follows no mesh"):
        bpy.ops.splatwright.unbind_splats(object=name)
    bpy.ops.ed.undo_push(message="unbound")
    bpy.ops.ed.undo()
    assert bpy.data.objects[name].splatwright.mesh == bpy.data.objects[mesh]
    assert followed(room, connected, bpy.data.objects[name])
    assert np.abs(bound_ball.drawn(room, connected) - posed).max() < 0.02


def test_the_pose_that_is_followed_becomes_the_rest_without_a_mesh_being_chosen(
    bound: tuple[Any, Any], connected: ModuleType, room: Room
) -> None:
    ball, mesh = bound
    mesh.data.shape_keys.key_blocks["Moved"].value = 1.0
    assert bpy.context.scene.splatwright.bind_mesh is None
    before = np.array(connected.link().backend.splats(ball.splatwright.asset, ball.splatwright.version).means)
    assert bpy.ops.splatwright.run_method(method="apply_pose") == {"FINISHED"}
    after = np.array(connected.link().backend.splats(ball.splatwright.asset, ball.splatwright.version).means)
    assert np.allclose(after, before - (1.5, 0, 0), atol=1e-3)


def test_a_mesh_with_other_faces_of_the_same_surface_is_bound_again(
    bound: tuple[Any, Any], connected: ModuleType, room: Room, draw: Draw
) -> None:
    ball, mesh = bound
    known = followed(room, connected, ball)
    ball.splatwright.rebinds = False
    mesh.modifiers.new("More", "SUBSURF").levels = 1
    bindings = room("host.bindings")
    bindings.follow(bpy.context.evaluated_depsgraph_get())
    assert connected.wait_until(lambda: bool(bindings.trouble_of(ball)), 10)
    layout = draw("SPLATWRIGHT_PT_rig")
    assert "vertices" in " ".join(layout.texts) and "splatwright.bind_again" in layout.operators
    assert "splatwright.bind_again" in draw("SPLATWRIGHT_PT_problem").operators
    version = ball.splatwright.version
    assert bpy.ops.splatwright.bind_again() == {"FINISHED"}
    assert ball.splatwright.version != version and ball.splatwright.mesh == mesh
    versions, asset = room("host.versions"), ball.splatwright.asset
    assert connected.wait_until(lambda: versions.find(asset, ball.splatwright.version) is not None, 30)
    assert followed(room, connected, ball) not in ("", known)
    assert not bindings.trouble_of(ball) and "splatwright.bind_again" not in draw("SPLATWRIGHT_PT_rig").operators


def test_another_surface_is_not_bound_again(bound: tuple[Any, Any]) -> None:
    ball, mesh = bound
    mesh.modifiers.new("Thick", "SOLIDIFY").thickness = 0.9
    version = ball.splatwright.version
    with pytest.raises(RuntimeError, match="another surface"):
        bpy.ops.splatwright.bind_again()
    assert ball.splatwright.version == version and ball.splatwright.mesh == mesh


def test_vertices_that_are_no_numbers_are_said_and_hide_only_what_hangs_on_them(
    bound: tuple[Any, Any], connected: ModuleType, room: Room, draw: Draw
) -> None:
    ball, mesh = bound
    whole = bound_ball.drawn(room, connected)[..., 3].sum()
    for point in list(mesh.data.shape_keys.key_blocks["Basis"].data)[:40]:
        point.co.x = float("nan")
    assert followed(room, connected, ball)
    assert "no numbers" in text_of(draw)
    left = bound_ball.drawn(room, connected)
    assert np.isfinite(left).all() and 0.3 * whole < left[..., 3].sum() < 0.97 * whole


def test_the_viewport_shows_the_binding_as_colours_and_renders_do_not(
    bound: tuple[Any, Any], connected: ModuleType, room: Room, draw: Draw
) -> None:
    ball, mesh = bound
    eyes, objects = room("host.eyes"), room("host.objects")
    assert "Not bound" not in text_of(draw)
    eyes.collected()
    ball.splatwright.colors = "BINDING"
    assert eyes.is_stale, "the next tick asks for another picture"
    assert "Not bound" in text_of(draw)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    for for_render, wanted in ((False, "binding"), (True, "own")):
        (shown,) = objects.scene_objects(depsgraph, for_render=for_render)
        assert shown.colors == wanted
    mesh.scale = (3, 3, 3)
    assert followed(room, connected, ball)
    picture = bound_ball.drawn(room, connected)
    solid = picture[..., 3] > 0.9
    assert solid.sum() > 500 and (picture[solid][:, 0] > 4 * picture[solid][:, 1]).all(), "all is red"


def paint(mesh: Any, name: str, weight: Callable[[Any], float]) -> None:
    """A vertex group by the places of the vertices."""
    group = mesh.vertex_groups.new(name=name)
    for vertex in mesh.data.vertices:
        if (value := weight(vertex.co)) > 0:
            group.add([vertex.index], value, "REPLACE")


def test_a_vertex_group_is_the_strength_of_the_binding_through_modifiers_too(
    bound: tuple[Any, Any], connected: ModuleType, room: Room, draw: Draw
) -> None:
    ball, mesh = bound
    paint(mesh, "Other", lambda co: 1.0)
    paint(mesh, "Above", lambda co: float(co.z > 0))
    mesh.modifiers.new("More", "SUBSURF").levels = 1
    chosen = bpy.context.scene.splatwright
    assert "bind_strength" not in {
        call.arguments["property"] for call in draw("SPLATWRIGHT_PT_rig").called("prop_search")
    }
    chosen.bind_mesh, chosen.bind_strength = mesh, "Above"
    assert [call.arguments["property"] for call in draw("SPLATWRIGHT_PT_rig").called("prop_search")] == [
        "bind_strength"
    ]
    before = np.array(connected.link().backend.splats(ball.splatwright.asset, ball.splatwright.version).means)
    assert bpy.ops.splatwright.run_method(method="bind") == {"FINISHED"}
    assert ball.splatwright.mesh_strength == "Above"
    mesh.location.x = -1.5
    assert bpy.ops.splatwright.run_method(method="apply_pose") == {"FINISHED"}
    after = np.array(connected.link().backend.splats(ball.splatwright.asset, ball.splatwright.version).means)
    moved = (after - before)[:, 0]
    assert np.allclose(moved[before[:, 2] > 0.3], -1.5, atol=1e-3) and not moved[before[:, 2] < -0.3].any()
    assert ball.splatwright.mesh_strength == "Above", "bound again, it still counts"
    with pytest.raises(RuntimeError, match="no vertex group 'Gone'"):
        bpy.ops.splatwright.run_method(method="bind", strength="Gone")
    mesh.vertex_groups.new(name="Empty")
    with pytest.raises(RuntimeError, match="no weights"):
        bpy.ops.splatwright.run_method(method="bind", strength="Empty")
    assert ball.splatwright.mesh_strength == "Above", "a binding that fails changes nothing"


def test_far_splats_follow_a_bone_by_its_vertex_group(
    bound: tuple[Any, Any], connected: ModuleType, room: Room, draw: Draw
) -> None:
    ball, mesh = bound
    for block in mesh.data.shape_keys.key_blocks:
        for point in block.data:
            point.co.z = max(point.co.z, -0.1)  # the lower half of the splats is far
    paint(mesh, "Head", lambda co: float(co.z > 0.5))
    armature = bpy.data.objects.new("Armature", bpy.data.armatures.new("Armature"))
    bpy.context.scene.collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    bone = armature.data.edit_bones.new("Head")
    bone.head, bone.tail = (0, 0, 0), (0, 0, 1)
    bpy.ops.object.mode_set(mode="OBJECT")
    mesh.modifiers.new("Armature", "ARMATURE").object = armature
    bpy.context.view_layer.objects.active = ball
    chosen = bpy.context.scene.splatwright
    chosen.bind_mesh, chosen.bind_far = mesh, "Head"
    chosen.methods.bind.far = "follow"
    chosen.methods.bind.distance_automatic = False
    chosen.methods.bind.distance = 0.1
    assert "bind_far" in {call.arguments["property"] for call in draw("SPLATWRIGHT_PT_rig").called("prop_search")}
    before = np.array(connected.link().backend.splats(ball.splatwright.asset, ball.splatwright.version).means)
    assert bpy.ops.splatwright.run_method(method="bind") == {"FINISHED"}
    armature.pose.bones["Head"].location = (0, 0, 2)  # along the bone's own axes: -y of the armature
    bpy.context.view_layer.update()
    assert bpy.ops.splatwright.run_method(method="apply_pose", settings='{"split_beyond": null}') == {"FINISHED"}
    after = np.array(connected.link().backend.splats(ball.splatwright.asset, ball.splatwright.version).means)
    moved = after - before
    far = before[:, 2] < -0.5
    assert far.sum() > 300 and np.allclose(moved[far], moved[before[:, 2] > 0.8].mean(0), atol=1e-2)
    assert np.linalg.norm(moved[far][0]) == pytest.approx(2, abs=1e-2), "and not with the mesh's rim, which is still"
