"""Which splat hangs on which face of a mesh, and where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from backend.rigging.triangle_frames import TriangleFrames
from backend.splats.cloud import SplatCloud
from backend.splats.quaternions import quats_to_matrices
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError

UNBOUND = -1
_EDGES_AWAY = 2.0  # a splat may be so many mean edge lengths of its face away,
_DEVIATIONS_AWAY = 3.0  # or so many of its own standard deviations across the face,
_SIZES_AWAY = 0.05  # or this part of the mesh's diagonal: splats inside an object must not stay behind
_CHUNK = 50_000  # splats between two reports


@dataclass(frozen=True)
class Binding:
    """N splats and the mesh at rest that they hang on."""

    mesh: TriangleMesh  # in the splats' frame
    faces: np.ndarray  # [N] int32; UNBOUND = the splat stays where it is
    barycentrics: np.ndarray  # [N, 3] float32, of the nearest point of the face
    heights: np.ndarray  # [N] float32, above the face's plane, against its normal negative
    keep_thickness: bool = False  # the surface keeps its thickness when it is stretched
    stretch_limit: float = 20.0  # no splat becomes longer or thinner than so many times

    def __len__(self) -> int:
        return len(self.faces)

    def select(self, keep: np.ndarray) -> Binding:
        """Of the splats chosen by a bool mask or an index array."""
        return replace(
            self,
            faces=self.faces[keep],
            barycentrics=self.barycentrics[keep],
            heights=self.heights[keep],
        )

    def resting(self, vertices: np.ndarray) -> Binding:
        """The same splats on the same faces, where the mesh has come to rest: [V, 3]."""
        return replace(self, mesh=replace(self.mesh, vertices=vertices))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """As arrays by name, to be stored."""
        return {
            "mesh_vertices": self.mesh.vertices,
            "mesh_faces": self.mesh.faces,
            "faces": self.faces,
            "barycentrics": self.barycentrics,
            "heights": self.heights,
            "options": np.array([self.keep_thickness, self.stretch_limit], np.float64),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Binding:
        """Raises KeyError or ValueError for what is no binding."""
        mesh = TriangleMesh(arrays["mesh_vertices"], arrays["mesh_faces"])
        faces, options = arrays["faces"], arrays["options"]
        barycentrics, heights = arrays["barycentrics"], arrays["heights"]
        if faces.dtype != np.int32 or faces.ndim != 1:
            raise ValueError(f"faces must be int32 [N], got {faces.dtype} {faces.shape}")
        if len(faces) and not UNBOUND <= faces.min() <= faces.max() < len(mesh.faces):
            raise ValueError("splats hang on faces that are not there")
        if barycentrics.shape != (len(faces), 3) or heights.shape != (len(faces),):
            raise ValueError("places on faces must be [N, 3], and heights [N]")
        if options.shape != (2,) or not np.isfinite(options).all():
            raise ValueError("options must be two numbers")
        return cls(mesh, faces, barycentrics, heights, bool(options[0]), float(options[1]))


def bind_to_mesh(
    cloud: SplatCloud,
    mesh: TriangleMesh,
    *,
    distance: float | None = None,
    keep_thickness: bool = False,
    stretch_limit: float = 20.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Binding:
    """Hangs every splat on the face that holds the mesh's nearest point.

    distance: world units; splats farther away are not bound. None = two mean edge lengths of the face, three standard
    deviations of the splat across it, or a twentieth of the mesh's diagonal, whichever is most.
    Raises UserError for a mesh that nothing can hang on.
    """
    if not np.isfinite(mesh.vertices).all():
        raise UserError("bad_input", "The mesh has vertices that are no numbers.", "Check its modifiers.")
    usable = np.flatnonzero(TriangleFrames(mesh, keep_thickness=keep_thickness).usable) if len(mesh.faces) else []
    if not len(usable):
        raise UserError("bad_input", "The mesh has no faces with an area.", "Choose a mesh with faces.")
    faces = np.full(len(cloud), UNBOUND, np.int32)
    barycentrics, heights = np.zeros((len(cloud), 3), np.float32), np.zeros(len(cloud), np.float32)
    candidates = np.flatnonzero(cloud.finite())
    for start in range(0, len(candidates), _CHUNK):
        chosen = candidates[start : start + _CHUNK]
        found, weights, height, away = _nearest(cloud.means[chosen].astype(np.float64), mesh, np.asarray(usable))
        near = away <= _limit(cloud.select(chosen), mesh, found, distance)
        faces[chosen[near]] = found[near]
        barycentrics[chosen[near]], heights[chosen[near]] = weights[near], height[near]
        if on_progress is not None:
            on_progress(min(start + _CHUNK, len(candidates)), len(candidates))
    if not (faces >= 0).any():
        hint = "Move the mesh to the splats, or allow a larger distance."
        raise UserError("bad_input", "No splat is near enough to the mesh to hang on it.", hint)
    return Binding(mesh, faces, barycentrics, heights, keep_thickness, stretch_limit)


def _nearest(points: np.ndarray, mesh: TriangleMesh, usable: np.ndarray) -> tuple[np.ndarray, ...]:
    """Face [N], barycentrics of its nearest point [N, 3], signed height above its plane [N], distance from it [N]."""
    import igl

    vertices, faces = mesh.vertices.astype(np.float64), mesh.faces[usable].astype(np.int64)
    found = igl.point_mesh_squared_distance(points, vertices, faces)
    squares, which, closest = np.asarray(found[0]), np.asarray(found[1]), np.asarray(found[2])
    a, b, c = (vertices[faces[which, corner]] for corner in range(3))
    normal = np.cross(b - a, c - a)
    square = np.maximum(np.einsum("ni,ni->n", normal, normal), np.finfo(np.float64).tiny)
    of_b = np.einsum("ni,ni->n", np.cross(closest - a, c - a), normal) / square
    of_c = np.einsum("ni,ni->n", np.cross(b - a, closest - a), normal) / square
    weights = np.stack([1 - of_b - of_c, of_b, of_c], -1).clip(0, 1)
    height = np.einsum("ni,ni->n", points - a, normal) / np.sqrt(square)
    return usable[which].astype(np.int32), weights / weights.sum(axis=1, keepdims=True), height, np.sqrt(squares)


def _limit(cloud: SplatCloud, mesh: TriangleMesh, faces: np.ndarray, distance: float | None) -> np.ndarray:
    """How far from its face each splat may be, [N]."""
    if distance is not None:
        return np.full(len(cloud), distance)
    a, b, c = np.moveaxis(mesh.corners[faces], 1, 0)
    edges = np.stack([np.linalg.norm(b - a, axis=1), np.linalg.norm(c - b, axis=1), np.linalg.norm(a - c, axis=1)])
    normal = np.cross(b - a, c - a)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    axes = quats_to_matrices(cloud.quats) * np.exp(cloud.log_scales.astype(np.float64))[:, None, :]
    across = np.linalg.norm(np.einsum("nij,ni->nj", axes, normal), axis=1)
    diagonal = float(np.linalg.norm(np.ptp(mesh.vertices, axis=0)))
    return np.maximum(np.maximum(_EDGES_AWAY * edges.mean(axis=0), _DEVIATIONS_AWAY * across), _SIZES_AWAY * diagonal)
