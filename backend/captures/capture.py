"""What a capture is once it has been read: posed views, starting points, and which views are held out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from backend.splats.cameras import Camera

# What a mask file or an alpha channel means to training:
# ignore: pixels outside the mask do not count; segment: outside the mask there is nothing (background);
# alpha: the photo's own alpha channel is its transparency; off: masks and alpha are not used.
MaskUse = Literal["ignore", "segment", "alpha", "off"]


@dataclass(frozen=True)
class PointCloud:
    """Coloured points to start training from."""

    positions: np.ndarray  # [P, 3] float32, world
    colors: np.ndarray  # [P, 3] uint8 sRGB


@dataclass(frozen=True)
class View:
    """One photo with the camera that took it."""

    name: str  # path below the capture's folder, with "/" ; unique
    image_path: Path
    camera: Camera  # the pinhole part, on the photo's full pixel grid
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)  # OpenCV k1, k2, p1, p2, k3
    mask_path: Path | None = None  # white = inside
    turn_by_exif: bool = False  # the camera's grid is the photo turned by its EXIF orientation, not as it is stored


@dataclass(frozen=True)
class Capture:
    """Posed photos of one scene, in the world frame of the files they came from."""

    folder: Path
    dialect: str  # "transforms", "colmap", "llff"
    train_views: tuple[View, ...]  # in file-name order
    test_views: tuple[View, ...]  # held out; never trained on
    points: PointCloud | None = None
    has_own_test_split: bool = False
    warnings: tuple[str, ...] = ()
    up: tuple[float, float, float] | None = None  # unit vector, where the files say it

    @property
    def views(self) -> tuple[View, ...]:
        return tuple(sorted((*self.train_views, *self.test_views), key=lambda view: view.name))

    def carried(self, matrix: np.ndarray) -> Capture:
        """The same photos of the scene after it was turned, scaled evenly and moved as a whole; matrix: [4, 4]."""
        if np.array_equal(matrix, np.eye(4)):
            return self
        linear, shift = matrix[:3, :3], matrix[:3, 3]
        train_views, test_views = (
            tuple(replace(view, camera=view.camera.carried(matrix)) for view in views)
            for views in (self.train_views, self.test_views)
        )
        points, up = self.points, self.up
        if points is not None:
            points = replace(points, positions=(points.positions @ linear.T + shift).astype(np.float32))
        if up is not None:
            x, y, z = (linear @ up / np.linalg.norm(linear @ up)).tolist()
            up = (x, y, z)
        return replace(self, train_views=train_views, test_views=test_views, points=points, up=up)

    def view(self, name: str) -> View | None:
        """The view called `name`, by whole name or by an unambiguous file name."""
        exact = [v for v in self.views if v.name == name]
        loose = [v for v in self.views if Path(v.name).name == name or Path(v.name).stem == name]
        found = exact or loose
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class Photo:
    """A view's picture ready for training: undistorted, resized, and the pinhole camera that matches its pixels."""

    name: str
    camera: Camera
    rgb: np.ndarray  # [H, W, 3] uint8 sRGB, straight (not premultiplied)
    alpha: np.ndarray | None  # [H, W] uint8, transparency (mask uses "segment" and "alpha")
    weight: np.ndarray | None  # [H, W] uint8, 255 = counts, 0 = does not (mask use "ignore")
