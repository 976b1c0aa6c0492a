"""The surface of a distance volume as triangles, cleaned up."""

from __future__ import annotations

import numpy as np

from backend.meshing.volume import DistanceVolume
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError

# In the order that libigl's tables want (Lorensen and Cline 1987).
_CUBE = ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))


def extract_surface(volume: DistanceVolume) -> TriangleMesh:
    """Where the distance is 0, in cubes whose corners were all seen; counter-clockwise seen from outside.

    Raises UserError when there is no such place.
    """
    import igl

    first = _crossed_cubes(volume)
    if not len(first):
        hint = "Raise the setting 'views', or train longer: a surface needs splats that cover what is behind them."
        raise UserError("bad_input", "No surface was found among the splats.", hint)
    corners = np.stack([np.ravel_multi_index((first + offset).T, volume.shape) for offset in _CUBE], -1)
    used, cubes = np.unique(corners, return_inverse=True)
    places = volume.origin + volume.voxel * np.stack(np.unravel_index(used, volume.shape), -1)
    distances = volume.distance.ravel()[used].astype(np.float64)
    # A distance of exactly 0 at a corner would make triangles without an area.
    distances[distances == 0] = 1e-6
    vertices, faces, _ = igl.marching_cubes(distances, places, cubes.reshape(-1, 8).astype(np.int64), 0.0)
    return TriangleMesh(np.asarray(vertices, np.float32), np.asarray(faces, np.int32))


def without_small_pieces(mesh: TriangleMesh, least: float) -> TriangleMesh:
    """least: a piece stays when it has at least this part of the faces of the largest one."""
    pieces = mesh.pieces()
    sizes = np.bincount(pieces)
    return mesh.with_faces(sizes[pieces] >= least * sizes.max())


def decimated(mesh: TriangleMesh, faces: int) -> TriangleMesh:
    """At most about so many faces (quadric error metrics, Garland and Heckbert 1997)."""
    import fast_simplification

    if len(mesh.faces) <= faces:
        return mesh
    vertices, left, *_ = fast_simplification.simplify(mesh.vertices, mesh.faces, target_count=faces)
    made = TriangleMesh(np.asarray(vertices, np.float32), np.asarray(left, np.int32))
    a, b, c = made.faces.T
    return made.with_faces((a != b) & (b != c) & (c != a))


def _crossed_cubes(volume: DistanceVolume) -> np.ndarray:
    """Lowest corner [M, 3] of every cube that was seen whole and has corners on both sides of the surface."""
    inside, seen = volume.distance < 0, volume.weight > 0
    size = tuple(length - 1 for length in volume.shape)
    some, every, known = np.zeros(size, bool), np.ones(size, bool), np.ones(size, bool)
    for i, j, k in _CUBE:
        part = tuple(slice(start, start + length) for start, length in zip((i, j, k), size, strict=True))
        some |= inside[part]
        every &= inside[part]
        known &= seen[part]
    return np.argwhere(some & ~every & known)
