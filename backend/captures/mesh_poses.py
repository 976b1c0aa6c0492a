"""The poses of a mesh in the photos of a capture: where its vertices were when each photo was taken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from backend.splats.io.numpy_files import read_npz
from shared_protocol.errors import UserError

POSES_FILE = "mesh_poses.npz"  # in the capture's folder
_HINT = "It must hold vertices [P, V, 3], photos [M] and poses [M], as docs/command_line.md says."


@dataclass(frozen=True)
class MeshPoses:
    """P poses of a mesh with V vertices, and which of them each photo shows."""

    vertices: np.ndarray  # [P, V, 3] float32, in the capture's frame
    shown: dict[str, int]  # by the photo's name, or by a part of it that no other photo has

    def __len__(self) -> int:
        return len(self.vertices)

    def carried(self, matrix: np.ndarray) -> MeshPoses:
        """As `Capture.carried`."""
        return replace(self, vertices=(self.vertices @ matrix[:3, :3].T + matrix[:3, 3]).astype(np.float32))

    def of(self, photo: str) -> int:
        """The number of the pose that the photo shows. Raises UserError when that is not said."""
        path = Path(photo)
        for name in (photo, path.name, path.stem):
            if name in self.shown:
                return self.shown[name]
        message = f"The poses do not say in which pose the photo '{photo}' shows the mesh."
        raise UserError("bad_input", message, "Name every photo of the capture in the file of poses.")

    def refuse_unfitting(self, vertex_count: int, photos: Iterable[str]) -> None:
        """Raises UserError for poses of another mesh, or when one of the photos has no pose."""
        own = self.vertices.shape[1]
        if own != vertex_count:
            message = f"The poses have {own:,} vertices each, and the mesh {vertex_count:,}."
            raise UserError("bad_input", message, "Write the poses of this very mesh, without modifiers that add any.")
        for photo in photos:
            self.of(photo)


def read_mesh_poses(path: Path) -> MeshPoses:
    """Raises UserError when the file is missing, is damaged, or holds something else."""
    vertices, photos, poses = read_npz(path, ("vertices", "photos", "poses"), holds="poses of a mesh", hint=_HINT)
    shapes_fit = vertices.ndim == 3 and vertices.shape[2] == 3 and photos.ndim == 1 and poses.shape == photos.shape
    if not shapes_fit or vertices.dtype.kind != "f" or photos.dtype.kind != "U" or poses.dtype.kind not in "iu":
        raise UserError("bad_input", f"'{path}' holds no poses of a mesh.", _HINT)
    if not np.isfinite(vertices).all():
        raise UserError("bad_input", f"The poses in '{path}' have vertices that are no numbers.", "Write them again.")
    if len(poses) and not 0 <= poses.min() <= poses.max() < len(vertices):
        raise UserError("bad_input", f"'{path}' names poses that it does not hold.", _HINT)
    shown = {str(photo): int(pose) for photo, pose in zip(photos, poses, strict=True)}
    return MeshPoses(np.ascontiguousarray(vertices, np.float32), shown)
