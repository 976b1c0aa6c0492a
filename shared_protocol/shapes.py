"""Whether arrays that came in a message are what they shall be."""

from __future__ import annotations

import numpy as np

from .things import Array


def check_mesh(vertices: Array | None, faces: Array | None) -> None:
    """Raises ValueError for what is no mesh of triangles: vertices [V, 3] float32, faces [F, 3] int32, or neither."""
    if (vertices is None) != (faces is None):
        raise ValueError("a mesh needs both its vertices and its faces")
    if vertices is None or faces is None:
        return
    check_vertices(vertices)
    if faces.dtype != np.int32 or faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError("faces must be int32 [F, 3]")
    if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
        raise ValueError("faces name vertices that are not there")


def check_vertices(vertices: Array) -> None:
    """Raises ValueError for what is not float32 [V, 3]."""
    if vertices.dtype != np.float32 or vertices.ndim != 2 or vertices.shape[1] != 3:
        raise ValueError("vertices must be float32 [V, 3]")
