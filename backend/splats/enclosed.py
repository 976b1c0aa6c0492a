"""Which points a triangle mesh encloses, also one with holes and self-intersections."""

from __future__ import annotations

import numpy as np

from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError


def enclosed_by(mesh: TriangleMesh, points: np.ndarray) -> np.ndarray:
    """bool [N]: the points [N, 3] around which the mesh winds by more than half a turn, whichever way its faces look.

    Barill et al. 2018, "Fast Winding Numbers for Soups and Clouds". Raises UserError for a mesh without faces, or with
    vertices that are no numbers.
    """
    import igl

    used = mesh.vertices[mesh.faces]
    if not len(used) or not np.isfinite(used).all():
        raise UserError("bad_input", "The mesh has no faces, or vertices that are no numbers.", "Choose another mesh.")
    low, high = used.min(axis=(0, 1)), used.max(axis=(0, 1))
    inside = ((points >= low) & (points <= high)).all(axis=1)
    if inside.any():
        vertices, faces = mesh.vertices.astype(np.float64), mesh.faces.astype(np.int64)
        turns = np.asarray(igl.fast_winding_number(vertices, faces, points[inside].astype(np.float64)))
        inside[inside] = np.abs(turns) > 0.5
    return inside


def distances_to(mesh: TriangleMesh, points: np.ndarray) -> np.ndarray:
    """From the nearest point of the mesh, [N] float64."""
    import igl

    found = igl.point_mesh_squared_distance(
        points.astype(np.float64), mesh.vertices.astype(np.float64), mesh.faces.astype(np.int64)
    )
    return np.sqrt(np.asarray(found[0]))
