"""Splats that a camera sees within an outline, or near a line, that was drawn over its picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numba import prange

from backend.splats.cameras import Camera
from backend.splats.kernels import device_function, parallel_kernel

_SOLID = 0.5  # alpha from which on something is seen that hides what is behind it
_BANDS = 256
_REACH = 2.0  # standard deviations


@dataclass(frozen=True)
class Seen:
    """Where a camera sees splats."""

    places: np.ndarray  # [N, 2] float32 pixels; the centre of the first pixel is (0.5, 0.5)
    depths: np.ndarray  # [N] float32 along the viewing axis, in world units
    in_front: np.ndarray  # bool [N]: between the near and the far plane

    def of(self, some: np.ndarray) -> Seen:
        """Of some of them alone: bool [N]."""
        return Seen(self.places[some], self.depths[some], self.in_front[some])


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
    before = np.roll(corners, 1, axis=0)
    bands = _Bands.of(np.minimum(corners, before), np.maximum(corners, before))
    with np.errstate(divide="ignore", invalid="ignore"):  # no ray crosses a side along it
        slopes = (before - corners)[:, :1] / (before - corners)[:, 1:]
    # Side by side in memory, as they are read.
    sides = np.concatenate([corners, before[:, 1:], slopes], 1)[bands.pieces]
    _in_polygon(view.places, view.in_front, sides, bands.low, bands.high, bands.height, bands.begins, found)
    return found


def under_brush(view: Seen, path: np.ndarray, radius: float) -> np.ndarray:
    """Places no farther than a radius from a line of straight pieces. path: [P, 2] float32 pixels; bool [N]."""
    found = np.zeros(len(view.places), bool)
    starts, ends = (path[:-1], path[1:]) if len(path) > 1 else (path, path)
    reach = np.float32(radius)
    bands = _Bands.of(np.minimum(starts, ends) - reach, np.maximum(starts, ends) + reach)
    along = ends - starts
    lengths = (along * along).sum(axis=1, keepdims=True)
    shares = np.where(lengths > 0, along / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32(0))
    pieces = np.concatenate([starts, along, shares], 1)[bands.pieces]
    _near_path(view.places, view.in_front, pieces, bands.low, bands.high, bands.height, bands.begins, reach**2, found)
    return found


class _Bands(NamedTuple):
    """The pieces of a line by the bands of rows that they reach into: a place has to be compared with few of them."""

    low: np.ndarray  # [2] float32: x, y of the box around them all
    high: np.ndarray  # [2] float32
    height: np.float32  # of a band
    begins: np.ndarray  # [_BANDS + 1] int64: of each band's in `pieces`
    pieces: np.ndarray  # int64

    @classmethod
    def of(cls, lows: np.ndarray, highs: np.ndarray) -> Self:
        """lows, highs: [P, 2] float32, the box of each piece."""
        low, high = lows.min(0), highs.max(0)
        height = max((high[1] - low[1]) / np.float32(_BANDS), np.finfo(np.float32).tiny)
        first, last = (((ends[:, 1] - low[1]) / height).astype(np.int64) for ends in (lows, highs))
        band = np.arange(_BANDS)[:, None]
        near = (first - 1 <= band) & (band <= last + 1)  # one more on either side, as kernels round in their own way
        rows, pieces = np.nonzero(near)
        return cls(low, high, height, np.searchsorted(rows, np.arange(_BANDS + 1)), pieces)


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


@device_function
def _band(y: np.float32, low: np.float32, height: np.float32) -> int:
    return min(max(int((y - low) / height), 0), _BANDS - 1)


@parallel_kernel
def _in_polygon(
    places: np.ndarray,
    counts: np.ndarray,
    sides: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    height: np.float32,
    begins: np.ndarray,
    found: np.ndarray,
) -> None:
    for i in prange(len(places)):
        x, y = places[i, 0], places[i, 1]
        if not counts[i] or x < low[0] or x > high[0] or y < low[1] or y > high[1]:
            continue
        inside, band = False, _band(y, low[1], height)
        for side in range(begins[band], begins[band + 1]):
            ax, ay, by, slope = sides[side, 0], sides[side, 1], sides[side, 2], sides[side, 3]
            # A ray to the right crosses this side.
            inside ^= ((ay > y) != (by > y)) & (x < slope * (y - ay) + ax)
        found[i] = inside


@parallel_kernel
def _near_path(
    places: np.ndarray,
    counts: np.ndarray,
    pieces: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    height: np.float32,
    begins: np.ndarray,
    square: np.float32,
    found: np.ndarray,
) -> None:
    for i in prange(len(places)):
        x, y = places[i, 0], places[i, 1]
        if not counts[i] or x < low[0] or x > high[0] or y < low[1] or y > high[1]:
            continue
        band = _band(y, low[1], height)
        for piece in range(begins[band], begins[band + 1]):
            from_x, from_y = x - pieces[piece, 0], y - pieces[piece, 1]
            share = from_x * pieces[piece, 4] + from_y * pieces[piece, 5]  # of the way from its start to its end
            share = min(max(share, np.float32(0)), np.float32(1))
            off_x, off_y = from_x - share * pieces[piece, 2], from_y - share * pieces[piece, 3]
            if off_x * off_x + off_y * off_y <= square:
                found[i] = True
                break
