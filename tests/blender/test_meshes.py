"""Evaluated meshes as arrays."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import bpy
import numpy as np
import pytest


@pytest.fixture
def meshes(empty_file: None, room: Callable[[str], ModuleType]) -> ModuleType:
    return room("host.meshes")


def cube(name: str = "Cube", size: float = 2.0) -> Any:
    bpy.ops.mesh.primitive_cube_add(size=size)
    object: Any = bpy.context.object
    object.name = name
    return object


def evaluated() -> bpy.types.Depsgraph:
    bpy.context.view_layer.update()
    return bpy.context.evaluated_depsgraph_get()


def test_modifiers_count_and_the_frame_is_chosen(meshes: ModuleType) -> None:
    object = cube()
    object.location, object.scale = (1, 2, 3), (1, 1, 2)
    object.modifiers.new("Array", "ARRAY").count = 2  # the second one stands 2 further along x
    depsgraph = evaluated()
    local = meshes.evaluated_mesh(object, depsgraph, world=False)
    world = meshes.evaluated_mesh(object, depsgraph, world=True)
    assert local.vertices.shape == (16, 3) and local.faces.shape == (24, 3)
    assert local.vertices.dtype == np.float32 and local.faces.dtype == np.int32
    assert local.vertices.min(axis=0).tolist() == [-1, -1, -1] and local.vertices.max(axis=0).tolist() == [3, 1, 1]
    assert world.vertices.min(axis=0).tolist() == [0, 1, 1] and world.vertices.max(axis=0).tolist() == [4, 3, 5]
    np.testing.assert_array_equal(meshes.positions(object, depsgraph), local.vertices)
    np.testing.assert_array_equal(local.faces, world.faces)


def test_triangles_face_outwards(meshes: ModuleType) -> None:
    mesh = meshes.evaluated_mesh(cube(), evaluated(), world=True)
    a, b, c = mesh.vertices[mesh.faces].transpose(1, 0, 2)
    outwards = np.einsum("fi,fi->f", np.cross(b - a, c - a), a + b + c)
    assert (outwards > 0).all()


def test_an_armature_moves_the_vertices(meshes: ModuleType) -> None:
    object = cube()
    bpy.ops.object.armature_add()
    armature: Any = bpy.context.object
    object.vertex_groups.new(name="Bone").add(range(8), 1.0, "REPLACE")
    object.modifiers.new("Armature", "ARMATURE").object = armature
    at_rest = meshes.positions(object, evaluated())
    armature.pose.bones["Bone"].location = (0, 0.5, 0)  # along the bone, which points up
    moved = meshes.positions(object, evaluated())
    np.testing.assert_allclose(moved - at_rest, np.broadcast_to((0, 0, 0.5), (8, 3)), atol=1e-6)


def test_thirty_thousand_vertices_are_quick(meshes: ModuleType) -> None:
    bpy.ops.mesh.primitive_uv_sphere_add(segments=256, ring_count=128)
    object, depsgraph = bpy.context.object, evaluated()
    times = []
    for _ in range(5):
        started = time.perf_counter()
        assert len(meshes.positions(object, depsgraph)) == 32514
        times.append(time.perf_counter() - started)
    assert min(times) < 0.05  # 1 ms on a quiet machine; a loop in Python takes longer than this


def test_what_is_no_surface_has_no_faces(meshes: ModuleType) -> None:
    empty = bpy.data.objects.new("Empty", None)
    bpy.context.scene.collection.objects.link(empty)
    depsgraph = evaluated()
    assert meshes.evaluated_mesh(empty, depsgraph, world=True).faces.shape == (0, 3)
    assert meshes.surface_of_scene(depsgraph).vertices.shape == (0, 3)


def test_the_surface_of_a_scene_is_all_that_renders(meshes: ModuleType) -> None:
    for x, hidden in ((0, False), (10, True)):
        object = cube()
        object.location.x, object.hide_render = x, hidden
    bpy.ops.object.text_add(location=(0, 10, 0))
    bpy.ops.object.light_add()
    splats = bpy.data.objects.new("Splats", bpy.data.meshes.new("Splats"))
    splats.data.from_pydata([(50, 0, 0), (60, 0, 0), (60, 5, 0)], [(0, 1), (1, 2)], [])
    bpy.context.scene.collection.objects.link(splats)
    splats.splatwright.asset = "some"
    found = {surface.name: len(surface.mesh.faces) for surface in meshes.surfaces(evaluated())}
    assert found.pop("Cube") == 12 and found.pop("Text") > 20 and not found
    whole = meshes.surface_of_scene(evaluated())
    assert whole.vertices[whole.faces].max() < 20
    assert whole.faces.max() == len(whole.vertices) - 1  # the second mesh's faces name its own vertices


def test_instances_of_a_collection_stand_where_they_are_shown(meshes: ModuleType) -> None:
    object = cube("Part", size=1.0)
    collection = bpy.data.collections.new("Parts")
    collection.objects.link(object)
    bpy.context.scene.collection.objects.unlink(object)
    for x in (-5, 5):
        instance = bpy.data.objects.new(f"Instance {x}", None)
        instance.instance_type, instance.instance_collection = "COLLECTION", collection
        instance.location.x = x
        bpy.context.scene.collection.objects.link(instance)
    depsgraph = evaluated()
    middles = sorted(surface.mesh.vertices.mean(axis=0)[0] for surface in meshes.surfaces(depsgraph))
    assert middles == pytest.approx([-5, 5])
    wanted = list(meshes.surfaces(depsgraph, lambda object: object.name == "Instance 5"))
    assert [surface.name for surface in wanted] == ["Part"]
    assert wanted[0].mesh.vertices.mean(axis=0)[0] == pytest.approx(5)


def test_texts_in_a_collection_are_told_apart(meshes: ModuleType) -> None:
    collection = bpy.data.collections.new("Texts")
    for word in ("I", "WWWW"):
        bpy.ops.object.text_add()
        text: Any = bpy.context.object
        text.name, text.data.body = word, word
        collection.objects.link(text)
        bpy.context.scene.collection.objects.unlink(text)
    for x in (0, 10):
        instance = bpy.data.objects.new("Instance", None)
        instance.instance_type, instance.instance_collection = "COLLECTION", collection
        instance.location.x = x
        bpy.context.scene.collection.objects.link(instance)
    widths = {(s.name, round(float(np.ptp(s.mesh.vertices[:, 0])), 3)) for s in meshes.surfaces(evaluated())}
    (narrow,) = (width for name, width in widths if name == "I")
    (wide,) = (width for name, width in widths if name == "WWWW")
    assert wide > 3 * narrow


def test_instances_of_geometry_nodes_count(meshes: ModuleType) -> None:
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=2, y_subdivisions=2, size=4)
    tree = bpy.data.node_groups.new("Cubes", "GeometryNodeTree")
    for direction in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=direction, socket_type="NodeSocketGeometry")
    kinds = ("NodeGroupInput", "GeometryNodeInstanceOnPoints", "GeometryNodeMeshCube", "NodeGroupOutput")
    source, instance, shape, output = (tree.nodes.new(kind) for kind in kinds)
    tree.links.new(source.outputs[0], instance.inputs["Points"])
    tree.links.new(shape.outputs["Mesh"], instance.inputs["Instance"])
    tree.links.new(instance.outputs[0], output.inputs[0])
    bpy.context.object.modifiers.new("Cubes", "NODES").node_group = tree
    middles = sorted(tuple(surface.mesh.vertices.mean(axis=0).round()) for surface in meshes.surfaces(evaluated()))
    assert middles == [(x, y, 0) for x in (-2, 0, 2) for y in (-2, 0, 2)]


# ---- colours


def painted(object: Any) -> Any:
    """A material with nodes on the object; its node tree and its shader's base colour."""
    material = bpy.data.materials.new("Paint")
    material.use_nodes = True
    object.data.materials.append(material)
    tree = material.node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    return tree, shader.inputs["Base Color"]


def colors_of(meshes: ModuleType) -> np.ndarray:
    (surface,) = meshes.surfaces(evaluated())
    return surface.colors


def test_a_plain_colour_is_known_in_srgb(meshes: ModuleType) -> None:
    _, color = painted(cube())
    color.default_value = (1.0, 0.2158605, 0.0, 1.0)  # linear
    assert np.unique(colors_of(meshes), axis=0).tolist() == [[255, 128, 0]]


def test_slots_give_each_face_its_own(meshes: ModuleType) -> None:
    object = cube()
    for red in (0.0, 1.0):
        painted(object)[1].default_value = (red, 0, 0, 1)
    object.data.polygons[0].material_index = 1
    assert sorted(colors_of(meshes)[:, 0].tolist()) == [0] * 10 + [255] * 2


def test_an_image_is_looked_up_where_the_triangle_lies(meshes: ModuleType) -> None:
    bpy.ops.mesh.primitive_plane_add()
    object: Any = bpy.context.object
    tree, color = painted(object)
    image = bpy.data.images.new("Halves", 4, 4)
    pixels = np.zeros((4, 4, 4), np.float32)
    pixels[..., 3], pixels[:, :2, 0], pixels[:, 2:, 1] = 1, 0.5, 1.0  # left red, right green, as stored in the file
    image.pixels.foreach_set(pixels.ravel())
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    tree.links.new(texture.outputs["Color"], color)
    left = np.array([[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]], np.float32)
    object.data.uv_layers.active.uv.foreach_set("vector", left.ravel())
    assert np.unique(colors_of(meshes), axis=0).tolist() == [[128, 0, 0]]
    object.data.uv_layers.active.uv.foreach_set("vector", (left + np.float32([0.5, 0])).ravel())
    assert np.unique(colors_of(meshes), axis=0).tolist() == [[0, 255, 0]]


@pytest.mark.parametrize(("domain", "count"), [("POINT", 8), ("CORNER", 24)])
def test_painted_colours_are_averaged_over_the_triangle(meshes: ModuleType, domain: str, count: int) -> None:
    object = cube()
    tree, color = painted(object)
    layer = object.data.color_attributes.new("Painted", "FLOAT_COLOR", domain)
    layer.data.foreach_set("color", np.tile(np.float32((0, 0, 1, 1)), count))
    source = tree.nodes.new("ShaderNodeVertexColor")
    source.layer_name = "Painted"
    tree.links.new(source.outputs["Color"], color)
    assert np.unique(colors_of(meshes), axis=0).tolist() == [[0, 0, 255]]
