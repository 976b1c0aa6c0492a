"""Where a moved triangle takes the space around it: one linear map a face, also for faces that are nearly lines."""

from __future__ import annotations

import numba
import numpy as np
from scipy.sparse import csr_matrix, diags

from backend.splats.kernels import device_function, parallel_kernel
from backend.splats.triangle_mesh import TriangleMesh

_WORST_SHAPE = 1e3  # condition of a face's edges; beyond it single precision no longer tells how it was turned
_LEAST_AREA = 1e-10  # of the mesh's size squared
_COLLAPSED = 1e-6  # of a face's area at rest


class TriangleFrames:
    """The faces of a mesh at rest, made ready for being moved.

    A face's frame is E = [b - a, c - a, sqrt(area) n], so that E' E^-1 carries the rest into the pose, exactly in the
    face's plane; across it, thickness stays, or grows as the square root of the face's area. A mesh that encloses a
    volume tells by it when it was mirrored; then the maps mirror, too.
    """

    def __init__(self, mesh: TriangleMesh, *, keep_thickness: bool) -> None:
        self.faces, self._keep_thickness = mesh.faces, keep_thickness
        joined = mesh.joined()
        self.joined_faces = joined.faces  # [F, 3]: which faces meet, also where each has vertices of its own
        self.vertex_count = len(mesh.vertices)
        frames, self.areas = _frames(mesh.corners)
        extent = np.ptp(mesh.vertices.astype(np.float64), axis=0).max() if len(mesh.vertices) else 0.0
        with np.errstate(invalid="ignore"):
            stretch = np.linalg.svd(frames, compute_uv=False)
            good = (stretch[:, 2] * _WORST_SHAPE > stretch[:, 0]) & (self.areas > _LEAST_AREA * extent**2)
        self._inverses = np.zeros_like(frames)
        self._inverses[good] = np.linalg.inv(frames[good])
        self._poor = np.flatnonzero(~good)
        self._neighbours = self._weights_of_neighbours(good)
        self.usable = good  # [F] bool: the map of such a face is known
        self.usable[self._poor] = np.asarray(self._neighbours.sum(axis=1)).ravel() > 0
        self._volume = _volume(mesh.vertices, mesh.faces) if joined.is_watertight else 0.0

    def maps(self, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """What became of each face: J [F, 3, 3] float64, which carries what lies around it at rest into the pose.

        vertices: [V, 3] float32, of the moved mesh. The second result, bool [F], marks faces that collapsed to a line
        or a point, or have vertices that are no numbers; their maps are the identity. The third is -1.0 where the mesh
        was mirrored, else 1.0.
        """
        jacobians, collapsed = np.empty((len(self.faces), 3, 3)), np.empty(len(self.faces), bool)
        side = -1.0 if _volume(vertices, self.faces) * self._volume < 0 else 1.0
        _map_faces(
            vertices, self.faces, self._inverses, self.areas, self._keep_thickness, side, jacobians, collapsed
        )  # fmt: skip
        if len(self._poor):
            mean = self._neighbours @ jacobians.reshape(-1, 9)
            # A sliver has no area to lose: it goes with its neighbours as long as it is somewhere.
            corners = vertices[self.faces[self._poor]]
            collapsed[self._poor] = ~np.isfinite(corners).all(axis=(1, 2))
            jacobians[self._poor] = mean.reshape(-1, 3, 3)
        return jacobians, collapsed, side

    def _weights_of_neighbours(self, good: np.ndarray) -> csr_matrix:
        """[poor faces, F]: the good faces that share a vertex with a poor one, weighted by area, adding up to 1."""
        touches = self.touches()
        shared = (touches[self._poor] @ touches.T).minimum(1.0)
        weights = csr_matrix(shared @ diags(np.where(good, self.areas, 0.0)))
        total = np.asarray(weights.sum(axis=1)).ravel()
        return csr_matrix(diags(np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)) @ weights)

    def touches(self) -> csr_matrix:
        """[F, V]: 1 where a vertex is a corner of a face; of several at one place, the first."""
        rows = np.repeat(np.arange(len(self.faces)), 3)
        shape = (len(self.faces), self.vertex_count)
        return csr_matrix((np.ones(len(rows)), (rows, self.joined_faces.ravel())), shape=shape)


def _frames(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E of every face [F, 3, 3], and its area [F]."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = np.cross(first, second)
    length = np.linalg.norm(normal, axis=1)
    # |n| / 2 is the area; sqrt(area) n as a column keeps E's condition a matter of shape and not of size.
    third = normal / np.sqrt(np.where(length > 0, 2 * length, 1))[:, None]
    return np.stack([first, second, third], -1), length / 2


@parallel_kernel
def _map_faces(vertices, faces, inverses, areas, keep_thickness, side, jacobians, collapsed):  # type: ignore[no-untyped-def]
    """J = E' E^-1; the identity for faces that collapsed."""
    for f in numba.prange(len(faces)):  # type: ignore[attr-defined]
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        x0, y0, z0 = _edge(vertices, a, b)
        x1, y1, z1 = _edge(vertices, a, c)
        nx, ny, nz = y0 * z1 - z0 * y1, z0 * x1 - x0 * z1, x0 * y1 - y0 * x1
        length = np.sqrt(nx * nx + ny * ny + nz * nz)
        # A comparison with what is no number is false, and so is one with what is infinite.
        whole = length > _COLLAPSED * 2 * areas[f] and length < np.inf
        collapsed[f] = not whole
        if whole:
            third = side * (np.sqrt(areas[f]) / length if keep_thickness else 1 / np.sqrt(2 * length))
            nx, ny, nz = nx * third, ny * third, nz * third
            for column in range(3):
                p, q, r = inverses[f, 0, column], inverses[f, 1, column], inverses[f, 2, column]
                jacobians[f, 0, column] = x0 * p + x1 * q + nx * r
                jacobians[f, 1, column] = y0 * p + y1 * q + ny * r
                jacobians[f, 2, column] = z0 * p + z1 * q + nz * r
        else:
            for row in range(3):
                for column in range(3):
                    jacobians[f, row, column] = 1.0 if row == column else 0.0


@device_function
def _edge(vertices, a, b):  # type: ignore[no-untyped-def]
    """From one vertex to another, in double precision."""
    return (
        np.float64(vertices[b, 0]) - np.float64(vertices[a, 0]),
        np.float64(vertices[b, 1]) - np.float64(vertices[a, 1]),
        np.float64(vertices[b, 2]) - np.float64(vertices[a, 2]),
    )


@parallel_kernel
def _volume(vertices, faces):  # type: ignore[no-untyped-def]
    """Six times the volume inside a closed mesh, negative where its faces look inward."""
    total = 0.0
    for f in numba.prange(len(faces)):  # type: ignore[attr-defined]
        x0, y0, z0 = _edge(vertices, 0, faces[f, 0])
        x1, y1, z1 = _edge(vertices, 0, faces[f, 1])
        x2, y2, z2 = _edge(vertices, 0, faces[f, 2])
        total += x0 * (y1 * z2 - z1 * y2) + y0 * (z1 * x2 - x1 * z2) + z0 * (x1 * y2 - y1 * x2)
    return total
