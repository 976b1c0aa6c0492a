"""Bound splats as the photos of a capture show them, whose mesh was in a pose of its own in each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.captures import POSES_FILE, MeshPoses, Photo, read_mesh_poses
from backend.rigging.binding import Binding
from backend.rigging.bound import BoundRepresentation
from backend.splats.cloud import SplatCloud
from backend.splats.rendering import Renderer


class PosedRenderers:
    """Bound splats as each photo shows them: where its pose of the mesh takes them."""

    def __init__(
        self, cloud: SplatCloud, binding: Binding, poses: MeshPoses, device: str, *, antialiased: bool
    ) -> None:
        self._bound = BoundRepresentation(cloud, binding, device, antialiased=antialiased)
        self._poses, self._device = poses, device

    def of(self, photo: Photo) -> Renderer:
        """Raises UserError for a photo whose pose is not known."""
        return Renderer(self._bound.posed(self._poses.vertices[self._poses.of(photo.name)]), self._device)


def renderers_in_poses(
    cloud: SplatCloud,
    binding: Binding | None,
    capture: Path,
    device: str,
    frame_from_capture: np.ndarray | None = None,
    *,
    antialiased: bool,
) -> PosedRenderers | None:
    """For splats on a mesh that the capture's folder holds poses of; None where photos show them at rest.

    frame_from_capture: [4, 4], what carried the splats out of the capture's frame.
    Raises UserError when the poses are damaged.
    """
    path = capture / POSES_FILE
    if binding is None or not path.is_file():
        return None
    poses = read_mesh_poses(path)
    if poses.vertices.shape[1] != len(binding.mesh.vertices):
        return None
    if frame_from_capture is not None:
        poses = poses.carried(frame_from_capture)
    return PosedRenderers(cloud, binding, poses, device, antialiased=antialiased)
