"""Colours for the vertices of a mesh, from pictures of the splats that it was made of."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from backend.meshing.depth_picture import UNKNOWN, DepthPicture
from backend.splats.triangle_mesh import TriangleMesh

_GREY = 128
_LEAST_SLOPE = 0.05  # cosine: surfaces seen at a smaller angle count as little as at this one


class Paint:
    """The mean colour of all pictures that see a vertex; those that look straight at it count most."""

    def __init__(self, mesh: TriangleMesh) -> None:
        self._mesh, self._normals = mesh, mesh.vertex_normals
        self._vertices = mesh.vertices.astype(np.float64)
        self._total, self._weight = np.zeros((len(mesh.vertices), 3)), np.zeros(len(mesh.vertices))

    def add(self, picture: DepthPicture, *, tolerance: float) -> None:
        """tolerance: how far from a picture's depth a vertex may lie to be the one that is seen, world units."""
        camera = picture.camera
        rotation, translation = camera.camera_from_world[:3, :3], camera.camera_from_world[:3, 3]
        seen = self._vertices @ rotation.T + translation
        toward = -(self._normals @ rotation.T * seen).sum(axis=1) / np.linalg.norm(seen, axis=1)
        chosen = np.flatnonzero((seen[:, 2] > 0) & (toward > 0))
        z = seen[chosen, 2]
        column = np.floor(seen[chosen, 0] / z * camera.fx + camera.cx)
        row = np.floor(seen[chosen, 1] / z * camera.fy + camera.cy)
        is_in = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
        chosen, z, column, row = chosen[is_in], z[is_in], column[is_in].astype(int), row[is_in].astype(int)
        depth = picture.depth[row, column]
        visible = (depth != UNKNOWN) & (np.abs(depth - z) < tolerance)
        chosen = chosen[visible]
        share = np.maximum(toward[chosen], _LEAST_SLOPE) ** 2
        self._total[chosen] += share[:, None] * picture.color[row[visible], column[visible]]
        self._weight[chosen] += share

    def finished(self) -> TriangleMesh:
        """Vertices that no picture saw get the colour of the nearest one that was seen."""
        seen = self._weight > 0
        colors = np.full((len(seen), 3), _GREY, np.uint8)
        if seen.any():
            colors[seen] = np.rint(255 * self._total[seen] / self._weight[seen, None]).clip(0, 255)
            _, nearest = KDTree(self._vertices[seen]).query(self._vertices[~seen])
            colors[~seen] = colors[seen][nearest]
        return TriangleMesh(self._mesh.vertices, self._mesh.faces, colors)
