"""Makes a mesh object of what the backend extracted from splats: faces, colours, and a material that shows them."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from ..protocol import messages
from . import objects

COLORS = "Color"
_MATERIAL = "Splatwright Vertex Colors"


def create(context: Any, name: str, data: messages.MeshData, splats: bpy.types.Object | None) -> bpy.types.Object:
    """An object in the active collection, selected, that stands where the splats stand."""
    mesh = _mesh(name, data)
    if len(data.colors):
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
    """The colours as a rough surface, which Blender's lights shade."""
    material: Any = bpy.data.materials.get(_MATERIAL)
    if material is not None:
        return material
    material = bpy.data.materials.new(_MATERIAL)
    if bpy.app.version < (5, 0):  # later ones have nothing but nodes
        material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    colors: Any = nodes.new("ShaderNodeVertexColor")
    output = nodes.new("ShaderNodeOutputMaterial")
    shader = nodes.new("ShaderNodeBsdfPrincipled")
    colors.layer_name = COLORS
    shader.inputs["Roughness"].default_value = 0.9
    colors.location, shader.location, output.location = (-250, 0), (0, 0), (300, 0)
    links.new(colors.outputs["Color"], shader.inputs["Base Color"])
    links.new(shader.outputs["BSDF"], output.inputs["Surface"])
    return material
