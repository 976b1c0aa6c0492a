"""A grid of signed distances to a surface, fused from depth pictures (Curless and Levoy 1996)."""

from __future__ import annotations

import math

import numba
import numpy as np

from backend import machine
from backend.meshing.depth_picture import DepthPicture
from backend.splats.kernels import parallel_kernel
from shared_protocol.errors import UserError

_BYTES = 8  # a voxel: distance and weight
_WORKING = 4.0  # more memory than the grid itself, while its surface is looked for
_MARGIN = 3  # voxels around the bounds
TRUNCATION = 4.0  # voxels on either side of the surface


class DistanceVolume:
    """distance: in voxels divided by TRUNCATION, -1 (inside) to 1 (outside); weight 0 = nobody saw it."""

    def __init__(self, bounds: np.ndarray, resolution: int) -> None:
        """bounds: [2, 3]. resolution: voxels along the longest side.

        Raises UserError when it would not fit into the memory.
        """
        size = bounds[1] - bounds[0]
        self.voxel = float(size.max()) / resolution
        self.shape = tuple(math.ceil(side / self.voxel) + 2 * _MARGIN + 1 for side in size)
        self.origin = bounds[0] - _MARGIN * self.voxel  # of the first grid point
        _refuse_too_large(math.prod(self.shape) * _BYTES * _WORKING, resolution)
        self.distance = np.ones(self.shape, np.float32)  # [X, Y, Z]
        self.weight = np.zeros(self.shape, np.float32)  # [X, Y, Z]

    @property
    def truncation(self) -> float:
        """In world units."""
        return TRUNCATION * self.voxel

    def add(self, picture: DepthPicture) -> None:
        camera = picture.camera
        pinhole = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
        pose = np.ascontiguousarray(camera.camera_from_world[:3], np.float64)
        depth = np.ascontiguousarray(picture.depth)
        _fuse(self.distance, self.weight, self.origin, self.voxel, self.truncation, pose, pinhole, depth)


def _refuse_too_large(needed: float, resolution: int) -> None:
    _, free = machine.memory()
    if free is not None and needed > free:
        message = f"A grid of resolution {resolution} needs {needed / 2**30:.1f} GB and {free / 2**30:.1f} GB are free."
        raise UserError("out_of_memory", message, "Lower the setting 'resolution'.")


@parallel_kernel
def _fuse(distance, weight, origin, voxel, truncation, pose, pinhole, depth):  # type: ignore[no-untyped-def]
    height, width = depth.shape
    for i in numba.prange(distance.shape[0]):  # type: ignore[attr-defined]
        x = origin[0] + i * voxel
        for j in range(distance.shape[1]):
            y = origin[1] + j * voxel
            for k in range(distance.shape[2]):
                z = origin[2] + k * voxel
                along = pose[2, 0] * x + pose[2, 1] * y + pose[2, 2] * z + pose[2, 3]
                if along <= 0.0:
                    continue
                u = (pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] * z + pose[0, 3]) / along * pinhole[0] + pinhole[2]
                v = (pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] * z + pose[1, 3]) / along * pinhole[1] + pinhole[3]
                if not (0.0 <= u < width and 0.0 <= v < height):
                    continue
                seen = float(depth[int(v), int(u)])
                if seen == 0.0:
                    continue
                # Between the centres of four pixels of one surface, depth is interpolated; else steps would show.
                left, top = math.floor(u - 0.5), math.floor(v - 0.5)
                if seen < math.inf and left >= 0 and top >= 0 and left + 1 < width and top + 1 < height:
                    a, b = float(depth[top, left]), float(depth[top, left + 1])
                    c, d = float(depth[top + 1, left]), float(depth[top + 1, left + 1])
                    if min(a, b, c, d) > 0.0 and max(a, b, c, d) - min(a, b, c, d) < truncation:
                        right, down = u - 0.5 - left, v - 0.5 - top
                        seen = (a * (1 - right) + b * right) * (1 - down) + (c * (1 - right) + d * right) * down
                signed = (seen - along) / truncation
                if signed < -1.0:
                    continue
                total = weight[i, j, k] + 1.0
                distance[i, j, k] += (min(signed, 1.0) - distance[i, j, k]) / total
                weight[i, j, k] = total
