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
