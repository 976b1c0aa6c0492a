"""Where a viewport stands to see what a photo saw, and where the photo lies in it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..protocol import things

Array = npt.NDArray[np.float64]

VIEWPORT_SENSOR = 72.0  # mm along a viewport's longer side: Blender's views see twice of what a 36 mm camera sees
SHORTEST_LENS, LONGEST_LENS = 1.0, 250.0  # mm that a viewport takes
_FILLED = 0.96  # of the viewport, by the photo
_BESIDE = 1e-3  # of the distance to what is seen: how far from the photo's place an eye still sees the same
_FARTHEST_TURN = math.radians(60)
_UNEVEN = 1e-3


def eye(camera: things.ViewCamera, world_from_asset: Array) -> Array:
    """Where the photo's camera stands in the world, [4, 4] in Blender's camera axes, without scale.

    world_from_asset: [4, 4], of the splat object; where it is scaled unevenly, the direction is the middle one's.
    """
    pose = world_from_asset @ _asset_from_camera(camera)
    backward = -pose[:3, 2] / np.linalg.norm(pose[:3, 2])
    right = pose[:3, 0] - (pose[:3, 0] @ backward) * backward
    right /= np.linalg.norm(right)
    made = np.eye(4)
    made[:3, :3] = np.stack([right, np.cross(backward, right), backward], 1)
    made[:3, 3] = pose[:3, 3]
    return made


def can_fit(world_from_asset: Array) -> bool:
    """Whether any view sees the splats as the photo does: not where they are mirrored, sheared or scaled unevenly."""
    axes = world_from_asset[:3, :3]
    size = abs(float(np.linalg.det(axes))) ** (1 / 3)
    if size == 0 or np.linalg.det(axes) < 0:
        return False
    return bool(np.abs(axes.T @ axes / size**2 - np.eye(3)).max() < _UNEVEN)


def lens(camera: things.ViewCamera, width: float, height: float, covered: float = 0.0) -> float:
    """The viewport's lens in mm with which all of the photo is seen around the middle of the viewport.

    width, height: of the viewport in pixels. covered: pixels at either side that panels lie over.
    """
    across = max(camera.cx, camera.width - camera.cx) / camera.fx
    along = max(camera.cy, camera.height - camera.cy) / camera.fy
    free = max(width - 2 * covered, width / 4)
    focal = _FILLED * min(free / 2 / across, height / 2 / along)  # in pixels
    return min(max(VIEWPORT_SENSOR * focal / max(width, height), SHORTEST_LENS), LONGEST_LENS)


def longer_side(camera: things.ViewCamera, width: float, height: float, lens_mm: float) -> int:
    """Of the photo in pixels of the viewport."""
    focal = lens_mm * max(width, height) / VIEWPORT_SENSOR
    return math.ceil(max(camera.width * focal / camera.fx, camera.height * focal / camera.fy))


def corners(camera: things.ViewCamera, world_from_asset: Array, distance: float) -> Array:
    """Of the photo in the world, `distance` (of the asset's units) in front of its camera, [4, 4] homogeneous.

    Order: lower left, lower right, upper left, upper right, as textures have them.
    """
    pixels = np.array([[0, camera.height], [camera.width, camera.height], [0, 0], [camera.width, 0]], np.float64)
    points = np.ones((4, 4))
    points[:, 0] = (pixels[:, 0] - camera.cx) / camera.fx * distance
    points[:, 1] = (pixels[:, 1] - camera.cy) / camera.fy * distance
    points[:, 2] = distance
    return np.asarray(points @ (world_from_asset @ _asset_from_camera(camera)).T, np.float64)


def clip_corners(world_corners: Array, window_from_world: Array) -> Array:
    """Of the photo in OpenGL's clip space, [4, 4]; in the middle of the depths, so that no plane cuts it."""
    clip: Array = np.asarray(world_corners @ window_from_world.T, np.float64)
    clip[:, 2] = 0
    return clip


def is_seen_from(camera: things.ViewCamera, world_from_asset: Array, view_from_world: Array, distance: float) -> bool:
    """Whether a perspective view stands where the photo was taken, and looks the same way: only there the photo fits.

    view_from_world: [4, 4], in Blender's camera axes. distance: to what is seen, in the asset's units.
    """
    here, there = np.linalg.inv(view_from_world), eye(camera, world_from_asset)
    reach = distance * abs(float(np.linalg.det(world_from_asset[:3, :3]))) ** (1 / 3)
    if float(np.linalg.norm(here[:3, 3] - there[:3, 3])) > _BESIDE * reach:
        return False
    turn = float(here[:3, 2] @ there[:3, 2]) / float(np.linalg.norm(here[:3, 2]))
    return turn > math.cos(_FARTHEST_TURN)


def _asset_from_camera(camera: things.ViewCamera) -> Array:
    """In OpenCV's axes."""
    return np.asarray(np.linalg.inv(np.reshape(camera.camera_from_world, (4, 4))), np.float64)
