"""Signed distances to a surface, fused from depth pictures (Curless and Levoy 1996), kept only near the surface.

Space is divided into blocks of 8 x 8 x 8 grid points, and only blocks that a picture's surface passes have memory
(Nießner et al. 2013).
"""

from __future__ import annotations

import math

import numba
import numpy as np

from backend.meshing.depth_picture import DepthPicture
from backend.meshing.memory import refuse_too_large
from backend.splats.kernels import parallel_kernel

BLOCK = 8  # grid points along its edge
_BLOCK_BYTES = BLOCK**3 * 8  # distance and weight
_PLACE_BYTES = 5  # of a block that may not be there
_WORKING = 8.0  # more memory than the blocks themselves, while their surface is looked for
_MARGIN = 3  # voxels around the bounds
TRUNCATION = 4.0  # voxels on either side of the surface


class DistanceVolume:
    """Every picture is first told to `mark`, then each is given to `add`."""

    def __init__(self, bounds: np.ndarray, resolution: int) -> None:
        """bounds: [2, 3]. resolution: voxels along the longest side.

        Raises UserError when even an empty one would not fit into the memory.
        """
        size = bounds[1] - bounds[0]
        self._resolution = resolution
        self.voxel = float(size.max()) / resolution
        self.shape = tuple(math.ceil((math.ceil(side / self.voxel) + 2 * _MARGIN + 1) / BLOCK) for side in size)
        self.origin = bounds[0] - _MARGIN * self.voxel  # of the first grid point
        self._refuse_too_large(math.prod(self.shape) * _PLACE_BYTES)
        self._marked = np.zeros(self.shape, np.uint8)
        self.blocks = np.empty((0, 3), np.int32)  # [B, 3] where each block is, in blocks
        self.number_of = np.full(self.shape, -1, np.int32)  # of the block at a place, -1 = none
        # In voxels divided by TRUNCATION, -1 (inside) to 1 (outside); weight 0 = nobody saw it.
        self.distance = self.weight = np.empty((0, BLOCK, BLOCK, BLOCK), np.float32)

    @property
    def truncation(self) -> float:
        """In world units."""
        return TRUNCATION * self.voxel

    def mark(self, picture: DepthPicture) -> None:
        """Says where there will be blocks."""
        camera = picture.camera
        pinhole = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
        turn = np.ascontiguousarray(camera.camera_from_world[:3, :3], np.float64)
        depth = np.ascontiguousarray(picture.depth)
        _mark(self._marked, self.origin, self.voxel, TRUNCATION, turn, camera.centre, pinhole, depth)

    def add(self, picture: DepthPicture) -> None:
        """Raises UserError, at the first picture, when the blocks would not fit into the memory."""
        if not len(self.blocks):
            self._allocate()
        camera = picture.camera
        pinhole = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
        pose = np.ascontiguousarray(camera.camera_from_world[:3], np.float64)
        depth = np.ascontiguousarray(picture.depth)
        grid = (self.distance, self.weight, self.blocks)
        _fuse(*grid, self.origin, self.voxel, self.truncation, pose, pinhole, depth)

    def _allocate(self) -> None:
        blocks = np.argwhere(self._marked).astype(np.int32)
        self._refuse_too_large(len(blocks) * _BLOCK_BYTES * _WORKING)
        self.blocks = blocks
        self.number_of[tuple(blocks.T)] = np.arange(len(blocks), dtype=np.int32)
        self.distance = np.ones((len(blocks), BLOCK, BLOCK, BLOCK), np.float32)
        self.weight = np.zeros_like(self.distance)

    def _refuse_too_large(self, needed: float) -> None:
        refuse_too_large(f"A grid of resolution {self._resolution}", needed, "Lower the setting 'resolution'.")


@parallel_kernel
def _mark(marked, origin, voxel, reach, turn, centre, pinhole, depth):  # type: ignore[no-untyped-def]
    """Every block that lies within a voxel of the part of a pixel's ray that `reach` voxels around its depth are."""
    height, width = depth.shape
    for row in numba.prange(height):  # type: ignore[attr-defined]
        place = np.empty(3)
        for column in range(width):
            seen = depth[row, column]
            if not 0.0 < seen < math.inf:
                continue
            x, y = (column + 0.5 - pinhole[2]) / pinhole[0], (row + 0.5 - pinhole[3]) / pinhole[1]
            for step in range(-2, 3):
                along = seen + 0.5 * step * reach * voxel
                for axis in range(3):
                    way = turn[0, axis] * x + turn[1, axis] * y + turn[2, axis]
                    place[axis] = (centre[axis] + along * way - origin[axis]) / voxel
                for corner in range(8):
                    i = math.floor((place[0] + 2 * (corner & 1) - 1) / BLOCK)
                    j = math.floor((place[1] + (corner & 2) - 1) / BLOCK)
                    k = math.floor((place[2] + (corner & 4) / 2 - 1) / BLOCK)
                    if 0 <= i < marked.shape[0] and 0 <= j < marked.shape[1] and 0 <= k < marked.shape[2]:
                        marked[i, j, k] = 1


@parallel_kernel
def _fuse(distance, weight, blocks, origin, voxel, truncation, pose, pinhole, depth):  # type: ignore[no-untyped-def]
    height, width = depth.shape
    for block in numba.prange(len(blocks)):  # type: ignore[attr-defined]
        for i in range(BLOCK):
            x = origin[0] + (blocks[block, 0] * BLOCK + i) * voxel
            for jk in range(BLOCK * BLOCK):
                j, k = jk // BLOCK, jk % BLOCK
                y = origin[1] + (blocks[block, 1] * BLOCK + j) * voxel
                z = origin[2] + (blocks[block, 2] * BLOCK + k) * voxel
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
                total = weight[block, i, j, k] + 1.0
                distance[block, i, j, k] += (min(signed, 1.0) - distance[block, i, j, k]) / total
                weight[block, i, j, k] = total
