"""Where a moved triangle takes the space around it: one affine map a face, also for faces that are nearly lines."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix, diags

from backend.splats.triangle_mesh import TriangleMesh

_WORST_SHAPE = 1e3  # condition of a face's edges; beyond it single precision no longer tells how it was turned
_LEAST_AREA = 1e-10  # of the mesh's size squared
_COLLAPSED = 1e-6  # of a face's area at rest


class TriangleFrames:
    """The faces of a mesh at rest, made ready for being moved.

    A face's frame is E = [b - a, c - a, sqrt(area) n], so that E' E^-1 carries the rest into the pose, exactly in the
    face's plane; across it, thickness stays, or grows as the square root of the face's area.
    """

    def __init__(self, mesh: TriangleMesh, *, keep_thickness: bool) -> None:
        self._faces, self._keep_thickness = mesh.faces, keep_thickness
        self._vertex_count = len(mesh.vertices)
        corners = mesh.corners
        frames, self._areas = _frames(corners)
        self.origins = corners[:, 0]  # [F, 3]
        extent = np.ptp(mesh.vertices.astype(np.float64), axis=0).max() if len(mesh.vertices) else 0.0
        with np.errstate(invalid="ignore"):
            stretch = np.linalg.svd(frames, compute_uv=False)
            good = (stretch[:, 2] * _WORST_SHAPE > stretch[:, 0]) & (self._areas > _LEAST_AREA * extent**2)
        self._inverses = np.zeros_like(frames)
        self._inverses[good] = np.linalg.inv(frames[good])
        self._poor = np.flatnonzero(~good)
        self._neighbours = self._weights_of_neighbours(good)
        self.usable = good  # [F] bool: the map of such a face is known
        self.usable[self._poor] = np.asarray(self._neighbours.sum(axis=1)).ravel() > 0

    def maps(self, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What became of each face: J [F, 3, 3] and origin [F, 3], so that x -> origin + J (x - origin at rest).

        vertices: [V, 3], of the moved mesh. The third result, bool [F], marks faces that collapsed to a line or a
        point, or have vertices that are no numbers; they keep the map of the rest.
        """
        corners = vertices.astype(np.float64)[self._faces]
        finite = np.logical_and.reduce(np.isfinite(corners), axis=(1, 2))
        corners[~finite] = 0.0
        frames, areas = _frames(corners)
        collapsed = np.logical_not(finite & (areas > _COLLAPSED * self._areas))
        if self._keep_thickness:
            frames[:, :, 2] *= np.sqrt(self._areas / np.where(areas > 0, areas, 1))[:, None]
        jacobians = frames @ self._inverses
        jacobians[collapsed] = np.eye(3)
        if len(self._poor):
            mean = self._neighbours @ jacobians.reshape(-1, 9)
            jacobians[self._poor] = mean.reshape(-1, 3, 3)
            # A sliver has no area to lose: it goes with its neighbours as long as it is somewhere.
            collapsed[self._poor] = ~finite[self._poor]
        origins = np.where(finite[:, None], corners[:, 0], self.origins)
        return jacobians, origins, collapsed

    def _weights_of_neighbours(self, good: np.ndarray) -> csr_matrix:
        """[poor faces, F]: the good faces that share a vertex with a poor one, weighted by area, adding up to 1."""
        rows = np.repeat(np.arange(len(self._faces)), 3)
        shape = (len(self._faces), self._vertex_count)
        touches = csr_matrix((np.ones(len(rows)), (rows, self._faces.ravel())), shape=shape)
        shared = (touches[self._poor] @ touches.T).minimum(1.0)
        weights = csr_matrix(shared @ diags(np.where(good, self._areas, 0.0)))
        total = np.asarray(weights.sum(axis=1)).ravel()
        return csr_matrix(diags(np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)) @ weights)


def _frames(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E of every face [F, 3, 3], and its area [F]."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = np.cross(first, second)
    length = np.linalg.norm(normal, axis=1)
    # |n| / 2 is the area; sqrt(area) n as a column keeps E's condition a matter of shape and not of size.
    third = normal / np.sqrt(np.where(length > 0, 2 * length, 1))[:, None]
    return np.stack([first, second, third], -1), length / 2
