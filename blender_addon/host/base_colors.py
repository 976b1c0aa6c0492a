"""The colours of surfaces without light on them, where they are cheap to know: plain, painted, an image on a UV map."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from .mesh_arrays import numbers

Array = npt.NDArray[Any]

# The shaders whose colour is known, and the socket that it goes into.
_BASE_COLOR = {
    "ShaderNodeBsdfPrincipled": "Base Color",
    "ShaderNodeBsdfDiffuse": "Color",
    "ShaderNodeEmission": "Color",
}


def of_triangles(shown: bpy.types.Object, mesh: bpy.types.Mesh | None) -> Array:
    """[F, 3] uint8 sRGB, for each triangle; grey where nothing is known."""
    if mesh is None:
        return np.zeros((0, 3), np.uint8)
    mesh.calc_loop_triangles()
    slots = numbers(mesh.loop_triangles, "material_index", np.int32, 1)[:, 0]
    loops = numbers(mesh.loop_triangles, "loops", np.int32, 3)
    colors = np.full((len(slots), 3), 0.5)
    for slot in np.unique(slots):
        materials = shown.material_slots
        material = materials[min(slot, len(materials) - 1)].material if len(materials) else None
        if material is not None:
            chosen = slots == slot
            colors[chosen] = _material_colors(material, mesh, loops[chosen])
    return np.rint(_srgb(colors) * 255).astype(np.uint8)


def _material_colors(material: Any, mesh: bpy.types.Mesh, loops: Array) -> Array:
    """[F, 3] or [3], linear."""
    plain = np.array(material.diffuse_color[:3])
    nodes = material.node_tree.nodes if material.node_tree else ()
    shader: Any = next((node for node in nodes if node.bl_idname in _BASE_COLOR), None)
    if shader is None:
        return plain
    socket = shader.inputs[_BASE_COLOR[shader.bl_idname]]
    if not socket.is_linked:
        return np.array(socket.default_value[:3])
    source = socket.links[0].from_node
    if source.bl_idname == "ShaderNodeTexImage" and source.image is not None:
        found = _image_colors(source, mesh, loops)
        return plain if found is None else found
    if source.bl_idname in ("ShaderNodeVertexColor", "ShaderNodeAttribute"):
        name = source.layer_name if source.bl_idname == "ShaderNodeVertexColor" else source.attribute_name
        found = _painted_colors(mesh.color_attributes.get(name) or mesh.color_attributes.active_color, mesh, loops)
        return plain if found is None else found
    return plain


def _image_colors(source: Any, mesh: bpy.types.Mesh, loops: Array) -> Array | None:
    """The image at the middle of each triangle on the active UV map, [F, 3] linear."""
    layer = mesh.uv_layers.active
    # An image whose file is missing has no pixels.
    if layer is None or source.inputs["Vector"].is_linked or not len(source.image.pixels):
        return None
    width, height = source.image.size
    channels = source.image.channels
    pixels = np.empty(width * height * channels, np.float32)
    source.image.pixels.foreach_get(pixels)
    middle = numbers(layer.uv, "vector", np.float32, 2)[loops].mean(axis=1)
    column, row = (np.floor(middle * (width, height)).astype(int) % (width, height)).T
    found = pixels.reshape(height, width, channels)[row, column, : min(channels, 3)].astype(np.float64)
    found = np.broadcast_to(found, (len(found), 3)) if channels < 3 else found
    # Pixels of 8-bit images come as they are stored.
    is_srgb = not source.image.is_float and source.image.colorspace_settings.name == "sRGB"
    return _linear(found) if is_srgb else found


def _painted_colors(layer: Any, mesh: bpy.types.Mesh, loops: Array) -> Array | None:
    """A colour attribute on corners or points, averaged over each triangle, [F, 3] linear."""
    if layer is None:
        return None
    values = numbers(layer.data, "color", np.float32, 4)[:, :3]
    if layer.domain == "CORNER":
        return values[loops].mean(axis=1)
    corner_vertices = numbers(mesh.loops, "vertex_index", np.int32, 1)[:, 0]
    return values[corner_vertices[loops]].mean(axis=1)


def _srgb(linear: Array) -> Array:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _linear(srgb: Array) -> Array:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
