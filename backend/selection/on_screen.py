"""Splats that a camera sees within an outline, or near a line, that was drawn over its picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import prange

from backend.splats.cameras import Camera
from backend.splats.kernels import parallel_kernel

_SOLID = 0.5  # alpha from which on something is seen that hides what is behind it
_REACH = 2.0  # standard deviations


@dataclass(frozen=True)
class Seen:
    """Where a camera sees splats."""

    places: np.ndarray  # [N, 2] float32 pixels; the centre of the first pixel is (0.5, 0.5)
    depths: np.ndarray  # [N] float32 along the viewing axis, in world units
    in_front: np.ndarray  # bool [N]: between the near and the far plane


def seen(means: np.ndarray, camera: Camera, world_from_object: np.ndarray, *, near: float, far: float) -> Seen:
    """means: [N, 3] in the object's frame. world_from_object: [4, 4] affine."""
    matrix = camera.camera_from_world @ world_from_object
    points = carried(means, matrix)  # [N, 3]
    depths = points[:, 2]
    in_front = (depths > near) & (depths < far)
    w = np.float32(1) if camera.orthographic else np.where(in_front, depths, np.float32(1))
    focal, middle = np.array((camera.fx, camera.fy), np.float32), np.array((camera.cx, camera.cy), np.float32)
    places = points[:, :2] * focal
    places /= np.reshape(w, (-1, 1))
    places += middle
    return Seen(places, depths, in_front)


def in_outline(view: Seen, corners: np.ndarray) -> np.ndarray:
    """Places within a polygon, closed at its end; where it crosses itself, every second part counts.

    corners: [P, 2] float32 pixels. Returns bool [N].
    """
    found = np.zeros(len(view.places), bool)
    low, high = corners.min(0), corners.max(0)
    _in_polygon(view.places, view.in_front, corners, low, high, found)
    return found


def under_brush(view: Seen, path: np.ndarray, radius: float) -> np.ndarray:
    """Places no farther than a radius from a line of straight pieces. path: [P, 2] float32 pixels; bool [N]."""
    found = np.zeros(len(view.places), bool)
    low, high = path.min(0) - np.float32(radius), path.max(0) + np.float32(radius)
    _near_path(view.places, view.in_front, path, low, high, np.float32(radius * radius), found)
    return found


def on_surface(view: Seen, sizes: np.ndarray, depth: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Splats that are seen and not hidden by others.

    sizes: [N] the greatest radius of each, in world units. depth, alpha: [H, W] of the picture of all of them.
    Returns bool [N].
    """
    height, width = depth.shape
    columns, rows = np.floor(view.places[:, 0]), np.floor(view.places[:, 1])
    shown = view.in_front & (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    at = rows[shown].astype(np.int64), columns[shown].astype(np.int64)
    nearest = np.where(alpha[at] > _SOLID, depth[at], np.inf)
    # The depth of a pixel is the mean of what is seen there, so a splat may lie behind it by its own thickness.
    shown[shown] = view.depths[shown] <= nearest + _REACH * sizes[shown]
    return shown


def carried(means: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points [N, 3] by an affine map [4, 4]; float32 [N, 3]."""
    moved = np.empty((len(means), 3), np.float32)
    _carry(means, matrix[:3].astype(np.float32), moved)
    return moved


# A product of matrices so narrow is many times slower where BLAS threads and these share the cores.
@parallel_kernel
def _carry(means: np.ndarray, matrix: np.ndarray, moved: np.ndarray) -> None:
    for i in prange(len(means)):
        x, y, z = means[i, 0], means[i, 1], means[i, 2]
        for row in range(3):
            moved[i, row] = matrix[row, 0] * x + matrix[row, 1] * y + matrix[row, 2] * z + matrix[row, 3]


@parallel_kernel
def _in_polygon(
    places: np.ndarray, counts: np.ndarray, corners: np.ndarray, low: np.ndarray, high: np.ndarray, found: np.ndarray
) -> None:
    for i in prange(len(places)):
        x, y = places[i, 0], places[i, 1]
        if not counts[i] or x < low[0] or x > high[0] or y < low[1] or y > high[1]:
            continue
        inside = False
        before = len(corners) - 1
        for corner in range(len(corners)):
            ax, ay, bx, by = corners[corner, 0], corners[corner, 1], corners[before, 0], corners[before, 1]
            # A ray to the right crosses this side.
            if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
                inside = not inside
            before = corner
        found[i] = inside


@parallel_kernel
def _near_path(
    places: np.ndarray,
    counts: np.ndarray,
    path: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    square: np.float32,
    found: np.ndarray,
) -> None:
    for i in prange(len(places)):
        x, y = places[i, 0], places[i, 1]
        if not counts[i] or x < low[0] or x > high[0] or y < low[1] or y > high[1]:
            continue
        for piece in range(max(len(path) - 1, 1)):
            end = min(piece + 1, len(path) - 1)
            along_x, along_y = path[end, 0] - path[piece, 0], path[end, 1] - path[piece, 1]
            from_x, from_y = x - path[piece, 0], y - path[piece, 1]
            length = along_x * along_x + along_y * along_y
            share = 0.0
            if length > 0:
                share = min(max((from_x * along_x + from_y * along_y) / length, 0.0), 1.0)
            off_x, off_y = from_x - share * along_x, from_y - share * along_y
            if off_x * off_x + off_y * off_y <= square:
                found[i] = True
                break
