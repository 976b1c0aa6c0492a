"""Pictures that panels show: the curve of a job, as tiles that lie side by side, because an icon is always a square."""

from __future__ import annotations

from typing import Any

import bpy
import bpy.utils.previews
import numpy as np

from ..core import curve_picture
from ..core.session import JobView

TILE = 64  # pixels along a side
_RIM = 10  # pixels of the curve that lie behind the rims of two tiles, which Blender leaves empty
_MOST_JOBS = 8

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
        for i in range(count):
            left = i * (TILE + _RIM)
            _fill(f"{job.state.job} {i}", picture[:, left : left + TILE])
    return [_previews[f"{job.state.job} {i}"].icon_id for i in range(count)]


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
