# pyright: reportAttributeAccessIssue=false
"""Draws over a 3D view what was picked and outlined on the active splats: points and outlines."""

from __future__ import annotations

from typing import Any

import blf
import bpy
from bpy_extras.view3d_utils import location_3d_to_region_2d
from mathutils import Vector

from . import cameras, gesture_drawing, objects, view_masks, viewport_drawing

_POINT_RADIUS = 6  # pixels at a scale of 1
_TEXT_SIZE = 12  # points

_handle: Any = None


def _draw(context: Any) -> None:
    splats, region, region_3d = context.view_layer.objects.active, context.region, context.region_data
    is_view = isinstance(region_3d, bpy.types.RegionView3D) and context.space_data.overlay.show_overlays
    if not is_view or splats is None or not objects.is_splats(splats):
        return
    own, scale = splats.splatwright, context.preferences.system.ui_scale
    for number, point in enumerate(own.picked, 1):
        place = location_3d_to_region_2d(region, region_3d, splats.matrix_world @ Vector(point.place))
        if place is not None:
            gesture_drawing.draw_brush((place.x, place.y), _POINT_RADIUS * scale)
            blf.size(0, _TEXT_SIZE * scale)
            blf.color(0, 1.0, 1.0, 1.0, 1.0)
            blf.position(0, place.x + 1.5 * _POINT_RADIUS * scale, place.y, 0)
            blf.draw(0, str(number))
    views = view_masks.of(own.asset, own.version)
    if not views:
        return
    camera = cameras.view_camera_of_region(region, region_3d)
    for outline in (outline for view in views if view.camera == camera for outline in view.outlines):
        gesture_drawing.draw_line([(float(x), camera.height - float(y)) for x, y in outline], closed=True)


def register() -> None:
    global _handle
    draw = viewport_drawing.guarded(_draw)
    _handle = bpy.types.SpaceView3D.draw_handler_add(draw, (), "WINDOW", "POST_PIXEL")


def unregister() -> None:
    global _handle
    bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
    _handle = None
