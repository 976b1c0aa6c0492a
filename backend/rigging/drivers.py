"""How a moved mesh drives splats: a table of linear maps, and which rows of it each splat blends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np

from backend.rigging.triangle_frames import TriangleFrames
from backend.splats.deformation import limited_stretch, polar_parts
from backend.splats.kernels import parallel_kernel
from backend.splats.triangle_mesh import TriangleMesh

Driver = Literal["smooth", "per_face"]
_OF_SLIVERS = 1e-6  # of the area of the mean face: they count where a vertex has no better face


@dataclass(frozen=True)
class Maps:
    """A pose of a mesh, as linear maps R S of what lies around its vertices, or around its faces."""

    turns: np.ndarray  # [M, 3, 3] float64: R, orthogonal, and mirroring where the mesh was mirrored
    stretches: np.ndarray  # [M, 3, 3] float64: S, symmetric and positive, within the stretch limit
    collapsed: np.ndarray  # [F] bool
    side: float  # -1.0 where the mesh was mirrored, else 1.0


class MeshDriver:
    """A mesh at rest, made ready for driving splats.

    per_face: each face carries its splats by its own affine map, which tears where faces meet.
    smooth: a vertex has the mean turn and the mean stretch of its faces, weighted by area, and both are blended between
    vertices. Continuous all over the mesh; unlike the mean of whole maps it does not lose volume where the mesh is
    twisted, and an affine motion of the mesh stays exact.
    """

    def __init__(self, mesh: TriangleMesh, driver: Driver, *, keep_thickness: bool, stretch_limit: float) -> None:
        self._frames = TriangleFrames(mesh, keep_thickness=keep_thickness)
        self._is_smooth, self._stretch_limit = driver == "smooth", stretch_limit
        around = self._frames.touches().T.tocsr()  # [V, F]
        areas, usable = self._frames.areas, self._frames.usable
        self.usable_faces = np.flatnonzero(usable)
        least = _OF_SLIVERS * areas[usable].mean() if usable.any() else 0.0
        self._first, self._around = around.indptr, around.indices
        self._weights = np.where(usable, np.maximum(areas, least), 0.0)[around.indices]

    def rows(self, faces: np.ndarray) -> np.ndarray:
        """Which three maps splats on these faces [N] blend by their barycentrics: [N, 3] int32."""
        return self._frames.joined_faces[faces] if self._is_smooth else np.repeat(faces[:, None], 3, axis=1)

    def maps(self, vertices: np.ndarray) -> Maps:
        """vertices: [V, 3] float32, of the moved mesh; may hold what is no number."""
        jacobians, collapsed, side = self._frames.maps(vertices)
        turns, stretches = polar_parts(jacobians, side)
        if self._is_smooth:
            turns, _ = polar_parts(self._around_vertices(turns, collapsed), side)
            stretches = self._around_vertices(stretches, collapsed)
        return Maps(turns, limited_stretch(stretches, self._stretch_limit), collapsed, side)

    def _around_vertices(self, of_faces: np.ndarray, collapsed: np.ndarray) -> np.ndarray:
        """[F, 3, 3] -> [V, 3, 3]: the mean; the identity around a vertex without faces."""
        of_vertices = np.empty((len(self._first) - 1, 3, 3))
        _average(of_faces, collapsed, self._first, self._around, self._weights, of_vertices)
        return of_vertices


@parallel_kernel
def _average(of_faces, collapsed, first, around, weights, of_vertices):  # type: ignore[no-untyped-def]
    """The weighted mean over all faces around a vertex that did not collapse."""
    for vertex in numba.prange(len(of_vertices)):  # type: ignore[attr-defined]
        total = 0.0
        for row in range(3):
            for column in range(3):
                of_vertices[vertex, row, column] = 0.0
        for entry in range(first[vertex], first[vertex + 1]):
            face = around[entry]
            weight = 0.0 if collapsed[face] else weights[entry]
            total += weight
            for row in range(3):
                for column in range(3):
                    of_vertices[vertex, row, column] += weight * of_faces[face, row, column]
        for row in range(3):
            for column in range(3):
                if total > 0.0:
                    of_vertices[vertex, row, column] /= total
                else:
                    of_vertices[vertex, row, column] = 1.0 if row == column else 0.0
