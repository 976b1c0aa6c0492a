"""Meshes with a texture, as the backend hands them out, become objects with a material that shows it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Matrix

PIXELS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [188, 188, 188]]], np.uint8)  # the first row is on top


def png(pixels: np.ndarray) -> np.ndarray:
    """The content of a PNG file, as bytes [N]."""

    def part(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")
    return np.frombuffer(b"\x89PNG\r\n\x1a\n" + parts, np.uint8)


@pytest.fixture
def made(empty_file: None, room: Callable[[str], ModuleType]) -> Any:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    data = room("protocol").messages.MeshData(
        vertices=vertices,
        faces=faces,
        colors=np.full((4, 3), 9, np.uint8),
        uvs=vertices[faces][..., :2],
        texture=png(PIXELS),
    )
    splats: Any = bpy.data.objects.new("Splats", None)
    bpy.context.scene.collection.objects.link(splats)
    splats.matrix_world = Matrix.Translation((1, 2, 3)) @ Matrix.Scale(2, 4)
    bpy.context.view_layer.update()
    return room("host.extracted_meshes").create(bpy.context, "Cat mesh", data, splats)


def shader_of(object: Any) -> Any:
    nodes = object.data.materials[0].node_tree.nodes
    return next(node for node in nodes if node.type == "BSDF_PRINCIPLED")


def test_the_texture_is_the_colour_of_a_principled_material(made: Any) -> None:
    (link,) = shader_of(made).inputs["Base Color"].links
    image = link.from_node.image
    assert link.from_node.type == "TEX_IMAGE" and image.colorspace_settings.name == "sRGB"
    assert tuple(image.size) == (2, 2) and image.packed_file is not None
    pixels = np.array(image.pixels[:]).reshape(2, 2, 4)
    np.testing.assert_allclose(pixels[::-1, :, :3] * 255, PIXELS, atol=0.51)


def test_every_corner_has_its_place_on_it_and_the_object_stands_at_the_splats(made: Any) -> None:
    mesh = made.data
    places = np.empty(2 * len(mesh.loops), np.float32)
    mesh.uv_layers.active.uv.foreach_get("vector", places)
    corners = np.array([mesh.vertices[loop.vertex_index].co[:2] for loop in mesh.loops])
    np.testing.assert_array_equal(places.reshape(-1, 2), corners)
    assert len(mesh.vertices) == 4, "one vertex at each place, whatever the texture"
    assert tuple(made.matrix_world.translation) == (1, 2, 3) and made.matrix_world.to_scale()[0] == pytest.approx(2)


def test_the_texture_is_kept_in_the_file(made: Any, tmp_path: Any) -> None:
    path = str(tmp_path / "kept.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    (link,) = shader_of(bpy.data.objects["Cat mesh"]).inputs["Base Color"].links
    assert tuple(link.from_node.image.size) == (2, 2) and link.from_node.image.packed_file is not None


# ---- made again


def grid(side: int, *, texture: bool = True, colors: bool = True, shade: int = 9) -> dict[str, Any]:
    """A square from 0 to 1 of side x side quads."""
    steps = np.linspace(0, 1, side + 1, dtype=np.float32)
    vertices = np.stack([*np.meshgrid(steps, steps), np.zeros((side + 1, side + 1), np.float32)], -1).reshape(-1, 3)
    first = (np.arange(side)[:, None] * (side + 1) + np.arange(side)).ravel()
    quads = np.stack([first, first + 1, first + side + 2, first + side + 1], -1)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)
    made: dict[str, Any] = {"vertices": vertices, "faces": faces, "colors": np.empty((0, 3), np.uint8)}
    if colors:
        made["colors"] = np.full((len(vertices), 3), shade, np.uint8)
    if texture:
        made |= {"uvs": vertices[faces][..., :2], "texture": png(np.full((4, 4, 3), shade, np.uint8))}
    return made


@pytest.fixture
def splats(empty_file: None) -> Any:
    made: Any = bpy.data.objects.new("Splats", None)
    bpy.context.scene.collection.objects.link(made)
    return made


@pytest.fixture
def put(splats: Any, room: Callable[[str], ModuleType]) -> Callable[..., Any]:
    def put(new_object: bool = False, **data: Any) -> Any:
        message = room("protocol").messages.MeshData(**data)
        of = bpy.data.objects["Splats"]
        return room("host.extracted_meshes").put(bpy.context, "Cat mesh", message, of, new_object=new_object)

    return put


def shown_color(object: Any) -> int:
    """Of the texture that the object's material shows, 0..255."""
    (link,) = shader_of(object).inputs["Base Color"].links
    return round(link.from_node.image.pixels[0] * 255)


def test_made_again_it_is_the_same_object_with_its_modifiers_materials_and_place(
    put: Callable[..., Any], splats: Any
) -> None:
    first = put(**grid(2))
    first.matrix_world = Matrix.Translation((5, 6, 7))
    first.modifiers.new("Thick", "SOLIDIFY").thickness = 0.3
    shader_of(first).inputs["Roughness"].default_value = 0.25
    own = bpy.data.materials.new("My material")
    first.data.materials.append(own)
    mesh, material = first.data, first.data.materials[0]
    again = put(**grid(3, shade=200))
    assert again == first and again.data == mesh and splats.splatwright.extracted_mesh == first
    assert len(mesh.vertices) == 16 and len(mesh.polygons) == 18 and not mesh.validate()
    assert tuple(again.matrix_world.translation) == (5, 6, 7)
    assert [m.name for m in again.modifiers] == ["Thick"] and again.modifiers["Thick"].thickness == pytest.approx(0.3)
    assert list(mesh.materials) == [material, own]
    assert shader_of(again).inputs["Roughness"].default_value == 0.25 and shown_color(again) == 200
    assert len(bpy.data.images) == 1 and len([o for o in bpy.data.objects if o.type == "MESH"]) == 1
    assert len(mesh.uv_layers) == 1 and len(mesh.color_attributes) == 1


def test_another_object_is_made_only_when_it_is_asked_for_or_the_one_before_is_gone(
    put: Callable[..., Any], splats: Any
) -> None:
    first = put(**grid(2))
    second = put(new_object=True, **grid(3, shade=200))
    assert second != first and len(first.data.vertices) == 9 and shown_color(first) == 9 and shown_color(second) == 200
    assert put(**grid(1)) == second and len(first.data.vertices) == 9
    bpy.context.scene.collection.objects.unlink(second)  # as Delete does where something still points at it
    third = put(**grid(2))
    assert third not in (first, second) and splats.splatwright.extracted_mesh == third


def test_weights_of_vertices_go_with_the_surface_and_shape_keys_do_not(put: Callable[..., Any]) -> None:
    made = put(**grid(8))
    made.vertex_groups.new(name="Left").add([v.index for v in made.data.vertices if v.co.x < 0.45], 0.5, "REPLACE")
    made.vertex_groups.new(name="Empty").lock_weight = True
    made.vertex_groups.active_index = 1
    made.shape_key_add(name="Basis")
    made.shape_key_add(name="Moved").data[0].co.z = 4
    put(**grid(11))
    assert [group.name for group in made.vertex_groups] == ["Left", "Empty"]
    assert made.vertex_groups["Empty"].lock_weight and made.vertex_groups.active_index == 1
    for vertex in made.data.vertices:
        weights = [(group.group, group.weight) for group in vertex.groups]
        if abs(vertex.co.x - 0.45) > 0.07:
            assert weights == ([(0, 0.5)] if vertex.co.x < 0.45 else [])
    assert made.data.shape_keys is None


def test_a_texture_comes_and_goes_and_the_users_own_materials_stay(put: Callable[..., Any]) -> None:
    made = put(**grid(2, texture=False))
    assert [m.name for m in made.data.materials] == ["Splatwright Vertex Colors"]
    put(**grid(2, shade=80))
    assert len(made.data.materials) == 1 and shown_color(made) == 80
    put(**grid(2, texture=False))
    assert [m.name for m in made.data.materials] == ["Splatwright Vertex Colors"] and not made.data.uv_layers
    put(**grid(2, shade=90))
    assert len(made.data.materials) == 1 and shown_color(made) == 90
    own = bpy.data.materials.new("My material")
    made.data.materials[0] = own
    put(**grid(3, shade=100))
    put(**grid(3, texture=False))
    assert list(made.data.materials) == [own]


def test_one_undo_brings_the_mesh_from_before_back_with_its_texture(put: Callable[..., Any]) -> None:
    put(**grid(2))
    bpy.ops.ed.undo_push(message="made")
    put(**grid(3, shade=200))
    bpy.ops.ed.undo_push(message="made again")
    bpy.ops.ed.undo()
    made = bpy.data.objects["Cat mesh"]
    assert len(made.data.vertices) == 9 and shown_color(made) == 9
    bpy.ops.ed.redo()
    made = bpy.data.objects["Cat mesh"]
    assert len(made.data.vertices) == 16 and shown_color(made) == 200


def test_a_mesh_that_is_being_edited_is_left_alone(put: Callable[..., Any], room: Callable[[str], ModuleType]) -> None:
    made = put(**grid(2))
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(room("protocol").errors.UserError, match="being edited"):
        put(**grid(3))
    bpy.ops.object.mode_set(mode="OBJECT")
    assert len(made.data.vertices) == 9
    assert put(**grid(3)) == made and len(made.data.vertices) == 16
