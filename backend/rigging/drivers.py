"""How a moved mesh drives splats: a table of linear maps, and which rows of it each splat blends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np
from scipy.sparse import csr_matrix, diags, vstack

from backend.rigging.triangle_frames import TriangleFrames
from backend.splats.deformation import limited_stretch, polar_parts
from backend.splats.kernels import parallel_kernel
from backend.splats.triangle_mesh import TriangleMesh

Driver = Literal["smooth", "per_face"]
# How often the maps around vertices are averaged with their neighbours', which spreads each over about the root of that
# in edges; a splat takes those that are as wide as it is.
_ROUNDS = (0, 1, 2, 4)
_WIDTHS = range(1, len(_ROUNDS))  # indices into them: that of 0 is the vertex alone
_OF_SLIVERS = 1e-6  # of the area of the mean face: they count where a vertex has no better face


@dataclass(frozen=True)
class Maps:
    """A pose of a mesh, as linear maps R S: narrow and wide ones around its vertices, or one of each face."""

    turns: np.ndarray  # [M, 3, 3] float64: R, orthogonal, and mirroring where the mesh was mirrored
    stretches: np.ndarray  # [M, 3, 3] float64: S, symmetric and positive, within the stretch limit
    collapsed: np.ndarray  # [F] bool
    side: float  # -1.0 where the mesh was mirrored, else 1.0


class MeshDriver:
    """A mesh at rest, made ready for driving splats.

    per_face: each face carries its splats by its own affine map, which tears where faces meet.
    smooth: a vertex has the mean turn and the mean stretch of its faces, weighted by area, and both are blended between
    vertices. Continuous all over the mesh; unlike the mean of whole maps it does not lose volume where the mesh is
    twisted, and an affine motion of the mesh stays exact. A splat that is wider than its face goes with the mean map of
    what it covers: a single fold of the mesh does not stretch it.
    """

    def __init__(self, mesh: TriangleMesh, driver: Driver, *, keep_thickness: bool, stretch_limit: float) -> None:
        self._frames = TriangleFrames(mesh, keep_thickness=keep_thickness)
        self._is_smooth, self._stretch_limit = driver == "smooth", stretch_limit
        touches = self._frames.touches()
        around = touches.T.tocsr()  # [V, F]
        areas, usable = self._frames.areas, self._frames.usable
        self.usable_faces = np.flatnonzero(usable)
        least = _OF_SLIVERS * areas[usable].mean() if usable.any() else 0.0
        self._first, self._around = around.indptr, around.indices
        self._vertex_count = len(mesh.vertices)
        self._weights = np.where(usable, np.maximum(areas, least), 0.0)[around.indices]
        self._edges = np.linalg.norm(mesh.corners - np.roll(mesh.corners, 1, axis=1), axis=2).mean(axis=1)  # [F]
        weighted = csr_matrix((self._weights, around.indices, around.indptr), around.shape)
        self._neighbours = _mean_of_neighbours(weighted, touches)

    def rows(self, faces: np.ndarray, widths: np.ndarray) -> tuple[np.ndarray, csr_matrix]:
        """Which three maps splats on these faces [N] blend by their barycentrics: [N, 3] int32.

        widths: [N], their standard deviations along the surface, in world units.
        The second result makes the wide maps among them, which come last: [W, V], for `maps`.
        """
        count = self._vertex_count
        if not self._is_smooth:
            return np.repeat(faces[:, None], 3, axis=1), csr_matrix((0, count))
        wanted = (widths / np.maximum(self._edges[faces], np.finfo(np.float64).tiny)) ** 2
        nearest = np.abs(np.log1p(wanted)[:, None] - np.log1p(_ROUNDS)).argmin(axis=1)  # [N] into _ROUNDS
        rows = self._frames.joined_faces[faces] + count * nearest[:, None]
        wide = np.unique(rows[rows >= count])
        compact = np.where(rows < count, rows, count + np.searchsorted(wide, rows)).astype(np.int32)
        return compact, csr_matrix(vstack([self._mean_over(wide[wide // count == n] % count, n) for n in _WIDTHS]))

    def _mean_over(self, vertices: np.ndarray, width: int) -> csr_matrix:
        """The mean over the surroundings of some vertices, [len(vertices), V]."""
        mean = self._neighbours[vertices]
        for _ in range(_ROUNDS[width] - 1):
            mean = mean @ self._neighbours
        return mean

    def maps(self, vertices: np.ndarray, wide: csr_matrix | None = None) -> Maps:
        """vertices: [V, 3] float32, of the moved mesh; may hold what is no number. wide: as `rows` tells."""
        jacobians, collapsed, side = self._frames.maps(vertices)
        turns, stretches = polar_parts(jacobians, side)
        if self._is_smooth:
            turns, stretches = (self._around_vertices(of_faces, collapsed) for of_faces in (turns, stretches))
            if wide is not None:
                turns, stretches = (np.concatenate([of, _spread(wide, of)]) for of in (turns, stretches))
            turns, _ = polar_parts(turns, side)
        return Maps(turns, limited_stretch(stretches, self._stretch_limit), collapsed, side)

    def _around_vertices(self, of_faces: np.ndarray, collapsed: np.ndarray) -> np.ndarray:
        """[F, 3, 3] -> [V, 3, 3]: the mean; the identity around a vertex without faces."""
        of_vertices = np.empty((self._vertex_count, 3, 3))
        _average(of_faces, collapsed, self._first, self._around, self._weights, of_vertices)
        return of_vertices


def _mean_of_neighbours(around: csr_matrix, touches: csr_matrix) -> csr_matrix:
    """[V, V]: the mean over the faces around a vertex of the means of their corners; rows without faces are its own."""
    total = np.asarray(around.sum(axis=1)).ravel()
    is_alone = total <= 0
    means = diags(np.divide(1 / 3, total, out=np.zeros_like(total), where=~is_alone)) @ around @ touches
    return csr_matrix(means + diags(is_alone.astype(np.float64)))


def _spread(weights: csr_matrix, matrices: np.ndarray) -> np.ndarray:
    """Weighted means: [W, V], [V, 3, 3] -> [W, 3, 3]."""
    return np.asarray(weights @ matrices.reshape(-1, 9)).reshape(-1, 3, 3)


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
