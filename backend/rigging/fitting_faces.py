"""The face of a mesh that a splat lies on, of which it is a part: near it, and flat along it."""

from __future__ import annotations

import numba
import numpy as np
from scipy.spatial import KDTree

from backend.rigging.closest_faces import Places, closest_faces, heights
from backend.splats.cloud import SplatCloud
from backend.splats.deformed_shapes import axes_of_shapes
from backend.splats.kernels import device_function, parallel_kernel
from backend.splats.small_matrices import cross, dot
from backend.splats.triangle_mesh import TriangleMesh

_CANDIDATES = 32  # faces by their centroids, beside the nearest one
_TINY = 1e-300


class FaceChooser:
    """A mesh made ready for choosing faces of it.

    A splat's points lie, root mean square, sqrt(distance^2 + across^2) from a face, where `across` is the splat's
    standard deviation along the face's normal. The face where that is least is chosen. Where two parts of a mesh touch
    or cross, the nearest face alone often is one of the other part: on a figure of stiff parts this is worth half a
    decibel in its poses.
    """

    def __init__(self, mesh: TriangleMesh, usable: np.ndarray) -> None:
        """usable: indices of the faces that may be chosen, one at least."""
        self._mesh, self._usable = mesh, usable
        self._corners = np.ascontiguousarray(mesh.corners, np.float64)
        self._tree = KDTree(self._corners[usable].mean(axis=1))

    def places(self, cloud: SplatCloud) -> Places:
        """Distances are those from the mesh, of which the chosen face may be farther away."""
        points = cloud.means.astype(np.float64)
        nearest = closest_faces(points, self._mesh, self._usable)
        wanted = np.arange(1, 1 + min(_CANDIDATES, len(self._usable)))
        _, others = self._tree.query(points, k=wanted, workers=-1)  # type: ignore[arg-type]  it takes a list, too
        candidates = np.column_stack([nearest.faces, self._usable[others]]).astype(np.int32)  # [N, K]
        faces, barycentrics = np.empty(len(points), np.int32), np.empty((len(points), 3), np.float32)
        axes = axes_of_shapes(cloud.quats, cloud.log_scales)
        _choose(points, axes, self._corners, candidates, faces, barycentrics)
        return Places(faces, barycentrics, heights(points, self._corners[faces]).astype(np.float32), nearest.distances)


@parallel_kernel
def _choose(points, axes, corners, candidates, faces, barycentrics):  # type: ignore[no-untyped-def]
    """axes: [N, 3, 3] standard deviations along a splat's own axes, as columns. candidates: [N, K], the nearest first.

    Fills in the chosen face of each point, and its nearest point on that.
    """
    for n in numba.prange(len(points)):  # type: ignore[attr-defined]
        least = np.inf
        for entry in range(candidates.shape[1]):
            face = candidates[n, entry]
            a = corners[face, 0, 0], corners[face, 0, 1], corners[face, 0, 2]
            ab = corners[face, 1, 0] - a[0], corners[face, 1, 1] - a[1], corners[face, 1, 2] - a[2]
            ac = corners[face, 2, 0] - a[0], corners[face, 2, 1] - a[1], corners[face, 2, 2] - a[2]
            ap = points[n, 0] - a[0], points[n, 1] - a[1], points[n, 2] - a[2]
            v, w = _closest(ab, ac, ap)
            away = (
                ap[0] - v * ab[0] - w * ac[0],
                ap[1] - v * ab[1] - w * ac[1],
                ap[2] - v * ab[2] - w * ac[2],
            )
            normal = cross(ab, ac)
            across = 0.0
            for axis in range(3):
                along = axes[n, 0, axis] * normal[0] + axes[n, 1, axis] * normal[1] + axes[n, 2, axis] * normal[2]
                across += along * along
            square = dot(away, away) + across / max(dot(normal, normal), _TINY)
            if entry == 0 or square < least:
                least = square
                faces[n] = face
                barycentrics[n, 0], barycentrics[n, 1], barycentrics[n, 2] = 1 - v - w, v, w


@device_function
def _closest(ab, ac, ap):  # type: ignore[no-untyped-def]
    """Where on the triangle a, b, c the point nearest to p lies: a + v ab + w ac (Ericson 2005, 5.1.5)."""
    d1, d2 = dot(ab, ap), dot(ac, ap)
    if d1 <= 0 and d2 <= 0:
        return 0.0, 0.0
    bb, bc, cc = dot(ab, ab), dot(ab, ac), dot(ac, ac)
    d3, d4 = d1 - bb, d2 - bc  # of p from b
    if d3 >= 0 and d4 <= d3:
        return 1.0, 0.0
    d5, d6 = d1 - bc, d2 - cc  # of p from c
    if d6 >= 0 and d5 <= d6:
        return 0.0, 1.0
    of_c = d1 * d4 - d3 * d2
    if of_c <= 0 and d1 >= 0 and d3 <= 0:
        return d1 / (d1 - d3), 0.0
    of_b = d5 * d2 - d1 * d6
    if of_b <= 0 and d2 >= 0 and d6 <= 0:
        return 0.0, d2 / (d2 - d6)
    of_a = d3 * d6 - d5 * d4
    if of_a <= 0 and d4 - d3 >= 0 and d5 - d6 >= 0:
        w = (d4 - d3) / ((d4 - d3) + (d5 - d6))
        return 1 - w, w
    total = of_a + of_b + of_c
    return of_b / total, of_c / total
