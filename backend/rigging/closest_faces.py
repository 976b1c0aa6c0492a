"""The point of a mesh that is nearest to a splat, and where on which face it lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.splats.triangle_mesh import TriangleMesh


@dataclass(frozen=True)
class Places:
    """Where N points lie beside a mesh."""

    faces: np.ndarray  # [N] int32
    barycentrics: np.ndarray  # [N, 3] float32, of the nearest point of the face
    heights: np.ndarray  # [N] float32, above the face's plane, against its normal negative
    distances: np.ndarray  # [N] float64, from the nearest point


def closest_faces(points: np.ndarray, mesh: TriangleMesh, usable: np.ndarray) -> Places:
    """points: [N, 3]. usable: indices of the faces that may be chosen, one at least."""
    import igl

    points, vertices = points.astype(np.float64), mesh.vertices.astype(np.float64)
    faces = mesh.faces[usable].astype(np.int64)
    found = igl.point_mesh_squared_distance(points, vertices, faces)
    squares, which, closest = np.asarray(found[0]), np.asarray(found[1]), np.asarray(found[2])
    corners = vertices[faces[which]]
    a, b, c = np.moveaxis(corners, 1, 0)
    normal = np.cross(b - a, c - a)
    square = np.maximum(np.einsum("ni,ni->n", normal, normal), np.finfo(np.float64).tiny)
    of_b = np.einsum("ni,ni->n", np.cross(closest - a, c - a), normal) / square
    of_c = np.einsum("ni,ni->n", np.cross(b - a, closest - a), normal) / square
    weights = np.stack([1 - of_b - of_c, of_b, of_c], -1).clip(0, 1)
    return Places(
        usable[which].astype(np.int32),
        (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32),
        heights(points, corners).astype(np.float32),
        np.sqrt(squares),
    )


def heights(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Of points [N, 3] above the planes of faces [N, 3, 3], against their normals negative; [N] float64."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.maximum(np.linalg.norm(normal, axis=1), np.finfo(np.float64).tiny)
    return np.einsum("ni,ni->n", points - corners[:, 0], normal) / length
