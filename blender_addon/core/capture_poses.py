"""Where the vertices of a mesh were in each photo of a capture: the file that trainings on a mesh read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..protocol import errors

POSES_FILE = "mesh_poses.npz"  # in the capture's folder


class MeshPoses:
    """Poses as they are taken, one for every frame, after those of an earlier capture that is extended."""

    def __init__(self, mesh: str, earlier: Path | None = None) -> None:
        """mesh: the object's name. earlier: the file of the earlier poses. Raises UserError when it cannot be read."""
        self.mesh = mesh
        self._vertices: list[npt.NDArray[np.float32]] = []
        self._photos: list[str] = []
        self._poses: list[int] = []
        self._of_frame: dict[int | None, int] = {}
        if earlier is not None:
            self._take_up(earlier)

    def take(self, photo: str, frame: int | None, vertices: npt.NDArray[np.float32]) -> None:
        """photo: its path. frame: photos of one frame share a pose. vertices: [V, 3], in the world.

        Raises UserError for a mesh whose vertices are not as many as before, or no numbers.
        """
        if self._vertices and len(vertices) != len(self._vertices[0]):
            message = (
                f"'{self.mesh}' has {len(vertices):,} vertices in photo {photo}, and {len(self._vertices[0]):,} before."
            )
            raise errors.UserError(
                "bad_input",
                message,
                "Remove the modifier that changes how many there are, or choose no mesh to train on.",
            )
        if not np.isfinite(vertices).all():
            message = f"'{self.mesh}' has vertices that are no numbers in photo {photo}."
            raise errors.UserError("bad_input", message, "Check its modifiers.")
        if frame not in self._of_frame:
            self._of_frame[frame] = len(self._vertices)
            self._vertices.append(np.ascontiguousarray(vertices, np.float32))
        self._photos.append(Path(photo).stem)
        self._poses.append(self._of_frame[frame])

    def write(self, path: Path) -> None:
        """The arrays `vertices` [P, V, 3], `photos` [M] and `poses` [M]."""
        photos = np.array(self._photos, np.str_)
        np.savez(path, vertices=np.stack(self._vertices), photos=photos, poses=np.array(self._poses, np.int32))

    def _take_up(self, path: Path) -> None:
        names = ("vertices", "photos", "poses")
        try:
            with np.load(path, allow_pickle=False) as arrays:
                found: list[Any] = [arrays[name] for name in names]
        except (OSError, ValueError, KeyError, EOFError) as error:
            message = f"The poses of '{self.mesh}' in the earlier capture cannot be read."
            raise errors.UserError("bad_input", message, "Replace that capture, or choose another folder.") from error
        self._vertices = list(found[0])
        self._photos, self._poses = [str(photo) for photo in found[1]], [int(pose) for pose in found[2]]
