"""Pictures that panels show: curves and histograms, as tiles that lie side by side, as an icon is always a square."""

from __future__ import annotations

from typing import Any

import bpy
import bpy.utils.previews
import numpy as np

from ..core import curve_picture, histogram_picture
from ..core.session import JobView
from ..protocol import selecting

TILE = 64  # pixels along a side
_RIM = 10  # pixels of the curve that lie behind the rims of two tiles, which Blender leaves empty
_MOST_JOBS = 8
_HISTOGRAM = "histogram"  # no job has that name

_previews: Any = None
_drawn: dict[str, tuple[object, int]] = {}  # job -> what its tiles show, how many


def curve_tiles(job: JobView, count: int) -> list[int]:
    """Icon ids from left to right; drawn anew only when there is something new to see."""
    if _previews is None:
        return []
    points = curve_picture.psnr_over_steps(job.curve.points)
    shows = (len(points), points[-1:], job.state.steps)
    if _drawn.get(job.state.job) != (shows, count):
        if len(_drawn) >= _MOST_JOBS:
            _forget()
        _drawn[job.state.job] = (shows, count)
        steps = job.state.steps if not job.is_over else 0
        picture = curve_picture.draw(points, steps, (TILE + _RIM) * count - _RIM, TILE)
        _fill_all(job.state.job, picture, count)
    return [_previews[f"{job.state.job} {i}"].icon_id for i in range(count)]


def histogram_tiles(histogram: selecting.Histogram, chosen: tuple[float, float], count: int) -> list[int]:
    """Icon ids from left to right, of the one histogram that is seen."""
    if _previews is None:
        return []
    span = histogram.low, histogram.high
    shows = (histogram.counts, span, chosen)
    if _drawn.get(_HISTOGRAM) != (shows, count):
        _drawn[_HISTOGRAM] = (shows, count)
        picture = histogram_picture.draw(histogram.counts, span, chosen, (TILE + _RIM) * count - _RIM, TILE)
        _fill_all(_HISTOGRAM, picture, count)
    return [_previews[f"{_HISTOGRAM} {i}"].icon_id for i in range(count)]


def _fill_all(name: str, picture: np.ndarray, count: int) -> None:
    for i in range(count):
        left = i * (TILE + _RIM)
        _fill(f"{name} {i}", picture[:, left : left + TILE])


def _fill(name: str, tile: curve_picture.Picture) -> None:
    preview = _previews.get(name) or _previews.new(name)
    for size in ("icon_size", "image_size"):
        setattr(preview, size, (TILE, TILE))
    flat = np.ascontiguousarray(tile).ravel()
    preview.icon_pixels_float.foreach_set(flat)
    preview.image_pixels_float.foreach_set(flat)


def _forget() -> None:
    _previews.clear()
    _drawn.clear()


def register() -> None:
    global _previews
    _previews = bpy.utils.previews.new()


def unregister() -> None:
    global _previews
    _drawn.clear()
    if _previews is not None:
        bpy.utils.previews.remove(_previews)
        _previews = None
