"""The triangle mesh that extraction, binding and mesh files agree on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

_ONE_PLACE = 1e6  # vertices that are nearer than this part of the mesh's size lie at one place


@dataclass(frozen=True)
class TriangleMesh:
    """V vertices and F triangles in one frame."""

    vertices: np.ndarray  # [V, 3] float32
    faces: np.ndarray  # [F, 3] int32, counter-clockwise seen from outside
    colors: np.ndarray | None = None  # [V, 3] uint8 sRGB

    def __post_init__(self) -> None:
        """Raises ValueError for arrays that are no mesh; NaN among the vertices is none of its business."""
        if self.vertices.ndim != 2 or self.vertices.shape[1] != 3 or self.vertices.dtype != np.float32:
            raise ValueError(f"vertices must be float32 [V, 3], got {self.vertices.dtype} {self.vertices.shape}")
        if self.faces.ndim != 2 or self.faces.shape[1] != 3 or self.faces.dtype != np.int32:
            raise ValueError(f"faces must be int32 [F, 3], got {self.faces.dtype} {self.faces.shape}")
        if len(self.faces) and (self.faces.min() < 0 or self.faces.max() >= len(self.vertices)):
            raise ValueError("faces name vertices that are not there")
        colors = self.colors
        if colors is not None and (colors.shape != self.vertices.shape or colors.dtype != np.uint8):
            raise ValueError(f"colors must be uint8 [V, 3], got {colors.dtype} {colors.shape}")

    @property
    def corners(self) -> np.ndarray:
        """[F, 3, 3] float64: the three corners of every face."""
        return self.vertices.astype(np.float64)[self.faces]

    @property
    def vertex_normals(self) -> np.ndarray:
        """[V, 3] float64 unit, outward: means of the faces' normals by area; 0 where no face has an area."""
        corners = self.corners
        of_faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals = np.zeros((len(self.vertices), 3))
        for corner in range(3):
            np.add.at(normals, self.faces[:, corner], of_faces)
        return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), np.finfo(np.float64).tiny)

    @property
    def is_watertight(self) -> bool:
        """Every edge has one face on either side, and these agree about the outside."""
        if not len(self.faces):
            return False
        edges = np.concatenate([self.faces[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))]).astype(np.int64)
        there = np.sort(edges[:, 0] * len(self.vertices) + edges[:, 1])
        back = np.sort(edges[:, 1] * len(self.vertices) + edges[:, 0])
        return bool((np.diff(there) > 0).all() and np.array_equal(there, back))

    def joined(self) -> TriangleMesh:
        """The same mesh, whose faces name one vertex where several lie at one place: the first of these.

        Files of games and of flat shading give every face, or every seam of a texture, vertices of its own.
        """
        size = np.ptp(self.vertices.astype(np.float64), axis=0).max(initial=0)
        if not np.isfinite(size) or size == 0:
            return self
        places = np.rint(self.vertices.astype(np.float64) * (_ONE_PLACE / size)).astype(np.int64)
        _, first, group = np.unique(places, axis=0, return_index=True, return_inverse=True)
        return TriangleMesh(self.vertices, first[group.ravel()].astype(np.int32)[self.faces], self.colors)

    def pieces(self) -> np.ndarray:
        """[F] int: for every face the number, from 0, of the connected piece that it belongs to."""
        first, second = self.faces[:, [0, 1]].ravel(), self.faces[:, [1, 2]].ravel()
        links = coo_matrix((np.ones(len(first), bool), (first, second)), shape=(len(self.vertices),) * 2)
        _, of_vertex = connected_components(links, directed=False)
        _, of_face = np.unique(of_vertex[self.faces[:, 0]], return_inverse=True)
        return of_face

    def with_faces(self, keep: np.ndarray) -> TriangleMesh:
        """Only the faces of a bool mask, and the vertices that these use."""
        faces = self.faces[keep]
        used, renamed = np.unique(faces, return_inverse=True)
        colors = None if self.colors is None else self.colors[used]
        return TriangleMesh(self.vertices[used], renamed.reshape(-1, 3).astype(np.int32), colors)
