"""What every capture dialect is read into before its images are looked up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.captures.capture import PointCloud
from backend.splats.cameras import Camera
from shared_protocol.errors import UserError

Distortion = tuple[float, float, float, float, float]  # OpenCV k1, k2, p1, p2, k3
NO_DISTORTION: Distortion = (0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Lens:
    """Intrinsics as a file gives them; what is None follows from the size of the image file."""

    width: int | None = None
    height: int | None = None
    fx: float | None = None
    fy: float | None = None
    cx: float | None = None
    cy: float | None = None
    angle_x: float | None = None  # horizontal field of view, radians
    angle_y: float | None = None
    distortion: Distortion = NO_DISTORTION

    def camera(self, camera_from_world: np.ndarray, file_width: int, file_height: int) -> Camera:
        """The camera on the grid that the intrinsics describe, or on the file's where they name no size."""
        width, height = self.width or file_width, self.height or file_height
        fx = self.fx if self.fx is not None else _focal(width, self.angle_x)
        fy = self.fy if self.fy is not None else _focal(height, self.angle_y)
        focal_x, focal_y = fx or fy, fy or fx
        if focal_x is None or focal_y is None:
            raise ValueError("a lens needs a focal length or a field of view")
        cx = self.cx if self.cx is not None else width / 2
        cy = self.cy if self.cy is not None else height / 2
        return Camera(camera_from_world, focal_x, focal_y, cx, cy, width, height)


@dataclass(frozen=True)
class ListedImage:
    """One image as a capture file lists it; the image file may be missing."""

    written: str  # the path in the capture file
    places: tuple[str, ...]  # paths to look at, relative to the capture's folder
    source: Path  # the file that lists it
    camera_from_world: np.ndarray  # [4, 4] rigid, OpenCV axes
    lens: Lens
    mask: str | None = None
    is_test: bool = False
    posed_upright: bool = False  # poses were computed from the photo turned by its EXIF orientation


@dataclass(frozen=True)
class Listing:
    """All that a dialect's files say."""

    dialect: str
    images: tuple[ListedImage, ...]
    has_own_test_split: bool = False
    points: PointCloud | None = None
    warnings: tuple[str, ...] = ()
    up: tuple[float, float, float] | None = None  # unit vector, where the file says it


def _focal(size: int, angle: float | None) -> float | None:
    return None if angle is None else 0.5 * size / math.tan(0.5 * angle)


def rigid_pose(matrix: Sequence[Sequence[float]] | np.ndarray, *, of: str, source: Path) -> np.ndarray:
    """A 3x4 or 4x4 pose matrix as an exactly rigid [4, 4].

    Raises UserError for a matrix of another shape, with NaN or infinity, or that is not a rotation and a shift.
    """
    try:
        given = np.asarray(matrix, dtype=np.float64)
    except ValueError:
        given = np.zeros(0)
    hint = "Export the cameras again."
    if given.shape not in ((3, 4), (4, 4)):
        raise UserError("bad_input", f"{source}: the pose of '{of}' is not a 4x4 matrix.", hint)
    if not np.isfinite(given).all():
        raise UserError("bad_input", f"{source}: the pose of '{of}' holds a value that is not a number.", hint)
    rotation = given[:3, :3]
    tolerance = 5e-3  # files printed with three digits pass; a scaled, sheared or mirrored pose does not
    rigid = np.abs(rotation.T @ rotation - np.eye(3)).max() < tolerance and np.linalg.det(rotation) > 0
    if not rigid or (given.shape == (4, 4) and np.abs(given[3] - (0, 0, 0, 1)).max() > tolerance):
        raise UserError("bad_input", f"{source}: the pose of '{of}' is not a rotation and a shift.", hint)
    u, _, vt = np.linalg.svd(rotation)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = u @ vt, given[:3, 3]
    return pose


def inverse_pose(pose: np.ndarray) -> np.ndarray:
    """The inverse of a rigid [4, 4]."""
    inverse = np.eye(4)
    inverse[:3, :3] = pose[:3, :3].T
    inverse[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return inverse
