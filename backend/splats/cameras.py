"""The camera that captures, renders and training agree on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Camera:
    """A pinhole or orthographic camera. Camera axes are OpenCV's: x right, y down, z forward."""

    camera_from_world: np.ndarray  # [4, 4] float64, rigid
    fx: float  # focal lengths and principal point in pixels;
    fy: float  # the centre of the first pixel is (0.5, 0.5)
    cx: float
    cy: float
    width: int
    height: int
    orthographic: bool = False  # then fx and fy are pixels per world unit

    @property
    def intrinsics(self) -> np.ndarray:
        """[3, 3] float64."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def centre(self) -> np.ndarray:
        """Position in the world, [3]."""
        rotation, translation = self.camera_from_world[:3, :3], self.camera_from_world[:3, 3]
        return -rotation.T @ translation

    @property
    def forward(self) -> np.ndarray:
        """Viewing direction in the world, [3] unit."""
        return self.camera_from_world[2, :3]

    def carried(self, matrix: np.ndarray) -> Camera:
        """The camera to which a carried world looks as the world did to this one; depths grow with the scale.

        matrix: [4, 4], a turn, one scale for all axes, and a translation.
        """
        scale = float(np.cbrt(np.linalg.det(matrix[:3, :3])))
        carried = np.diag([scale, scale, scale, 1.0]) @ self.camera_from_world @ np.linalg.inv(matrix)
        pixels = 1 / scale if self.orthographic else 1.0
        return replace(self, camera_from_world=carried, fx=self.fx * pixels, fy=self.fy * pixels)

    def resized(self, width: int, height: int) -> Camera:
        """The same camera whose picture has another number of pixels."""
        sx, sy = width / self.width, height / self.height
        return replace(
            self, fx=self.fx * sx, fy=self.fy * sy, cx=self.cx * sx, cy=self.cy * sy, width=width, height=height
        )
