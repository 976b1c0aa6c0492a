"""A surface through oriented points: near what is meshed and, where wanted, around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from backend.meshing.child_process import in_process
from backend.meshing.density import SplatDensity
from backend.meshing.depth_picture import DepthPicture
from backend.meshing.level_set import OrientedPoints, joined, level_points, without_stray
from backend.meshing.surface import no_surface
from backend.splats.cloud import SplatCloud
from backend.splats.triangle_mesh import TriangleMesh

LEAST_POINTS = 100  # of which a surface can be made
_AROUND = 4.0  # the background reaches so many times as far as what is meshed, as in SuGaR
_ROOM = 0.02  # around the bounds, of their size
# What the library was seen to take for spheres and corners of 20,000 to 1,000,000 points, rounded up.
_POINT_BYTES, _VERTEX_BYTES = 300, 1200
_VERTICES_A_CELL, _VERTICES_A_POINT = 9, 3.5  # of a face of the octree's cube; the fewer count


def sampled(
    pictures: Sequence[DepthPicture],
    cloud: SplatCloud,
    level: float,
    count: int,
    random: np.random.Generator,
    watch: Callable[[], object],
) -> OrientedPoints:
    """About `count` points of the cloud's surface of density `level`, as many from each picture.

    watch: called after each picture. Raises UserError when there are too few for a surface.
    """
    density = SplatDensity(cloud)
    parts = []
    for picture in pictures:
        parts.append(level_points(picture, density, level, -(-count // len(pictures)), random))
        watch()
    points = without_stray(joined(parts))
    if len(points) < LEAST_POINTS:
        raise no_surface()
    return points


def memory_needed(depth: int, points: int) -> float:
    """Bytes, to reconstruct a surface from so many points."""
    vertices = min(_VERTICES_A_CELL * 4**depth, _VERTICES_A_POINT * points)
    return _POINT_BYTES * points + _VERTEX_BYTES * vertices


def poisson_surface(
    points: OrientedPoints,
    bounds: np.ndarray,
    depth: int,
    trim: float | None,
    background: bool,
    watch: Callable[[], object],
) -> TriangleMesh:
    """Screened Poisson reconstruction (Kazhdan and Hoppe 2013), trimmed where it had no points.

    bounds: [2, 3] of what is meshed. depth: of the octree. trim: vertices are cut away where points are sparser than at
    the median by so many halvings. background: points around the bounds make a surface of their own, as in SuGaR.
    watch: called many times a second; what it raises ends the work. Raises UserError when no surface comes out.
    """
    room = _ROOM * float((bounds[1] - bounds[0]).max())
    is_near = _inside(points.places, bounds[0] - room, bounds[1] + room)
    parts = [points.select(is_near)]
    if background:
        middle, half = bounds.mean(axis=0), _AROUND * (bounds[1] - bounds[0]) / 2
        parts.append(points.select(~is_near & _inside(points.places, middle - half, middle + half)))
    surfaces = [_reconstructed(part, depth, trim, watch) for part in parts if len(part) >= LEAST_POINTS]
    surfaces = [surface for surface in surfaces if len(surface.faces)]
    if not surfaces:
        raise no_surface()
    starts = np.cumsum([0, *(len(surface.vertices) for surface in surfaces)])
    faces = [surface.faces + np.int32(start) for surface, start in zip(surfaces, starts[:-1], strict=True)]
    return TriangleMesh(np.concatenate([surface.vertices for surface in surfaces]), np.concatenate(faces))


def _inside(places: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.all((places >= low) & (places <= high), axis=1)


def _reconstructed(points: OrientedPoints, depth: int, trim: float | None, watch: Callable[[], object]) -> TriangleMesh:
    # Around the origin and of size 1: the library computes in float32.
    middle = points.places.mean(axis=0)
    size = float(np.ptp(points.places, axis=0).max())
    given = {"places": (points.places - middle) / size, "normals": points.normals}
    made = in_process("reconstruct", given, {"depth": depth}, watch)
    mesh = TriangleMesh((made["vertices"] * size + middle).astype(np.float32), made["faces"])
    if trim is None:
        return mesh
    dense = made["density"] >= np.median(made["density"]) - trim
    return mesh.with_faces(dense[mesh.faces].all(axis=1))
