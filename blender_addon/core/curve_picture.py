"""Draws the quality of a job over its steps as a small picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .curve import Point

Picture = npt.NDArray[np.float32]
_LINE = (0.36, 0.65, 0.98)
_GROUND = 0.05  # white, so faint; premultiplied, all four channels are the same
_GRID = 0.07
_LEAST_RANGE_DB = 2.0
_THICKNESS = 1.6  # pixels
_MARGIN = 0.1  # of the height, above and below the line
_GRID_LINES = 4


def psnr_over_steps(points: Sequence[Point]) -> list[tuple[int, float]]:
    """The steps at which held-out photos were looked at, and their PSNR in dB. Jobs repeat a figure until the next."""
    found: list[tuple[int, float]] = []
    for point in points:
        if point.psnr is not None and (not found or point.psnr != found[-1][1]):
            found.append((point.step, point.psnr))
    return found


def draw(points: Sequence[tuple[int, float]], steps: int, width: int, height: int) -> Picture:
    """Premultiplied RGBA [height, width, 4], 0..1, first row lowest. steps: where the picture ends on the right."""
    picture = np.full((height, width, 4), _GROUND, np.float32)
    for line in range(1, _GRID_LINES):
        picture[round(line * height / _GRID_LINES)] += _GRID
    if not points:
        return picture
    values = np.array([value for _, value in points])
    lowest, highest = _span(values)
    x = np.array([step for step, _ in points]) / max(steps, points[-1][0], 1) * (width - 1)
    y = ((values - lowest) / (highest - lowest) * (1 - 2 * _MARGIN) + _MARGIN) * (height - 1)
    columns = np.arange(width)
    curve = np.interp(columns, x, y)  # [width]
    is_reached = columns <= x[-1] + 0.5
    rows = np.arange(height)[:, None]  # [height, 1]
    # Steep parts keep their thickness: the distance to the line is shorter than the distance along the column.
    slope = np.sqrt(1 + np.gradient(curve) ** 2) if width > 1 else np.ones(width)
    line = np.clip(_THICKNESS - np.abs(rows - curve) / slope, 0, 1) * is_reached  # [height, width]
    below = np.where((rows < curve) & is_reached, 0.10 + 0.18 * rows / height, 0)
    dot = np.clip(3.5 - np.hypot(rows - y[-1], columns - x[-1]), 0, 1)
    _blend(picture, below)
    _blend(picture, np.maximum(line, dot))
    return picture


def _span(values: npt.NDArray[Any]) -> tuple[float, float]:
    """The decibels from the lowest to the highest edge; never so few that noise would look like progress."""
    lowest, highest = float(values.min()), float(values.max())
    middle, half = (lowest + highest) / 2, max(highest - lowest, _LEAST_RANGE_DB) / 2
    return middle - half, middle + half


def _blend(picture: Picture, alpha: npt.NDArray[Any]) -> None:
    """Lays the line's colour over the picture."""
    picture *= 1 - alpha[..., None]
    picture += alpha[..., None] * np.array([*_LINE, 1.0])
