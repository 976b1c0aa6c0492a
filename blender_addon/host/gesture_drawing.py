"""Draws what is drawn over a 3D view with the mouse, while it is: an outline, or a brush and where it has been."""

from __future__ import annotations

import math
from typing import Any

import bpy
import gpu
from gpu_extras.batch import batch_for_shader

from ..core.gestures import Gesture, Point

_LINE = (1.0, 1.0, 1.0, 0.95)
_SHADE = (0.05, 0.05, 0.05, 0.8)
_FILL = (1.0, 0.6, 0.15, 0.12)
_CIRCLE = 64  # corners of a brush's circle

_drawn: tuple[int, Gesture] | None = None  # the region's address, and what is drawn over it
_handle: Any = None


def show(region: bpy.types.Region, gesture: Gesture) -> None:
    """From now on this is drawn over that view, until `hide`."""
    global _drawn, _handle
    _drawn = region.as_pointer(), gesture
    if _handle is None:
        _handle = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL")
    region.tag_redraw()


def hide() -> None:
    global _drawn, _handle
    _drawn = None
    if _handle is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
        _handle = None


def draw_brush(place: Point, radius: float) -> None:
    """The circle of a brush around the mouse."""
    draw_line(_circle(place, radius), closed=True)


def _draw() -> None:
    region: Any = bpy.context.region
    if _drawn is None or region is None or region.as_pointer() != _drawn[0]:
        return
    gesture = _drawn[1]
    if gesture.shape == "brush":
        draw_brush(gesture.cursor, gesture.radius)
        if len(gesture.points) > 1:
            draw_line(list(gesture.points), closed=False)
        return
    corners = list(gesture.outline)
    if gesture.shape == "polygon":
        corners.append(gesture.cursor)
    if gesture.shape == "box" and len(corners) == 4:
        _triangles(corners)
    if len(corners) > 1:
        draw_line(corners, closed=True)


def _circle(place: Point, radius: float) -> list[Point]:
    turns = (2 * math.pi * i / _CIRCLE for i in range(_CIRCLE))
    return [(place[0] + radius * math.cos(turn), place[1] + radius * math.sin(turn)) for turn in turns]


def draw_line(places: list[Point], *, closed: bool) -> None:
    """Light, with a dark rim, so that it is seen over anything."""
    corners = [(x, y, 0.0) for x, y in ([*places, places[0]] if closed else places)]
    shader: Any = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
    batch = batch_for_shader(shader, "LINE_STRIP", {"pos": corners})
    viewport: Any = gpu.state.viewport_get()  # x, y, width, height
    gpu.state.blend_set("ALPHA")
    shader.bind()
    shader.uniform_float("viewportSize", viewport[2:])
    for color, thickness in ((_SHADE, 3.5), (_LINE, 1.5)):
        shader.uniform_float("lineWidth", thickness)
        shader.uniform_float("color", color)
        batch.draw(shader)
    gpu.state.blend_set("NONE")


def _triangles(corners: list[Point]) -> None:
    shader: Any = gpu.shader.from_builtin("UNIFORM_COLOR")
    batch = batch_for_shader(shader, "TRIS", {"pos": [(x, y, 0.0) for x, y in corners]}, indices=[(0, 1, 2), (2, 3, 0)])
    gpu.state.blend_set("ALPHA")
    shader.bind()
    shader.uniform_float("color", _FILL)
    batch.draw(shader)
    gpu.state.blend_set("NONE")
