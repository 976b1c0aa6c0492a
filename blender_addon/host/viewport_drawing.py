"""What is drawn over Blender's viewports, in the middle of Blender's own drawing: nothing here may wait or raise."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import blf
import bpy

from . import cameras, current, eyes, local_display, mesh_depth, overlay_drawing, render_border, view_surface

log = logging.getLogger(__name__)

_NOTICE_SIZE = 12  # points
_NOTICE_FROM_CORNER = 20  # pixels at a scale of 1

_handles: list[Any] = []
_has_complained = False


def guarded(draw: Callable[[Any], None]) -> Callable[[], None]:
    """For a draw handler: an error is written down once, and the view goes on."""

    def drawn() -> None:
        global _has_complained
        try:
            draw(bpy.context)
        except Exception:  # an error here would be printed at each redraw, and nobody could mend it
            if not _has_complained:
                log.exception("The splats could not be drawn")
            _has_complained = True

    return drawn


def _draw_splats(context: Any) -> None:
    region, region_3d, space = context.region, context.region_data, context.space_data
    if not isinstance(region_3d, bpy.types.RegionView3D) or region.width < 1 or region.height < 1:
        return
    eye = eyes.by_region.get(region.as_pointer())
    if eye is None:
        eye = eyes.by_region[region.as_pointer()] = eyes.Eye()
        eyes.mark_stale()
    eye.camera = cameras.view_camera_of_region(region, region_3d)
    filters = eyes.filters_of(space, region_3d)
    if filters != eye.filters:
        eye.filters, eye.has_overlays = filters, space.overlay.show_overlays
        eye.hiders_number += 1
        eyes.mark_stale()
    has_picture = eye.picture is not None or eye.exact_picture is not None
    if not local_display.is_wanted(has_picture):
        eye.local.rest()
    elif eye.local.look(context.view_layer.depsgraph, space, eyes.state):
        _draw_locally(context, eye)
        return
    if eye.objects and not local_display.is_by_choice():
        _draw_pictures(context, eye)


def _draw_locally(context: Any, eye: eyes.Eye) -> None:
    assert eye.camera is not None
    space, engine = context.space_data, context.scene.render.engine
    eye.look(context.view_layer.depsgraph, space)
    if view_surface.is_left_out(space, engine):
        eye.source = "meshes"
        if eye.hiders is None or not eye.hiders.is_known:  # splats would shine through
            return
        mesh_depth.draw(eye.hiders, eye.camera)
    with render_border.kept(context):
        eye.local.draw(eye.camera, as_light=True)


def _draw_pictures(context: Any, eye: eyes.Eye) -> None:
    assert eye.camera is not None
    space, engine = context.space_data, context.scene.render.engine
    eye.look(context.view_layer.depsgraph, space)
    hiders = eye.hiders
    assert hiders is not None
    if not eye.has_no_surface:
        eye.source = view_surface.source_of(space, context.region_data, engine, context.mode, hiders.has_others)
    if eye.wants_surface:
        _take_surface(eye)
    ask = eye.view.best(eye.camera, eye.hiders_number, time.monotonic())
    picture = eye.exact_picture if ask is not None and ask.is_exact else eye.picture
    if ask is None or picture is None:
        return
    if not ask.is_exact and view_surface.is_left_out(space, engine):
        if not hiders.is_known:  # splats would shine through
            return
        mesh_depth.draw(hiders, eye.camera)
    try:
        with render_border.kept(context):
            overlay_drawing.draw(picture, eye.camera, as_light=True, is_exact=ask.is_exact)
        eye.trouble = ""
    except Exception as error:
        if picture.textures is not None:
            raise
        log.warning("A picture of %d x %d pixels became no texture: %s", *picture.color.shape[1::-1], error)
        eye.view = eye.view.dropped(time.monotonic())
        eye.trouble = "The graphics card has no room for the picture of the splats."


def _take_surface(eye: eyes.Eye) -> None:
    """The surface that the view asked for, if it still shows what it did then."""
    eye.wants_surface = False
    wish = eye.view.wish
    if wish is None or eye.camera is None or eye.hiders is None:
        return
    is_there = eye.source == "depth" or (eye.source == "meshes" and eye.hiders.is_up_to_date)
    if not is_there or (wish.camera, wish.hiders) != (eye.camera, eye.hiders_number):
        return
    try:
        eye.surface = view_surface.take(
            eye.source, eye.hiders, eye.hiders_number, eye.camera, may_be_fine=current.session().is_local
        )
    except Exception:  # splats are drawn as in a moving view, then
        log.exception("The depth of the view cannot be read")
        eye.has_no_surface, eye.source = True, "none"


def _draw_notice(context: Any) -> None:
    eye = eyes.by_region.get(context.region.as_pointer())
    text = notice(eye) if eye is not None else ""
    if text:
        scale = context.preferences.system.ui_scale
        blf.size(0, _NOTICE_SIZE * scale)
        blf.color(0, 1.0, 0.8, 0.3, 1.0)
        blf.position(0, _NOTICE_FROM_CORNER * scale, _NOTICE_FROM_CORNER * scale, 0)
        blf.draw(0, text)


def notice(eye: eyes.Eye) -> str:
    """Why splats are not drawn, or are not up to date, in a viewport; "" = all is well."""
    session = current.session()
    has_picture = eye.picture is not None or eye.exact_picture is not None
    if local_display.is_wanted(has_picture) and (local := eye.local.notice()):
        return local
    if eye.objects and not session.is_connected:
        return f"Splats are not up to date. {session.life.sentence}"
    if eye.trouble and eye.objects:
        return f"Splats are not drawn. {eye.trouble}"
    if eye.notice and eye.objects:
        return f"Splats are not up to date. {eye.notice}"
    if eye.left_out and not session.is_connected:
        return f"The splats of '{eye.left_out}' are not drawn. {session.life.sentence}"
    if eye.left_out and session.is_listed:
        return f"The backend does not have the splats of '{eye.left_out}'. Locate them in the panel Splats."
    return ""


def register() -> None:
    space = bpy.types.SpaceView3D
    _handles.append(space.draw_handler_add(guarded(_draw_splats), (), "WINDOW", "POST_VIEW"))
    _handles.append(space.draw_handler_add(guarded(_draw_notice), (), "WINDOW", "POST_PIXEL"))


def unregister() -> None:
    while _handles:
        bpy.types.SpaceView3D.draw_handler_remove(_handles.pop(), "WINDOW")
