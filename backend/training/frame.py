"""The frame training happens in: the capture's, moved and scaled so that the cameras span about one unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud

_MARGIN = 1.1  # as in the 3DGS reference code: the extent is a little more than the farthest camera
_LEAST_PARALLAX = 0.02  # cameras that hardly move would make the scene look endlessly far; the points bound it


@dataclass(frozen=True)
class SceneFrame:
    """A translation and a uniform scale: capture = origin + extent * training. No rotation, so SH and quats stay."""

    origin: np.ndarray  # [3] float64, in the capture's frame
    extent: float  # length of one training unit in the capture's frame

    @classmethod
    def around(cls, cameras: Sequence[Camera], points: np.ndarray | None = None) -> SceneFrame:
        """The frame whose unit is the distance of the farthest camera from the cameras' centre.

        points: [P, 3] in the capture's frame; their distance takes over when the cameras stand nearly still.
        """
        centres = np.stack([camera.centre for camera in cameras])
        origin = centres.mean(axis=0)
        extent = _MARGIN * float(np.linalg.norm(centres - origin, axis=1).max())
        if points is not None and len(points):
            extent = max(extent, _LEAST_PARALLAX * float(np.median(np.linalg.norm(points - origin, axis=1))))
        if not extent > 0:
            extent = 1.0
        return cls(origin, extent)

    def camera(self, camera: Camera) -> Camera:
        """The same camera, seen from this frame; depths shrink with the scene."""
        matrix = camera.camera_from_world.copy()
        matrix[:3, 3] = (matrix[:3, :3] @ self.origin + matrix[:3, 3]) / self.extent
        return replace(camera, camera_from_world=matrix)

    def points(self, positions: np.ndarray) -> np.ndarray:
        """[P, 3] from the capture's frame into this one, float32."""
        return ((positions.astype(np.float64) - self.origin) / self.extent).astype(np.float32)

    def cloud_to_capture(self, cloud: SplatCloud) -> SplatCloud:
        """A cloud of this frame in the capture's frame."""
        means = (self.origin + self.extent * cloud.means.astype(np.float64)).astype(np.float32)
        return replace(cloud, means=means, log_scales=cloud.log_scales + np.float32(math.log(self.extent)))

    def cloud_to_training(self, cloud: SplatCloud) -> SplatCloud:
        """A cloud of the capture's frame in this one."""
        scales = cloud.log_scales - np.float32(math.log(self.extent))
        return replace(cloud, means=self.points(cloud.means), log_scales=scales)


def focus_point(cameras: Sequence[Camera]) -> np.ndarray | None:
    """The point nearest to all optical axes, [3]; None when they are nearly parallel or it lies behind the cameras."""
    centres = np.stack([camera.centre for camera in cameras])
    directions = np.stack([camera.forward for camera in cameras])
    across = np.eye(3) - directions[:, :, None] * directions[:, None, :]  # [V, 3, 3] projects the axis away
    normal_matrix = across.sum(axis=0)
    smallest = np.linalg.eigvalsh(normal_matrix)[0]
    # The smallest eigenvalue is V * mean sin^2 of the angle to the common direction: below 6 degrees nothing converges.
    if smallest < 0.01 * len(cameras):
        return None
    point = np.linalg.solve(normal_matrix, np.einsum("vij,vj->i", across, centres))
    depths = np.einsum("vi,vi->v", point - centres, directions)
    return point if np.mean(depths > 0) >= 0.8 else None
