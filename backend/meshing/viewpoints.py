"""Cameras that see an object from all around, and those of a capture made fit for looking at its splats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.splats.bounds import robust_bounds
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from shared_protocol.errors import UserError

SMALL = 400  # pixels along a side of pictures that need not be sharp, at most
_HALF_ANGLE = math.radians(20)  # of the chosen cameras' view
_ROOM = 1.05  # around what they look at
_NEAR = 0.01  # of the distance of a photographed thing: nearer splats hang before the lens


@dataclass(frozen=True)
class Viewpoint:
    camera: Camera
    near: float  # splats nearer or farther than this are not drawn, world units
    far: float


def viewpoints_around(bounds: np.ndarray, count: int, *, pixel: float, largest: int) -> list[Viewpoint]:
    """Looking at the ball around the bounds from evenly spread directions, with square pictures.

    bounds: [2, 3]. pixel: what one of them may cover at the middle, world units. largest: side of a picture in pixels.
    What lies outside the ball, such as stray splats, is not drawn.
    """
    centre = bounds.mean(axis=0)
    radius = _ROOM * float(np.linalg.norm(bounds[1] - bounds[0])) / 2
    distance = radius / math.sin(_HALF_ANGLE)
    side = min(math.ceil(2 * distance * math.tan(_HALF_ANGLE) / pixel), largest)
    focal = side / 2 / math.tan(_HALF_ANGLE)
    found = []
    for number in range(count):
        height = 1 - 2 * (number + 0.5) / count
        angle = math.pi * (1 + math.sqrt(5)) * number
        flat = math.sqrt(1 - height**2)
        direction = np.array([flat * math.cos(angle), flat * math.sin(angle), height])
        camera = Camera(
            _looking_at(centre, centre + distance * direction), focal, focal, side / 2, side / 2, side, side
        )
        found.append(Viewpoint(camera, distance - radius, distance + radius))
    return found


def viewpoints_of(
    cameras: Sequence[Camera], bounds: np.ndarray, count: int, *, pixel: float, largest: int
) -> list[Viewpoint]:
    """At most `count` of a capture's cameras, spread evenly over their order, with fewer pixels where these suffice.

    pixel: what one of them may cover at the middle of the bounds, world units. largest: side of a picture in pixels.
    """
    chosen = [cameras[number] for number in evenly(count, len(cameras))]
    centre = bounds.mean(axis=0)
    found = []
    for camera in chosen:
        distance = float(np.linalg.norm(camera.centre - centre))
        needed = distance / pixel / max(camera.fx, camera.fy)
        scale = min(1.0, needed, largest / max(camera.width, camera.height))
        small = camera.resized(max(1, round(camera.width * scale)), max(1, round(camera.height * scale)))
        found.append(Viewpoint(small, _NEAR * distance, math.inf))
    return found


def small_viewpoints(cloud: SplatCloud, cameras: Sequence[Camera], count: int) -> list[Viewpoint]:
    """At most `count` small pictures that see the whole: the capture's, or from all around where it has no cameras.

    Raises UserError for splats at one place.
    """
    bounds = robust_bounds(cloud)
    if bounds is None or not (bounds[1] > bounds[0]).any():
        raise UserError("bad_input", "The splats lie at one place, so there is nothing to look at.")
    corners = np.asarray(bounds)
    pixel = float(np.linalg.norm(corners[1] - corners[0])) / SMALL
    if cameras:
        return viewpoints_of(cameras, corners, count, pixel=pixel, largest=SMALL)
    return viewpoints_around(corners, count, pixel=pixel, largest=SMALL)


def evenly(count: int, total: int) -> list[int]:
    """At most `count` of the numbers below `total`, evenly spread."""
    return [round(float(number)) for number in np.linspace(0, total - 1, min(count, total))]


def _looking_at(target: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """camera_from_world [4, 4] of a camera that stands at `centre`."""
    forward = (target - centre) / np.linalg.norm(target - centre)
    up = np.array([0.0, 0.0, 1.0]) if abs(forward[2]) < 0.95 else np.array([0.0, 1.0, 0.0])
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    matrix[:3, 3] = -matrix[:3, :3] @ centre
    return matrix
