"""What the backend extracted from splats as a mesh object: faces, texture or colours, and a material of them.

Extracted again, it is the same object with other faces (decision 0027).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from ..protocol import errors, messages
from . import objects
from .carried_weights import CarriedWeights

COLORS, UVS = "Color", "UVMap"
_MATERIAL = "Splatwright Vertex Colors"


def put(
    context: Any, name: str, data: messages.MeshData, splats: bpy.types.Object | None, *, new_object: bool = False
) -> bpy.types.Object:
    """The mesh of the splats: the one that was made of them before gets other faces, else it is a new object.

    new_object: another one all the same, which is the splats' mesh from then on. name: of a new object.
    Raises UserError when the mesh is being edited; nothing is changed then.
    """
    known = None if splats is None or new_object else made_of(splats)
    if known is not None:
        _update(known, data)
        return known
    made = create(context, name, data, splats)
    if splats is not None:
        splats.splatwright.extracted_mesh = made  # type: ignore[attr-defined]
    return made


def made_of(splats: bpy.types.Object) -> bpy.types.Object | None:
    """The mesh object that was made of the splats, as long as it is in some scene and is this file's own."""
    known: Any = splats.splatwright.extracted_mesh  # type: ignore[attr-defined]
    if known is None or not known.users_scene or known.library is not None or known.data.library is not None:
        return None
    return known


def create(context: Any, name: str, data: messages.MeshData, splats: bpy.types.Object | None) -> bpy.types.Object:
    """An object in the active collection, selected, that stands where the splats stand."""
    mesh: Any = bpy.data.meshes.new(name)
    _fill(mesh, data)
    object = bpy.data.objects.new(name, mesh)
    _color(object, data)
    if splats is not None:
        object.matrix_world = splats.matrix_world.copy()
    collection = context.collection or context.scene.collection
    collection.objects.link(object)
    objects.select(context, object)
    return object


def _update(object: bpy.types.Object, data: messages.MeshData) -> None:
    """Other vertices and faces; modifiers, materials, vertex groups and place stay. Shape keys go."""
    mesh: Any = object.data
    if mesh.is_editmode or object.mode != "OBJECT":
        hint = "Go to Object Mode, then press Get Mesh."
        raise errors.UserError("refused", f"'{object.name}' is being edited and was not changed.", hint)
    weights = CarriedWeights(object)
    if mesh.shape_keys is not None:
        object.shape_key_clear()  # keys of other vertices
    mesh.clear_geometry()
    _fill(mesh, data)
    weights.give(object, data.vertices)
    _color(object, data)


def _fill(mesh: Any, data: messages.MeshData) -> None:
    """Geometry, colours and UVs of a mesh that has none."""
    vertices, faces = np.asarray(data.vertices, np.float32), np.asarray(data.faces, np.int32)
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


def _rgba(colors: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """[V, 3] uint8 sRGB to [V, 4] sRGB 0..1."""
    rgba = np.ones((len(colors), 4), np.float32)
    rgba[:, :3] = colors.astype(np.float32) / 255
    return rgba


def _color(object: bpy.types.Object, data: messages.MeshData) -> None:
    """A material that shows the texture or else the vertices' colours, unless the user's own are there.

    What shows the texture from before shows the new one, whatever else was changed in its material.
    """
    own: Any = object.splatwright  # type: ignore[attr-defined]
    if data.texture is not None and data.uvs is not None:
        own.texture = _image(object.name, data.texture, own.texture)
        if not any(_shows(slot.material, own.texture) for slot in object.material_slots):
            _put_material(object, _textured(object.name, own.texture), lambda m: m.name == _MATERIAL)
    elif len(data.colors) and not any(slot.material == _of_vertices() for slot in object.material_slots):
        _put_material(object, _of_vertices(), lambda material: _shows(material, own.texture))


def _put_material(object: Any, material: bpy.types.Material, instead_of: Callable[[Any], bool]) -> None:
    """In the place of the first one that it is to replace, or where there are none at all."""
    for slot in object.material_slots:
        if slot.material is not None and instead_of(slot.material):
            slot.material = material
            return
    if not any(slot.material for slot in object.material_slots):
        object.data.materials.append(material)


def _shows(material: Any, image: bpy.types.Image | None) -> bool:
    if material is None or image is None or material.node_tree is None:
        return False
    return any(node.type == "TEX_IMAGE" and node.image == image for node in material.node_tree.nodes)


def _of_vertices() -> bpy.types.Material:
    """The colours of the vertices; one material for all meshes."""
    material: Any = bpy.data.materials.get(_MATERIAL)
    if material is not None:
        return material
    material, colors = _rough(_MATERIAL, "ShaderNodeVertexColor")
    colors.layer_name = COLORS
    return material


def _image(name: str, png: npt.NDArray[Any], before: bpy.types.Image | None) -> bpy.types.Image:
    """The texture, which the .blend file keeps inside, in every place where the one from before was."""
    image: Any = bpy.data.images.new(name, 1, 1)
    content = np.ascontiguousarray(png, np.uint8).tobytes()
    image.pack(data=content, data_len=len(content))
    image.source = "FILE"
    image.colorspace_settings.name = "sRGB"
    if before is not None:  # not the same image with other pixels: undo would not bring those back
        name = before.name
        before.user_remap(image)
        bpy.data.images.remove(before)
        image.name = name
    return image


def _textured(name: str, image: bpy.types.Image) -> bpy.types.Material:
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
