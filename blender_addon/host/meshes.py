"""Evaluated meshes of Blender as arrays; nothing here keeps a pointer into Blender."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import bpy
import msgspec
import numpy as np
import numpy.typing as npt

from . import base_colors
from .mesh_arrays import numbers

# What Blender can turn into a mesh.
SURFACES = frozenset({"MESH", "CURVE", "SURFACE", "FONT", "META"})

Array = npt.NDArray[Any]


class Mesh(msgspec.Struct, frozen=True):
    """Triangles."""

    vertices: Array  # [V, 3] float32
    faces: Array  # [F, 3] int32


class Surface(msgspec.Struct, frozen=True):
    """What the depsgraph shows of one object, once for each of its instances."""

    name: str  # of the object in the .blend
    mesh: Mesh  # world
    colors: Array  # [F, 3] uint8 sRGB, the base colour in the middle of each triangle


def evaluated_mesh(object: bpy.types.Object, depsgraph: bpy.types.Depsgraph, world: bool) -> Mesh:
    """The object's mesh with all modifiers, in its own frame or in the world's; without a mesh it has no faces."""
    evaluated = object.evaluated_get(depsgraph)
    with _mesh_of(evaluated) as mesh:
        vertices, faces = _positions(mesh), _triangles(mesh)
    return Mesh(_moved(vertices, evaluated.matrix_world) if world else vertices, faces)


def mesh_of_shown(shown: bpy.types.Object) -> Mesh:
    """The mesh of an object as the depsgraph shows it, in its own frame."""
    with _mesh_of(shown) as mesh:
        return Mesh(_positions(mesh), _triangles(mesh))


def positions(object: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> Array:
    """The vertices of the object's evaluated mesh in its own frame, [V, 3] float32."""
    with _mesh_of(object.evaluated_get(depsgraph)) as mesh:
        return _positions(mesh)


def positions_and_topology(object: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> tuple[Array, str]:
    """As `positions`; and a word for which vertices make which faces, the same as long as they do."""
    with _mesh_of(object.evaluated_get(depsgraph)) as mesh:
        return _positions(mesh), _topology(mesh)


def topology(object: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> str:
    """As `positions_and_topology` has it."""
    return positions_and_topology(object, depsgraph)[1]


def vertex_weights(object: bpy.types.Object, depsgraph: bpy.types.Depsgraph, group: str) -> Array:
    """Of a vertex group, by name, for the vertices that `positions` has, [V] float32 0..1; 0 outside of the group."""
    evaluated: Any = object.evaluated_get(depsgraph)
    found = object.vertex_groups.get(group)
    # Blender leaves groups out of evaluated meshes where no modifier and no view needs them.
    mesh = evaluated.to_mesh(preserve_all_data_layers=True, depsgraph=depsgraph)
    try:
        weights = np.zeros(len(mesh.vertices), np.float32)
        if found is not None:
            for vertex in mesh.vertices:
                for member in vertex.groups:
                    if member.group == found.index:
                        weights[vertex.index] = member.weight
    finally:
        evaluated.to_mesh_clear()
    return weights.clip(0, 1)


def surface_of_scene(depsgraph: bpy.types.Depsgraph, space: bpy.types.SpaceView3D | None = None) -> Mesh:
    """All faces that are rendered, or that a viewport shows, instances too, in the world's frame.

    Boxes of splats have only edges.
    """
    meshes = [surface.mesh for surface in surfaces(depsgraph, with_colors=False, space=space)]
    if not meshes:
        return Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    firsts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + first for mesh, first in zip(meshes, firsts.astype(np.int32), strict=True)]),
    )


def surfaces(
    depsgraph: bpy.types.Depsgraph,
    wanted: Callable[[bpy.types.Object], bool] = lambda _: True,
    *,
    with_colors: bool = True,
    space: bpy.types.SpaceView3D | None = None,
) -> Iterator[Surface]:
    """Everything with faces that can be rendered, or, where there is a `space`, that this viewport shows.

    wanted: is asked for the original object, and for an instance also for the object that makes it; one yes is enough.
    Instances of one object are evaluated once.
    """
    known: dict[tuple[int, int], tuple[Mesh, Array]] = {}
    for instance in depsgraph.object_instances:
        shown: Any = instance.object
        if shown is None or shown.type not in SURFACES or not instance.show_self:
            continue
        maker: Any = instance.parent if instance.is_instance else None
        if not is_seen(shown, maker, space):
            continue
        if not wanted(shown.original) and not (maker is not None and wanted(maker.original)):
            continue
        matrix = instance.matrix_world.copy()
        # Not the shown object itself: all instances are told one after the other in the same place of memory.
        key = shown.data.as_pointer(), shown.original.as_pointer()
        if key not in known:
            with _mesh_of(shown) as mesh:
                colors = base_colors.of_triangles(shown, mesh) if with_colors else np.zeros((0, 3), np.uint8)
                known[key] = Mesh(_positions(mesh), _triangles(mesh)), colors
        mesh, colors = known[key]
        if len(mesh.faces):
            yield Surface(shown.original.name, Mesh(_moved(mesh.vertices, matrix), mesh.faces), colors)


def is_seen(shown: Any, maker: Any, space: bpy.types.SpaceView3D | None) -> bool:
    """Whether faces of something in the depsgraph are rendered, or shown by a viewport.

    maker: what an instance is made by, else None.
    """
    if space is None:
        return not shown.hide_render and (maker is None or not maker.hide_render)
    has_faces = shown.display_type not in ("BOUNDS", "WIRE")
    return has_faces and (maker or shown).original.visible_in_viewport_get(space)


@contextmanager
def _mesh_of(evaluated: bpy.types.Object) -> Iterator[bpy.types.Mesh | None]:
    if evaluated.type not in SURFACES:
        yield None
        return
    mesh = evaluated.to_mesh()
    try:
        yield mesh
    finally:
        evaluated.to_mesh_clear()


def _positions(mesh: bpy.types.Mesh | None) -> Array:
    if mesh is None or not len(mesh.vertices):
        return np.zeros((0, 3), np.float32)
    attributes: Any = mesh.attributes  # read as a whole; through `vertices` it takes thirty times as long
    return numbers(attributes["position"].data, "vector", np.float32, 3)


def _triangles(mesh: bpy.types.Mesh | None) -> Array:
    if mesh is None or not len(mesh.polygons):
        return np.zeros((0, 3), np.int32)
    mesh.calc_loop_triangles()
    attributes: Any = mesh.attributes
    of_corners = numbers(attributes[".corner_vert"].data, "value", np.int32, 1)[:, 0]
    return of_corners[numbers(mesh.loop_triangles, "loops", np.int32, 3)]


def _topology(mesh: bpy.types.Mesh | None) -> str:
    """Of the faces as they are drawn, not of their triangles: how a quad is cut depends on where its corners are."""
    if mesh is None or not len(mesh.polygons):
        return ""
    attributes: Any = mesh.attributes
    of_corners = numbers(attributes[".corner_vert"].data, "value", np.int32, 1)
    firsts = numbers(mesh.polygons, "loop_start", np.int32, 1)
    return f"{len(mesh.vertices)}/{zlib.crc32(firsts.tobytes(), zlib.crc32(of_corners.tobytes())):08x}"


def _moved(vertices: Array, matrix: Any) -> Array:
    """In double precision: far from the origin, single precision would move neighbours into each other."""
    whole = np.array(matrix, np.float64)
    return (vertices @ whole[:3, :3].T + whole[:3, 3]).astype(np.float32)
