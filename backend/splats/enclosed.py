"""Which points a triangle mesh encloses, also one with holes and self-intersections."""

from __future__ import annotations

import numpy as np
from numba import prange

from backend.splats.kernels import parallel_kernel, serial_kernel
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError

_MOST_CELLS = 512  # along a side of the grid that faces are sorted into


def enclosed_by(mesh: TriangleMesh, points: np.ndarray) -> np.ndarray:
    """bool [N]: the points [N, 3] around which the mesh winds by more than half a turn, whichever way its faces look.

    Closed meshes wind by whole turns, which are counted where a ray leaves them: many times faster than the solid
    angles of a mesh with holes (Barill et al. 2018, "Fast Winding Numbers for Soups and Clouds").
    Raises UserError for a mesh without faces, or with vertices that are no numbers.
    """
    used = mesh.vertices[mesh.faces]
    if not len(used) or not np.isfinite(used).all():
        raise UserError("bad_input", "The mesh has no faces, or vertices that are no numbers.", "Choose another mesh.")
    low, high = used.min(axis=(0, 1)), used.max(axis=(0, 1))
    inside = ((points >= low) & (points <= high)).all(axis=1)
    if inside.any():
        joined = mesh.joined()
        count = _turns_of_closed if _is_closed(joined) else _turns
        inside[inside] = np.abs(count(joined, points[inside].astype(np.float64))) > 0.5
    return inside


def _turns(mesh: TriangleMesh, points: np.ndarray) -> np.ndarray:
    import igl

    found = igl.fast_winding_number(mesh.vertices.astype(np.float64), mesh.faces.astype(np.int64), points)
    return np.asarray(found)


def _is_closed(mesh: TriangleMesh) -> bool:
    """Whether each edge is used as often one way as the other."""
    starts, ends = mesh.faces.astype(np.int64), np.roll(mesh.faces, -1, axis=1).astype(np.int64)
    there, back = starts * len(mesh.vertices) + ends, ends * len(mesh.vertices) + starts
    return np.array_equal(np.sort(there, axis=None), np.sort(back, axis=None))


def _turns_of_closed(mesh: TriangleMesh, points: np.ndarray) -> np.ndarray:
    """int32 [N]: how often a ray along z leaves the mesh more often than it enters it."""
    vertices = mesh.vertices.astype(np.float64)
    used = vertices[mesh.faces]  # [F, 3, 3]
    low, size = used.min(axis=(0, 1))[:2], np.ptp(used, axis=(0, 1))[:2]
    cells = int(np.clip(np.sqrt(len(used) / 2), 1, _MOST_CELLS))
    scale = cells / np.where(size > 0, size, 1.0)

    def cell_of(places: np.ndarray) -> np.ndarray:
        return ((places - low) * scale).astype(np.int32).clip(0, cells - 1)

    first, last = cell_of(used[..., :2].min(axis=1)), cell_of(used[..., :2].max(axis=1))
    begins = np.zeros(cells * cells + 1, np.int64)
    _count_faces(first, last, cells, begins)
    faces_of = np.empty(begins[-1], np.int32)
    _sort_faces(first, last, cells, begins.copy(), faces_of)
    turns = np.empty(len(points), np.int32)
    columns = cell_of(points[:, :2])
    _count_turns(points, columns[:, 0] * cells + columns[:, 1], begins, faces_of, vertices, mesh.faces, turns)
    return turns


@serial_kernel
def _count_faces(first: np.ndarray, last: np.ndarray, cells: int, begins: np.ndarray) -> None:
    """begins: [cells * cells + 1] of zeros; becomes where the faces over each cell begin."""
    for face in range(len(first)):
        for column in range(first[face, 0], last[face, 0] + 1):
            for row in range(first[face, 1], last[face, 1] + 1):
                begins[column * cells + row + 1] += 1
    for cell in range(cells * cells):
        begins[cell + 1] += begins[cell]


@serial_kernel
def _sort_faces(first: np.ndarray, last: np.ndarray, cells: int, place: np.ndarray, faces_of: np.ndarray) -> None:
    for face in range(len(first)):
        for column in range(first[face, 0], last[face, 0] + 1):
            for row in range(first[face, 1], last[face, 1] + 1):
                cell = column * cells + row
                faces_of[place[cell]] = face
                place[cell] += 1


@parallel_kernel
def _count_turns(
    points: np.ndarray,
    cells: np.ndarray,
    begins: np.ndarray,
    faces_of: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    turns: np.ndarray,
) -> None:
    for i in prange(len(points)):
        x, y, z, total = points[i, 0], points[i, 1], points[i, 2], 0
        for entry in range(begins[cells[i]], begins[cells[i] + 1]):
            face = faces_of[entry]
            covers = 0  # how often the face's outline goes around the ray, seen along it
            for corner in range(3):
                a, b = faces[face, corner], faces[face, (corner + 1) % 3]
                rises = vertices[b, 1] > y
                if (vertices[a, 1] > y) != rises:
                    # Both faces at an edge reckon it from the same end, so that the ray never slips between them.
                    low, high = min(a, b), max(a, b)
                    slope = (vertices[high, 0] - vertices[low, 0]) / (vertices[high, 1] - vertices[low, 1])
                    if x < vertices[low, 0] + slope * (y - vertices[low, 1]):
                        covers += 1 if rises else -1
            if covers != 0 and _is_above(vertices, faces[face], x, y, z):
                total += covers
        turns[i] = total


@serial_kernel
def _is_above(vertices: np.ndarray, face: np.ndarray, x: float, y: float, z: float) -> bool:
    """Whether the plane of a face is above a point."""
    a = vertices[face[0]]
    ux, uy, uz = vertices[face[1], 0] - a[0], vertices[face[1], 1] - a[1], vertices[face[1], 2] - a[2]
    vx, vy, vz = vertices[face[2], 0] - a[0], vertices[face[2], 1] - a[1], vertices[face[2], 2] - a[2]
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    return nz != 0 and a[2] - (nx * (x - a[0]) + ny * (y - a[1])) / nz > z


def distances_to(mesh: TriangleMesh, points: np.ndarray) -> np.ndarray:
    """From the nearest point of the mesh, [N] float64."""
    import igl

    found = igl.point_mesh_squared_distance(
        points.astype(np.float64), mesh.vertices.astype(np.float64), mesh.faces.astype(np.int64)
    )
    return np.sqrt(np.asarray(found[0]))
