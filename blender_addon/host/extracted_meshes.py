"""Makes a mesh object of what the backend extracted from splats: faces, texture or colours, and a material of them."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from ..protocol import messages
from . import objects

COLORS, UVS = "Color", "UVMap"
_MATERIAL = "Splatwright Vertex Colors"


def create(context: Any, name: str, data: messages.MeshData, splats: bpy.types.Object | None) -> bpy.types.Object:
    """An object in the active collection, selected, that stands where the splats stand."""
    mesh = _mesh(name, data)
    if data.texture is not None and data.uvs is not None:
        mesh.materials.append(_textured(name, data.texture))
    elif len(data.colors):
        mesh.materials.append(_material())
    object = bpy.data.objects.new(name, mesh)
    if splats is not None:
        object.matrix_world = splats.matrix_world.copy()
    collection = context.collection or context.scene.collection
    collection.objects.link(object)
    objects.select(context, object)
    return object


def _mesh(name: str, data: messages.MeshData) -> bpy.types.Mesh:
    vertices, faces = np.asarray(data.vertices, np.float32), np.asarray(data.faces, np.int32)
    mesh: Any = bpy.data.meshes.new(name)
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", vertices.ravel())
    mesh.loops.add(faces.size)
    mesh.loops.foreach_set("vertex_index", faces.ravel())
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 3, dtype=np.int32))
    if len(data.colors):
        colors = mesh.attributes.new(COLORS, "BYTE_COLOR", "POINT")
        colors.data.foreach_set("color_srgb", _rgba(data.colors).ravel())
        mesh.color_attributes.active_color_name = COLORS
        mesh.color_attributes.render_color_index = mesh.color_attributes.active_color_index
    if data.uvs is not None:
        layer = mesh.uv_layers.new(name=UVS)
        layer.uv.foreach_set("vector", np.ascontiguousarray(data.uvs, np.float32).ravel())
    mesh.update(calc_edges=True)
    mesh.validate()
    mesh.shade_smooth()
    return mesh


def _rgba(colors: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """[V, 3] uint8 sRGB to [V, 4] sRGB 0..1."""
    rgba = np.ones((len(colors), 4), np.float32)
    rgba[:, :3] = colors.astype(np.float32) / 255
    return rgba


def _material() -> bpy.types.Material:
    """The colours of the vertices; one material for all meshes."""
    material: Any = bpy.data.materials.get(_MATERIAL)
    if material is not None:
        return material
    material, colors = _rough(_MATERIAL, "ShaderNodeVertexColor")
    colors.layer_name = COLORS
    return material


def _textured(name: str, png: npt.NDArray[Any]) -> bpy.types.Material:
    """The texture, which the .blend file keeps inside."""
    image: Any = bpy.data.images.new(name, 1, 1)
    content = np.ascontiguousarray(png, np.uint8).tobytes()
    image.pack(data=content, data_len=len(content))
    image.source = "FILE"
    image.colorspace_settings.name = "sRGB"
    material, texture = _rough(name, "ShaderNodeTexImage")
    texture.image, texture.extension = image, "EXTEND"
    return material


def _rough(name: str, color_node: str) -> tuple[bpy.types.Material, Any]:
    """A rough surface, which Blender's lights shade, and the node that its colour comes from."""
    material: Any = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0):  # later ones have nothing but nodes
        material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    color: Any = nodes.new(color_node)
    output = nodes.new("ShaderNodeOutputMaterial")
    shader = nodes.new("ShaderNodeBsdfPrincipled")
    shader.inputs["Roughness"].default_value = 0.9
    color.location, shader.location, output.location = (-300, 0), (0, 0), (300, 0)
    links.new(color.outputs["Color"], shader.inputs["Base Color"])
    links.new(shader.outputs["BSDF"], output.inputs["Surface"])
    return material, color
