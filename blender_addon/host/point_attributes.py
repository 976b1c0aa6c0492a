"""Point clouds that hold splats as attributes, for geometry nodes: made, and read as their modifiers leave them.

Where Blender has splats of its own, the point cloud becomes one. Before 5.2 a script cannot give a point cloud its
points, so there the attributes lie on the vertices of a mesh without edges.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ..core import splat_attributes
from ..protocol import errors

NATIVE = "GAUSSIAN_SPLAT"  # what PointCloud.type is called where Blender draws splats itself

# Of attributes that hold as many numbers: what they are called in the API, by their type.
_VALUES = {
    "FLOAT": ("value", 1),
    "FLOAT_VECTOR": ("vector", 3),
    "FLOAT_COLOR": ("color", 4),
    "FLOAT4": ("vector", 4),
    "QUATERNION": ("value", 4),
}


def is_native() -> bool:
    """Whether this Blender has splats of its own."""
    kind = bpy.types.PointCloud.bl_rna.properties.get("type")
    return kind is not None and NATIVE in kind.enum_items  # type: ignore[attr-defined]


def create(
    context: Any, name: str, columns: splat_attributes.Columns, beside: bpy.types.Object | None
) -> bpy.types.Object:
    """An object with these attributes, selected and active, that stands where `beside` does.

    It is not rendered, unless Blender draws it as splats: as points it would hide them.
    """
    object = bpy.data.objects.new(name, _points(name, len(columns[splat_attributes.POSITION])))
    for attribute, column in columns.items():
        _put(object.data, attribute, column)
    object.data.update_tag()  # type: ignore[union-attr]
    if beside is not None:
        object.matrix_world = beside.matrix_world.copy()
    object.hide_render = not is_native()
    collection = context.collection or context.scene.collection
    collection.objects.link(object)
    layer = context.view_layer
    layer.update()  # else it does not know the new object yet
    for other in layer.objects:
        other.select_set(False)
    if object.name in layer.objects:  # not when the collection is excluded from it
        object.select_set(True)
        layer.objects.active = object
    return object


def has_splats(object: bpy.types.Object | None) -> bool:
    """Whether the object's own points have the attributes of splats; quick enough for a poll."""
    attributes: Any = getattr(object.data, "attributes", None) if object is not None else None
    return attributes is not None and splat_attributes.BASE in attributes


def read(object: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> splat_attributes.Columns:
    """The attributes of its points after all modifiers, each [N, width]. Raises UserError when it has no points."""
    parts: list[Any] = []
    if object.data is not None:
        geometry: Any = object.evaluated_get(depsgraph).evaluated_geometry()
        parts = [part for part in (geometry.pointcloud, geometry.mesh) if part is not None]
    parts.sort(key=lambda part: splat_attributes.BASE not in part.attributes)
    if not parts:
        raise errors.UserError("bad_input", f"'{object.name}' has no points.", "Choose what Write Attributes made.")
    columns: splat_attributes.Columns = {}
    for attribute in parts[0].attributes:
        if attribute.domain == "POINT" and attribute.data_type in _VALUES and _is_ours(attribute.name):
            value, width = _VALUES[attribute.data_type]
            column = np.empty(len(attribute.data) * width, np.float32)
            attribute.data.foreach_get(value, column)
            columns[attribute.name] = column.reshape(-1, width)
    for name, width in splat_attributes.WIDTHS.items():
        if name in columns and columns[name].shape[1] != width:
            message = (
                f"The attribute '{name}' of '{object.name}' has {columns[name].shape[1]} numbers a point, not {width}."
            )
            raise errors.UserError("bad_input", message, "Store it with the type that Write Attributes gives it.")
    return columns


def _is_ours(name: str) -> bool:
    return name in splat_attributes.WIDTHS or name.startswith(splat_attributes.HARMONIC)


def _points(name: str, count: int) -> Any:
    cloud: Any = bpy.data.pointclouds.new(name)
    if not hasattr(cloud, "resize"):
        bpy.data.pointclouds.remove(cloud)
        mesh: Any = bpy.data.meshes.new(name)
        mesh.vertices.add(count)
        return mesh
    cloud.resize(count)
    if is_native():
        cloud.type = NATIVE
    return cloud


def _put(data: Any, name: str, column: np.ndarray) -> None:
    attribute = data.attributes.get(name)
    if attribute is None:
        attribute = data.attributes.new(name, _type_of(data, name, column.shape[1]), "POINT")
    attribute.data.foreach_set(_VALUES[attribute.data_type][0], column.ravel())


def _type_of(data: Any, name: str, width: int) -> str:
    if name == splat_attributes.ROTATION:
        return "QUATERNION"
    if width in (1, 3):
        return "FLOAT" if width == 1 else "FLOAT_VECTOR"
    known = data.attributes.bl_rna.functions["new"].parameters["type"].enum_items
    return "FLOAT4" if "FLOAT4" in known else "FLOAT_COLOR"  # the numbers are the same
