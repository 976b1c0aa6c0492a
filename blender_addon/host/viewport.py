"""The overlay in Blender's viewports: asks the backend for pictures of what each one shows, and draws the newest."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterator
from typing import Any

import blf
import bpy
import msgspec

from ..core import events, overlay
from ..protocol import errors, messages, things
from . import bindings, cameras, current, held_versions, mesh_depth, objects, overlay_drawing

log = logging.getLogger(__name__)

_NOTICE_SIZE = 12  # points
_NOTICE_FROM_CORNER = 20  # pixels at a scale of 1

_numbers = itertools.count(1)
_handles: list[Any] = []


class _Eye(msgspec.Struct):
    """One region that shows the scene; found again by its address, which is never followed."""

    stream: str = msgspec.field(default_factory=lambda: f"viewport {next(_numbers)}")
    view: overlay.View = msgspec.field(default_factory=overlay.View)
    camera: things.ViewCamera | None = None  # with which Blender has drawn last
    objects: tuple[things.SceneObject, ...] = ()
    picture: overlay_drawing.DrawnPicture | None = None
    left_out: str = ""  # an object that is visible here, and whose splats the backend does not have
    notice: str = ""


_eyes: dict[int, _Eye] = {}
_pace = overlay.Pace()
_revision = 0
_is_stale = True  # the scene has changed since its objects were collected
_has_complained = False


def mark_stale() -> None:
    """The scene, or what the backend can draw of it, has changed; the next tick looks."""
    global _is_stale
    _is_stale = True
    mesh_depth.forget()


def advance() -> None:
    """Asks for the pictures that are due. The tick calls it; nothing in it waits."""
    if not current.is_interactive():
        return
    now = time.monotonic()
    if _is_stale or bindings.has_news():
        _collect()
    link = current.link()
    seen: set[int] = set()
    for _, _, _, region in _regions():
        eye = _eyes.get(region.as_pointer())
        if eye is None:  # has not been drawn yet
            continue
        seen.add(region.as_pointer())
        wish = None if eye.camera is None else overlay.Wish(eye.camera, eye.objects, _revision)
        eye.view = eye.view.wants(wish, now)
        if eye.view.shown is None:
            eye.picture = None
        ask = eye.view.next(now, _pace) if link is not None else None
        if link is not None and ask is not None:
            _ask(link, region.as_pointer(), eye, ask)
    for gone in _eyes.keys() - seen:
        del _eyes[gone]


def _regions() -> Iterator[tuple[bpy.types.Window, bpy.types.Area, bpy.types.SpaceView3D, bpy.types.Region]]:
    manager: Any = bpy.context.window_manager
    for window in manager.windows:
        for area in window.screen.areas:
            space = area.spaces.active
            if isinstance(space, bpy.types.SpaceView3D):
                for region in area.regions:
                    if region.type == "WINDOW":
                        yield window, area, space, region


def _collect() -> None:
    """What each viewport shows of the scene as it is now."""
    global _is_stale
    _is_stale = False
    found: dict[tuple[int, int], tuple[things.SceneObject, ...]] = {}
    any_splats = any(objects.is_splats(item) for item in bpy.data.objects)
    if any_splats:
        held_versions.reach()
    for window, _, space, region in _regions():
        eye = _eyes.get(region.as_pointer())
        depsgraph = window.view_layer.depsgraph
        if eye is None or not any_splats or depsgraph is None:
            if eye is not None:
                eye.objects, eye.left_out = (), ""
            continue
        key = (window.view_layer.as_pointer(), space.as_pointer())
        if key not in found:
            bindings.follow(depsgraph)
            found[key] = objects.scene_objects(depsgraph, for_render=False, space=space, pose_of=bindings.pose_of)
        eye.objects, eye.left_out = found[key], _left_out(window.view_layer, space)


def _left_out(view_layer: bpy.types.ViewLayer, space: bpy.types.SpaceView3D) -> str:
    known = current.session().assets
    for item in bpy.data.objects:
        unknown = objects.is_splats(item) and item.splatwright.asset not in known  # type: ignore[attr-defined]
        if unknown and item.visible_get(view_layer=view_layer, viewport=space):
            return item.name
    return ""


def _ask(link: Any, key: int, eye: _Eye, ask: overlay.Ask) -> None:
    request = messages.Render(objects=ask.wish.objects, camera=ask.camera, stream=eye.stream)
    try:
        future = link.ask(request)
    except errors.UserError:  # the connection ended in this moment
        return
    eye.view = eye.view.asking(ask)
    current.when_done(future, lambda answer: _answered(key, eye, ask, answer))


def _answered(key: int, eye: _Eye, ask: overlay.Ask, answer: Any) -> None:
    global _pace
    from concurrent.futures import CancelledError  # Blender starts without it

    now = time.monotonic()
    if _eyes.get(key) is not eye:
        return
    match answer:
        case messages.Picture():
            eye.view, eye.notice = eye.view.answered(answer.seconds), ""
            if eye.view.shown is ask:
                eye.picture = overlay_drawing.DrawnPicture.of(answer, ask.wish.camera)
            if answer.step:
                _pace = _pace.after(answer.seconds, now)
        case messages.Superseded() | CancelledError():
            eye.view = eye.view.overtaken()
        case errors.UserError():
            eye.view, eye.notice = eye.view.failed(now), answer.message
            if answer.kind == "not_found" and any(item.pose for item in ask.wish.objects):
                bindings.forget()
            mark_stale()
        case _:
            eye.view, eye.notice = eye.view.failed(now), "The backend could not draw the splats."
            log.error("A picture failed", exc_info=answer if isinstance(answer, BaseException) else None)
    _redraw(key)


def _redraw(key: int) -> None:
    for _, _, _, region in _regions():
        if region.as_pointer() == key:
            region.tag_redraw()


# ---- drawn, in the middle of Blender's own drawing: nothing here may wait or raise


def _draw_splats() -> None:
    global _has_complained
    try:
        _draw()
    except Exception:  # an error here would be printed at each redraw, and nobody could mend it
        if not _has_complained:
            log.exception("The splats could not be drawn")
        _has_complained = True


def _draw() -> None:
    context: Any = bpy.context
    region, region_3d = context.region, context.region_data
    if not isinstance(region_3d, bpy.types.RegionView3D) or region.width < 1 or region.height < 1:
        return
    key = region.as_pointer()
    eye = _eyes.get(key)
    if eye is None:
        eye = _eyes[key] = _Eye()
        mark_stale()
    eye.camera = cameras.view_camera_of_region(region, region_3d)
    if eye.picture is not None and eye.view.fits(eye.camera, time.monotonic()):
        if mesh_depth.is_left_out(context.space_data, context.scene.render.engine):
            mesh_depth.draw(context.view_layer.depsgraph, context.space_data)
        overlay_drawing.draw(eye.picture, eye.camera, as_light=True)


def _draw_notice() -> None:
    global _has_complained
    try:
        context: Any = bpy.context
        eye = _eyes.get(context.region.as_pointer())
        text = _notice(eye) if eye is not None else ""
        if text:
            scale = context.preferences.system.ui_scale
            blf.size(0, _NOTICE_SIZE * scale)
            blf.color(0, 1.0, 0.8, 0.3, 1.0)
            blf.position(0, _NOTICE_FROM_CORNER * scale, _NOTICE_FROM_CORNER * scale, 0)
            blf.draw(0, text)
    except Exception:
        if not _has_complained:
            log.exception("The notice could not be drawn")
        _has_complained = True


def _notice(eye: _Eye) -> str:
    """Why splats are not drawn, or are not up to date, in a viewport; "" = all is well."""
    session = current.session()
    if eye.objects and not session.is_connected:
        return f"Splats are not up to date. {session.life.sentence}"
    if eye.notice and eye.objects:
        return f"Splats are not up to date. {eye.notice}"
    if eye.left_out and not session.is_connected:
        return f"The splats of '{eye.left_out}' are not drawn. {session.life.sentence}"
    if eye.left_out and session.is_listed:
        return f"The backend does not have the splats of '{eye.left_out}'. Locate them in the panel Splats."
    return ""


# ---- what changes


@bpy.app.handlers.persistent
def _scene_changed(*_: object) -> None:
    mark_stale()


def _heard(event: events.Event) -> None:
    global _revision
    match event:
        case events.Heard(message=messages.JobProgress(job=job)):
            session = current.session()
            asset = session.jobs[job].state.asset if job in session.jobs else ""
            if any(item.asset == asset for eye in _eyes.values() for item in eye.objects):
                _revision += 1
            else:  # what has splats since this moment was left out until now
                mark_stale()
        case events.Heard(message=messages.JobNote() | messages.Preview()):
            pass
        case _:
            _revision += 1
            mark_stale()


_HANDLERS = ("depsgraph_update_post", "frame_change_post", "undo_post", "redo_post", "load_post")


def register() -> None:
    for name in _HANDLERS:
        getattr(bpy.app.handlers, name).append(_scene_changed)
    space = bpy.types.SpaceView3D
    _handles.append(space.draw_handler_add(_draw_splats, (), "WINDOW", "POST_VIEW"))
    _handles.append(space.draw_handler_add(_draw_notice, (), "WINDOW", "POST_PIXEL"))
    current.listen(_heard)


def unregister() -> None:
    current.unlisten(_heard)
    while _handles:
        bpy.types.SpaceView3D.draw_handler_remove(_handles.pop(), "WINDOW")
    for name in _HANDLERS:
        getattr(bpy.app.handlers, name).remove(_scene_changed)
    _eyes.clear()
    mesh_depth.forget()
    overlay_drawing.forget()
