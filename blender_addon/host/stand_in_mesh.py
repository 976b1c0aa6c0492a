"""The mesh of a splat object: the edges of its box, and points that lie where some of its splats are.

Blender frames, selects and snaps by them. It draws no loose points beside edges and renders neither, so that they
never lie over the splats themselves.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from ..core import bounds as boxes
from ..protocol import things


def make(name: str, bounds: things.Bounds | None, points: npt.NDArray[np.float32]) -> bpy.types.Mesh:
    """points: [P, 3], in the asset's frame as the bounds."""
    mesh = bpy.data.meshes.new(name)
    _fill(mesh, np.concatenate([boxes.corners(bounds), points]))
    return mesh


def update(mesh: bpy.types.Mesh, bounds: things.Bounds | None, points: npt.NDArray[np.float32]) -> None:
    """Does nothing to a mesh that somebody has made something else of, or that another file keeps."""
    if not _is_ours(mesh):
        return
    vertices = np.concatenate([boxes.corners(bounds), points]).ravel()
    if len(mesh.vertices) * 3 != len(vertices):
        mesh.clear_geometry()
        _fill(mesh, vertices)
        return
    before = np.empty(len(vertices), np.float32)
    mesh.vertices.foreach_get("co", before)
    if not np.array_equal(before, vertices):
        mesh.vertices.foreach_set("co", vertices)
        mesh.update()


def _is_ours(mesh: bpy.types.Mesh) -> bool:
    is_box = len(mesh.edges) == len(boxes.EDGES) and not len(mesh.polygons) and len(mesh.vertices) >= 8
    return is_box and mesh.library is None and mesh.shape_keys is None and not mesh.is_editmode


def _fill(mesh: Any, vertices: npt.NDArray[np.float32]) -> None:
    mesh.vertices.add(vertices.size // 3)
    mesh.vertices.foreach_set("co", vertices.ravel())
    mesh.edges.add(len(boxes.EDGES))
    mesh.edges.foreach_set("vertices", boxes.EDGES.ravel())
    mesh.update()
