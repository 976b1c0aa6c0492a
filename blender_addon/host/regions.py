"""Boxes and meshes of the scene in the frame of splats, as methods of the backend want them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import bpy
import numpy as np
import numpy.typing as npt

from ..protocol import errors, things
from . import meshes

Array = npt.NDArray[Any]
_FLAT = 1e-9


def asset_from_box(splats: bpy.types.Object, box: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> things.Matrix:
    """Carries the cube from -1 to 1 onto the box's own bounding box, in the frame of the asset; row after row.

    An Empty spans its display size. Raises UserError for a box without an inside.
    """
    evaluated = box.evaluated_get(depsgraph)
    if evaluated.type == "EMPTY":
        size = evaluated.empty_display_size
        lowest, highest = np.full(3, -size), np.full(3, size)
    else:
        corners = np.array([tuple(corner) for corner in evaluated.bound_box])  # [8, 3]
        lowest, highest = corners.min(0), corners.max(0)
    box_from_cube = np.diag([*(highest - lowest) / 2, 1.0])
    box_from_cube[:3, 3] = (highest + lowest) / 2
    matrix = asset_from_world(splats, depsgraph) @ np.array(evaluated.matrix_world, np.float64) @ box_from_cube
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < _FLAT**3:
        message = f"'{box.name}' is flat, so there is nothing inside it."
        raise errors.UserError("bad_input", message, "Choose an object with a volume, such as a cube.")
    return cast(things.Matrix, tuple(float(value) for value in matrix.ravel()))


class Groups(NamedTuple):
    """Names of vertex groups of a mesh that splats are bound to; "" = none."""

    strength: str = ""  # how strongly splats follow
    far: str = ""  # that far splats follow as one


NO_GROUPS = Groups()


def mesh_of(splats: bpy.types.Object, mesh: bpy.types.Object, *, at_rest: bool) -> meshes.Mesh:
    """The mesh with all modifiers, in the frame of the asset. at_rest: its armatures are put to rest for the moment.

    Raises UserError for a mesh without faces.
    """
    return _read(splats, mesh, at_rest)[0]


def rig_of(splats: bpy.types.Object, mesh: bpy.types.Object, groups: Groups, *, at_rest: bool) -> dict[str, Array]:
    """The mesh as `mesh_of` has it, with its groups: the fields of `RunMethod`.

    Raises UserError for a mesh without faces, or without a group of that name.
    """
    for name in filter(None, groups):
        if name not in mesh.vertex_groups:
            message = f"'{mesh.name}' has no vertex group '{name}'."
            raise errors.UserError("bad_input", message, "Choose another one in Rig, or none.")
    found, weights = _read(splats, mesh, at_rest, groups)
    names = ("weights", "far_weights")
    return {"vertices": found.vertices, "faces": found.faces} | {
        name: of_group for name, of_group in zip(names, weights, strict=True) if of_group is not None
    }


def _read(
    splats: bpy.types.Object, mesh: bpy.types.Object, at_rest: bool, groups: Groups = NO_GROUPS
) -> tuple[meshes.Mesh, list[Array | None]]:
    """In the frame of the asset; and the weights of each group."""
    with _armatures_at_rest(mesh) if at_rest else contextlib.nullcontext():
        depsgraph = bpy.context.evaluated_depsgraph_get()
        found = meshes.evaluated_mesh(mesh, depsgraph, world=True)
        matrix = asset_from_world(splats, depsgraph)
        weights = [meshes.vertex_weights(mesh, depsgraph, name) if name else None for name in groups]
    if not len(found.faces):
        raise errors.UserError("bad_input", f"'{mesh.name}' has no faces.", "Choose a mesh with a surface.")
    vertices = found.vertices @ matrix[:3, :3].T + matrix[:3, 3]
    return meshes.Mesh(np.ascontiguousarray(vertices, np.float32), found.faces), weights


def asset_from_world(splats: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> Array:
    """Carries the scene's world into the frame of the asset, [4, 4]. Raises UserError for one scaled to nothing."""
    matrix = np.array(splats.evaluated_get(depsgraph).matrix_world, np.float64)
    try:
        return np.linalg.inv(matrix)
    except np.linalg.LinAlgError as error:
        message = f"'{splats.name}' is scaled to nothing."
        raise errors.UserError("bad_input", message, "Give it a scale other than 0.") from error


@contextlib.contextmanager
def _armatures_at_rest(mesh: Any) -> Iterator[None]:
    armatures = {m.object.data for m in mesh.modifiers if m.type == "ARMATURE" and m.object is not None}
    if mesh.parent is not None and mesh.parent.type == "ARMATURE":
        armatures.add(mesh.parent.data)
    layer: Any = bpy.context.view_layer
    posed = [armature for armature in armatures if armature.pose_position == "POSE"]
    try:
        for armature in posed:
            armature.pose_position = "REST"
        layer.update()
        yield
    finally:
        for armature in posed:
            armature.pose_position = "POSE"
        layer.update()
