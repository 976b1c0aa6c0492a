"""Methods that are no trainings: run on a splat object with what they take from the scene."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

Room = Callable[[str], ModuleType]


@pytest.fixture
def connected(backend: Any, room: Room, empty_file: None) -> Iterator[ModuleType]:
    import bpy

    bpy.ops.splatwright.backend_connect(connection_file=str(backend.connection_file))
    yield room("host.current")
    bpy.ops.splatwright.backend_stop()


@pytest.fixture
def ball(connected: ModuleType, tmp_path: Path) -> Any:
    """A splat object: a ball of radius 1, moved, turned and scaled in the scene."""
    import bpy
    from made_splats import write_ball

    write_ball(tmp_path / "ball.ply")
    assert bpy.ops.splatwright.import_splats(filepath=str(tmp_path / "ball.ply")) == {"FINISHED"}
    splats = bpy.context.view_layer.objects.active
    splats.location, splats.rotation_euler, splats.scale = (3, 1, -2), (0.4, 0.2, 1.0), (2, 2, 2)
    bpy.context.view_layer.update()
    return splats


def centres(connected: ModuleType, splats: Any) -> np.ndarray:
    """Of the version that is shown, in the asset's frame."""
    return np.array(connected.link().backend.splats(splats.splatwright.asset, splats.splatwright.version).means)


def add_cube(name: str, matrix: Any) -> Any:
    import bpy

    bpy.ops.mesh.primitive_cube_add(size=2)
    cube = bpy.context.view_layer.objects.active
    cube.name, cube.matrix_world = name, matrix
    bpy.context.view_layer.update()
    return cube


def test_a_box_that_stands_askew_keeps_what_is_inside_it_and_undo_brings_the_rest_back(
    connected: ModuleType, ball: Any
) -> None:
    import bpy
    from mathutils import Matrix

    before, version = centres(connected, ball), ball.splatwright.version
    name = ball.name
    # In the frame of the ball: x from 0 to 4, all of y and z.
    box = add_cube("Box", ball.matrix_world @ Matrix.Translation((2, 0, 0)) @ Matrix.Scale(2, 4))
    bpy.ops.ed.undo_push(message="before")
    assert bpy.ops.splatwright.run_method(method="crop", object=name, box=box.name) == {"FINISHED"}
    after = centres(connected, bpy.data.objects[name])
    assert len(after) == (before[:, 0] > 0).sum() and (after[:, 0] > -1e-6).all()
    assert bpy.data.objects[name].splatwright.version != version
    bpy.ops.ed.undo()
    assert bpy.data.objects[name].splatwright.version == version


def test_an_empty_is_a_box_and_settings_are_the_panels(connected: ModuleType, ball: Any) -> None:
    import bpy

    before = centres(connected, ball)
    empty = bpy.data.objects.new("Region", None)
    bpy.context.scene.collection.objects.link(empty)
    empty.empty_display_size = 0.5
    empty.matrix_world = ball.matrix_world
    bpy.context.view_layer.update()
    bpy.context.view_layer.objects.active = ball
    bpy.context.scene.splatwright.box = empty
    bpy.context.scene.splatwright.methods.crop.keep = "outside"
    assert bpy.ops.splatwright.run_method(method="crop") == {"FINISHED"}
    outside = (np.abs(before) > 0.5).any(axis=1)
    assert len(centres(connected, ball)) == outside.sum()


def test_a_mesh_is_made_where_the_splats_stand_with_their_colours(connected: ModuleType, ball: Any) -> None:
    import bpy

    assert bpy.ops.splatwright.run_method(method="tsdf", settings='{"resolution": 48}') == {"FINISHED"}
    made = bpy.context.view_layer.objects.active
    assert made.type == "MESH" and made != ball
    assert np.allclose(made.matrix_world, ball.matrix_world)
    mesh = made.data
    positions = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", positions)
    positions = positions.reshape(-1, 3)
    top = positions[:, 2] > 0.3  # that half is solid; its thick splats are as dense as a surface out to 1.1
    assert len(mesh.polygons) > 50 and np.median(np.linalg.norm(positions[top], axis=1)) == pytest.approx(1.1, abs=0.05)
    colors = np.empty(4 * len(mesh.vertices), np.float32)
    mesh.color_attributes.active_color.data.foreach_get("color_srgb", colors)
    red = colors.reshape(-1, 4)[:, 0]
    assert np.corrcoef(red[top], positions[top, 0])[0, 1] > 0.8
    assert mesh.materials[0].node_tree.nodes


def test_splats_are_bound_to_the_mesh_at_rest_and_know_it(
    connected: ModuleType, ball: Any, room: Room, draw: Callable[..., Any]
) -> None:
    import bpy
    from mathutils import Matrix

    bpy.ops.mesh.primitive_uv_sphere_add(radius=1)
    mesh = bpy.context.view_layer.objects.active
    mesh.matrix_world = ball.matrix_world
    armature = bpy.data.objects.new("Armature", bpy.data.armatures.new("Armature"))
    bpy.context.scene.collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    bone = armature.data.edit_bones.new("Bone")
    bone.head, bone.tail = (0, 0, 0), (0, 0, 1)
    bpy.ops.object.mode_set(mode="OBJECT")
    mesh.vertex_groups.new(name="Bone").add(range(len(mesh.data.vertices)), 1.0, "REPLACE")
    mesh.modifiers.new("Armature", "ARMATURE").object = armature
    armature.pose.bones["Bone"].matrix = Matrix.Translation((9, 9, 9))
    bpy.context.view_layer.update()
    bpy.context.view_layer.objects.active = ball
    bpy.context.scene.splatwright.bind_mesh = mesh

    rest = room("host.regions").mesh_of(ball, mesh, at_rest=True)
    assert np.allclose(np.linalg.norm(rest.vertices, axis=1), 1, atol=1e-4)  # the ball's own frame, not posed
    posed = room("host.regions").mesh_of(ball, mesh, at_rest=False)
    assert np.linalg.norm(posed.vertices, axis=1).min() > 3
    assert armature.data.pose_position == "POSE"

    assert bpy.ops.splatwright.run_method(method="bind") == {"FINISHED"}
    assert ball.splatwright.mesh == mesh
    versions = room("host.versions")
    asset, version = ball.splatwright.asset, ball.splatwright.version
    assert connected.wait_until(lambda: versions.find(asset, version) is not None, 30)
    assert versions.find(asset, version).bound_vertices == len(mesh.data.vertices)
    assert any(mesh.name in text for text in draw("SPLATWRIGHT_PT_rig").texts)


def test_a_binding_that_fails_leaves_the_mesh_that_was_followed(connected: ModuleType, ball: Any) -> None:
    import bpy

    bpy.ops.mesh.primitive_uv_sphere_add(radius=1)
    near = bpy.context.view_layer.objects.active
    near.matrix_world = ball.matrix_world
    bpy.ops.mesh.primitive_uv_sphere_add(radius=1, location=(1e4, 0, 0))
    far = bpy.context.view_layer.objects.active
    bpy.context.view_layer.update()
    bpy.ops.splatwright.run_method(method="bind", object=ball.name, mesh=near.name)
    version = ball.splatwright.version
    with pytest.raises(RuntimeError, match="Error"):
        bpy.ops.splatwright.run_method(method="bind", object=ball.name, mesh=far.name, settings='{"distance": 0.001}')
    assert ball.splatwright.mesh == near and ball.splatwright.version == version


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"method": "magic"}, "There is no method 'magic'"),
        ({"method": "mcmc"}, "There is no method 'mcmc' for splats"),
        ({"method": "crop", "box": "Nothing"}, "There is no object 'Nothing'"),
        ({"method": "crop", "box": "Flat"}, "'Flat' is flat"),
        ({"method": "bind"}, "No mesh is chosen"),
        ({"method": "bind", "mesh": "Points"}, "'Points' has no faces"),
        ({"method": "crop", "object": "Flat"}, "No splat object is chosen"),
        ({"method": "crop"}, "box"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_changed(
    connected: ModuleType, ball: Any, arguments: dict[str, str], sentence: str
) -> None:
    import bpy

    for name in ("Flat", "Points"):
        mesh = bpy.data.meshes.new(name)
        faces = [(0, 1, 2)] if name == "Flat" else []
        mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], faces)
        bpy.context.scene.collection.objects.link(bpy.data.objects.new(name, mesh))
    version = ball.splatwright.version
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.splatwright.run_method(**arguments)
    assert ball.splatwright.version == version and ball.splatwright.mesh is None
