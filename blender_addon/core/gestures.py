"""What is drawn over a view with the mouse to select splats: a box, a lasso, a polygon, a brush. No Blender.

Places are pixels of a 3D view from its lower left corner, as Blender counts them.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

Shape = Literal["box", "lasso", "polygon", "brush"]
Point = tuple[float, float]

STEP = 3.0  # pixels at least between two points of a line that is drawn
CLOSING = 10.0  # pixels around a polygon's first corner in which a click closes it
SMALLEST_RADIUS, LARGEST_RADIUS = 1, 2000  # of a brush, in pixels
_GROWTH = 1.2  # of a brush, a key

_replace = msgspec.structs.replace


class Gesture(msgspec.Struct, frozen=True):
    """One gesture while it is drawn. radius: of a brush, in pixels. is_down: the mouse's button is held."""

    shape: Shape
    points: tuple[Point, ...] = ()
    cursor: Point = (0.0, 0.0)
    radius: float = 0.0
    is_down: bool = False
    is_done: bool = False

    def moved(self, place: Point) -> Gesture:
        """The mouse is here now."""
        moved = _replace(self, cursor=place)
        if not self.is_down or self.shape == "polygon":
            return moved
        if self.shape == "box":
            return _replace(moved, points=(self.points[0], place))
        is_new = math.dist(self.points[-1], place) >= STEP
        return _replace(moved, points=(*self.points, place)) if is_new else moved

    def pressed(self, place: Point) -> Gesture:
        """The button goes down: a shape begins, or a polygon has a corner more, or is closed at its first one."""
        if self.shape != "polygon":
            return _replace(self, points=(place,), cursor=place, is_down=True)
        if len(self.points) >= 3 and math.dist(self.points[0], place) <= CLOSING:
            return self.closed()
        return _replace(self, points=(*self.points, place), cursor=place)

    def released(self, place: Point) -> Gesture:
        """The button goes up, which ends every shape but a polygon."""
        if not self.is_down:
            return self
        return _replace(self.moved(place), is_down=False, is_done=True)

    def closed(self) -> Gesture:
        """A polygon ends here; one without three corners goes on."""
        return _replace(self, is_done=True) if len(self.points) >= 3 else self

    def without_last(self) -> Gesture:
        """A polygon's last corner is taken back."""
        return _replace(self, points=self.points[:-1]) if self.shape == "polygon" else self

    def resized(self, *, larger: bool) -> Gesture:
        return _replace(self, radius=resized(self.radius, larger=larger))

    @property
    def outline(self) -> tuple[Point, ...]:
        """The corners of what is drawn by now; of a brush its path."""
        if self.shape == "box":
            return box(*self.points) if len(self.points) == 2 else ()
        return self.points

    @property
    def is_empty(self) -> bool:
        """Whether nothing can lie in it: a click instead of a line, or a line instead of an area."""
        if self.shape == "brush":
            return not self.points
        corners = np.reshape(np.asarray(self.outline, np.float64), (-1, 2))
        return len(corners) < 3 or bool((np.ptp(corners, axis=0) < 1).any())


def box(first: Point, second: Point) -> tuple[Point, ...]:
    """The corners of the box between two opposite ones, all the way round."""
    (left, right), (bottom, top) = (sorted(pair) for pair in zip(first, second, strict=True))
    return ((left, bottom), (right, bottom), (right, top), (left, top))


def resized(radius: float, *, larger: bool) -> float:
    """A brush's radius after a key for a larger or a smaller one; whole pixels."""
    wanted = radius * _GROWTH if larger else radius / _GROWTH
    whole = math.ceil(wanted) if larger else math.floor(wanted)
    return float(min(max(whole, SMALLEST_RADIUS), LARGEST_RADIUS))


def in_picture(points: tuple[Point, ...], height: int) -> npt.NDArray[np.float32]:
    """The places as pixels of a camera's picture, whose rows count from above, float32 [P, 2]."""
    places = np.reshape(np.asarray(points, np.float32), (-1, 2))
    return np.stack([places[:, 0], height - places[:, 1]], axis=1)  # [P, 2]
