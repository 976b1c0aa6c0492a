"""The mesh that splats are trained on, in the frame of training: at rest, and as its poses move it."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from backend.captures.mesh_poses import MeshPoses
from backend.rigging.binding import Binding, faces_to_hang_on
from backend.rigging.drivers import MeshDriver
from backend.splats.triangle_mesh import TriangleMesh
from backend.training.frame import SceneFrame

_LEAST_AREA = 1e-10  # of the mesh's size squared; a splat in less would have no shape
_KEPT_BYTES = 2**28  # of poses; the others are made again when they are wanted


class MeshPose(NamedTuple):
    """Where a pose takes the mesh, and what lies around its faces: x' = foot' + map (x - foot)."""

    vertices: Tensor  # [V, 3]
    maps: Tensor  # [F, 3, 3]
    turns: Tensor  # [F, 3, 3], orthogonal: colours follow it
    collapsed: Tensor  # [F] bool: nothing is seen there


class PosedMesh:
    """Moves splats exactly as a bound version of them will be shown: face by face, as the driver "per_face" does."""

    def __init__(self, mesh: TriangleMesh, poses: MeshPoses | None, frame: SceneFrame, device: torch.device) -> None:
        """Raises UserError for a mesh that nothing can hang on, and for poses of another mesh."""
        self.usable_faces = _with_area(mesh, faces_to_hang_on(mesh))
        if poses is not None:
            poses.refuse_unfitting(len(mesh.vertices), ())
        self.mesh, self.frame, self.device = mesh, frame, device
        self._poses = poses
        self.vertices = torch.tensor(frame.points(mesh.vertices), device=device)  # [V, 3]
        self.faces = torch.tensor(mesh.faces, dtype=torch.int64, device=device)  # [F, 3]
        self._made: OrderedDict[int, MeshPose] = OrderedDict()
        self._driver: MeshDriver | None = None

    def pose(self, number: int) -> MeshPose:
        if number not in self._made:
            self._made[number] = self._make(number)
            size = sum(tensor.nbytes for tensor in self._made[number])
            while len(self._made) > max(1, _KEPT_BYTES // size):
                self._made.popitem(last=False)
        self._made.move_to_end(number)
        return self._made[number]

    def binding(self, faces: np.ndarray, barycentrics: np.ndarray, means: np.ndarray) -> Binding:
        """Of splats on these faces [N], with barycentrics [N, 3]; means: [N, 3], in the capture's frame."""
        count = len(faces)
        nowhere = np.zeros(count, np.float32), np.zeros(count, bool)
        binding = Binding(self.mesh, faces.astype(np.int32), barycentrics, *nowhere, driver="per_face")
        return binding.resting(self.mesh.vertices, means)  # which measures the heights

    def _make(self, number: int) -> MeshPose:
        assert self._poses is not None
        if self._driver is None:
            defaults = self.binding(np.zeros(0, np.int32), np.zeros((0, 3), np.float32), np.zeros((0, 3)))
            self._driver = MeshDriver(
                self.mesh, "per_face", keep_thickness=defaults.keep_thickness, stretch_limit=defaults.stretch_limit
            )
        vertices = self._poses.vertices[number]
        maps = self._driver.maps(vertices)
        return MeshPose(
            torch.tensor(self.frame.points(vertices), device=self.device),
            torch.tensor(maps.turns @ maps.stretches, dtype=torch.float32, device=self.device),
            torch.tensor(maps.turns, dtype=torch.float32, device=self.device),
            torch.tensor(maps.collapsed, device=self.device),
        )


def _with_area(mesh: TriangleMesh, faces: np.ndarray) -> np.ndarray:
    """Those of the faces, by number, in which a splat has room."""
    corners = mesh.corners[faces]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    return faces[areas > _LEAST_AREA * np.ptp(mesh.vertices.astype(np.float64), axis=0).max() ** 2]
