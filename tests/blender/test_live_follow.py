"""Whatever deforms a mesh takes its splats along: they look like the unbound ball, moved as the vertices were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bound_ball
import bpy
import numpy as np
import pytest
from bound_ball import drawn, followed
from splat_scene import decibels

Room = Callable[[str], ModuleType]
SHIFT = -1.5  # metres along x, by which most tests move the mesh


@pytest.fixture
def bound(connected: ModuleType, room: Room, tmp_path: Path) -> tuple[Any, Any]:
    return bound_ball.make_plain(connected, room, tmp_path)


def vertices(room: Room, mesh: Any) -> np.ndarray:
    """Of the evaluated mesh in the world, [V, 3]."""
    return room("host.meshes").evaluated_mesh(mesh, bpy.context.evaluated_depsgraph_get(), world=True).vertices


def linked(name: str, data: Any) -> Any:
    made = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(made)
    return made


# ---- what moves the mesh


def by_armature(mesh: Any) -> None:
    armature = linked("Armature", bpy.data.armatures.new("Armature"))
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    bone = armature.data.edit_bones.new("Bone")
    bone.head, bone.tail = (0, 0, 0), (1, 0, 0)
    bpy.ops.object.mode_set(mode="OBJECT")
    mesh.vertex_groups.new(name="Bone").add(range(len(mesh.data.vertices)), 1.0, "REPLACE")
    mesh.modifiers.new("Armature", "ARMATURE").object = armature
    armature.pose.bones["Bone"].location.y = SHIFT  # a bone's y is along it


def by_lattice(mesh: Any) -> None:
    lattice = linked("Lattice", bpy.data.lattices.new("Lattice"))
    lattice.scale = (3, 3, 3)
    mesh.modifiers.new("Lattice", "LATTICE").object = lattice
    for point in lattice.data.points:
        point.co_deform.x += SHIFT / 3


def by_mesh_deform(mesh: Any) -> None:
    bpy.ops.mesh.primitive_cube_add(size=4)
    cage = bpy.context.view_layer.objects.active
    modifier = mesh.modifiers.new("Cage", "MESH_DEFORM")
    modifier.object, modifier.precision = cage, 3
    with bpy.context.temp_override(object=mesh, active_object=mesh):
        bpy.ops.object.meshdeform_bind(modifier=modifier.name)
    assert modifier.is_bound
    for vertex in cage.data.vertices:
        vertex.co.x += SHIFT
    cage.data.update()


def by_geometry_nodes(mesh: Any) -> None:
    tree = bpy.data.node_groups.new("Shift", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    names = ("NodeGroupInput", "GeometryNodeSetPosition", "NodeGroupOutput")
    begin, moving, end = (tree.nodes.new(name) for name in names)
    moving.inputs["Offset"].default_value = (SHIFT, 0, 0)
    tree.links.new(begin.outputs[0], moving.inputs["Geometry"])
    tree.links.new(moving.outputs[0], end.inputs[0])
    mesh.modifiers.new("Nodes", "NODES").node_group = tree


def by_edit(mesh: Any) -> None:
    """As sculpting and edit mode do: the mesh's own vertices."""
    for vertex in mesh.data.vertices:
        vertex.co.x += SHIFT
    mesh.data.update()


def by_edit_mode(mesh: Any) -> None:
    """While it is still being edited."""
    bpy.context.view_layer.objects.active = mesh
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.transform.translate(value=(SHIFT, 0, 0))


def by_driver(mesh: Any) -> None:
    bpy.context.scene["Shift"] = SHIFT
    driver = mesh.driver_add("location", 0).driver
    variable = driver.variables.new()
    variable.type, variable.name = "SINGLE_PROP", "shift"
    target = variable.targets[0]
    target.id_type, target.id, target.data_path = "SCENE", bpy.context.scene, '["Shift"]'
    driver.expression = "shift"


def by_parent(mesh: Any) -> None:
    parent = linked("Parent", None)
    mesh.parent = parent
    parent.location.x = SHIFT


def by_frame(mesh: Any) -> None:
    for frame, x in ((1, 0.0), (11, SHIFT)):
        mesh.location.x = x
        mesh.keyframe_insert("location", index=0, frame=frame)
    bpy.context.scene.frame_set(11)


def by_cloth(mesh: Any) -> None:
    """Falls, as fast wherever it is."""
    cloth = mesh.modifiers.new("Cloth", "CLOTH")
    cloth.settings.air_damping = 0.0
    for frame in range(1, 9):
        bpy.context.scene.frame_set(frame)


def by_soft_body(mesh: Any) -> None:
    """Falls as a whole: nothing pins it."""
    mesh.modifiers.new("Soft", "SOFT_BODY")
    mesh.soft_body.use_goal = False
    for frame in range(1, 9):
        bpy.context.scene.frame_set(frame)


MOVERS = (
    by_armature, by_lattice, by_mesh_deform, by_geometry_nodes, by_edit, by_edit_mode, by_driver, by_parent, by_frame,
    by_cloth, by_soft_body,
)  # fmt: skip


@pytest.mark.parametrize("move", MOVERS, ids=lambda move: move.__name__)
def test_splats_go_where_the_mesh_goes(
    bound: tuple[Any, Any], connected: ModuleType, room: Room, move: Callable[[Any], None]
) -> None:
    ball, mesh = bound
    at_rest, before = followed(room, connected, ball), vertices(room, mesh)
    picture_at_rest = drawn(room, connected)
    move(mesh)
    assert followed(room, connected, ball) not in ("", at_rest)
    after = vertices(room, mesh)
    shift = (after - before).mean(0)
    assert np.abs(after - before - shift).max() < 0.02 and np.linalg.norm(shift) > 0.2
    posed = drawn(room, connected)
    if bpy.context.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    ball.splatwright.mesh, ball.location = None, shift
    bpy.context.view_layer.update()
    room("host.bindings").follow(bpy.context.evaluated_depsgraph_get())
    assert decibels(posed, drawn(room, connected)) > 40
    assert decibels(posed, picture_at_rest) < 28


def test_two_objects_with_the_same_splats_follow_a_mesh_each(
    bound: tuple[Any, Any], connected: ModuleType, room: Room
) -> None:
    ball, mesh = bound
    twin, other = ball.copy(), mesh.copy()
    for made in (twin, other):
        bpy.context.scene.collection.objects.link(made)
    twin.splatwright.mesh, other.location.x, mesh.location.x = other, 1.5, -1.5
    bindings = room("host.bindings")
    bindings.follow(bpy.context.evaluated_depsgraph_get())
    assert connected.wait_until(lambda: bindings.pose_of(ball) and bindings.pose_of(twin), 10)
    assert bindings.pose_of(ball) != bindings.pose_of(twin)
    both = drawn(room, connected)
    for item, x in ((ball, -1.5), (twin, 1.5)):
        item.splatwright.mesh, item.location.x = None, x
    bpy.context.view_layer.update()
    bindings.follow(bpy.context.evaluated_depsgraph_get())
    assert decibels(both, drawn(room, connected)) > 40


def test_after_the_backend_was_restarted_the_opened_file_follows_by_itself(
    bound: tuple[Any, Any], connected: ModuleType, served_backend: Any, room: Room, tmp_path: Path
) -> None:
    name = bound[0].name
    bound[1].location.x = SHIFT
    assert followed(room, connected, bound[0])
    posed = drawn(room, connected)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.splatwright.backend_stop()
    served_backend.stop()
    served_backend.start()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert room("host.bindings").pose_of(bpy.data.objects[name]) == ""
    bpy.ops.splatwright.backend_connect(connection_file=str(served_backend.connection_file))
    bindings = room("host.bindings")

    def follows() -> bool:  # as the tick does as long as it is unsure
        if bindings.has_news():
            bindings.follow(bpy.context.evaluated_depsgraph_get())
        return bool(bindings.pose_of(bpy.data.objects[name]))

    bindings.follow(bpy.context.evaluated_depsgraph_get())
    assert connected.wait_until(follows, 20)
    assert decibels(posed, drawn(room, connected)) > 60


@pytest.mark.parametrize("scale", [(0, 0, 0), (1, 1, 0), (-1, 1, 1), (1e4, 1e4, 1e4)], ids=str)
def test_a_mesh_that_is_scaled_to_nothing_mirrored_or_blown_up_breaks_nothing(
    bound: tuple[Any, Any], connected: ModuleType, room: Room, scale: tuple[float, float, float]
) -> None:
    ball, mesh = bound
    at_rest = followed(room, connected, ball)
    before = drawn(room, connected)
    mesh.scale = scale
    assert followed(room, connected, ball) not in ("", at_rest)
    assert np.isfinite(drawn(room, connected)).all()
    mesh.scale = (1, 1, 1)
    followed(room, connected, ball)
    assert decibels(before, drawn(room, connected)) > 60
