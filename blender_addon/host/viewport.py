"""The overlay in Blender's viewports: asks the backend for pictures of what each one shows, and takes the answers."""

from __future__ import annotations

import logging
import time
from typing import Any

import bpy

from ..core import events, overlay
from ..protocol import errors, messages, packing, things
from . import (
    bindings,
    current,
    eyes,
    held_versions,
    hiding_meshes,
    local_display,
    mesh_depth,
    objects,
    overlay_drawing,
    view_surface,
    viewport_drawing,
)

log = logging.getLogger(__name__)

_READ_S = 0.002  # that a tick may take to read meshes

_pace = overlay.Pace()
_revision = 0


def advance() -> None:
    """Asks for the pictures that are due. The tick calls it; nothing in it waits."""
    if not current.is_interactive():
        return
    now = time.monotonic()
    if eyes.is_stale or bindings.has_news():
        _collect()
    local_display.advance(eyes.state)
    link = current.link()
    seen: set[int] = set()
    depsgraphs: set[int] = set()
    for window, space, region in eyes.regions():
        key, depsgraph = region.as_pointer(), window.view_layer.depsgraph
        eye = eyes.by_region.get(key)
        if eye is None or depsgraph is None:  # has not been drawn yet
            continue
        seen.add(key)
        depsgraphs.add(depsgraph.as_pointer())
        if eye.objects or eye.local.is_drawing:
            eye.look(depsgraph, space)
            _read_meshes(eye, depsgraph, space, now)
        _wish(eye, now)
        if link is not None:
            _advance(link, eye, region, now)
    for gone in eyes.by_region.keys() - seen:
        del eyes.by_region[gone]
    hiding_meshes.keep(depsgraphs)


def _wish(eye: eyes.Eye, now: float) -> None:
    wish = None
    if eye.camera is not None and not local_display.is_by_choice():
        wish = overlay.Wish(eye.camera, eye.objects, _revision, eye.hiders_number)
    eye.view = eye.view.wants(wish, now)
    if eye.view.shown is None:
        eye.picture = None
    if eye.view.exact is None:
        eye.exact_picture = None


def _read_meshes(eye: eyes.Eye, depsgraph: bpy.types.Depsgraph, space: bpy.types.SpaceView3D, now: float) -> None:
    """Their triangles, where the view needs them: at rest, or at any time where Blender draws no depth itself."""
    if eye.hiders is None or eye.source != "meshes":
        return
    if eye.view.rests(now) or view_surface.is_left_out(space, depsgraph.scene.render.engine):
        hiding_meshes.read(eye.hiders, depsgraph, space, _READ_S)


def _advance(link: Any, eye: eyes.Eye, region: bpy.types.Region, now: float) -> None:
    is_read = eye.source == "depth" or (eye.hiders is not None and eye.hiders.is_up_to_date)
    ask = eye.view.next(now, _pace, can_be_exact=eye.source != "none" and is_read)
    if ask is None:
        return
    if ask.is_exact and eye.surface_of(ask.wish) is None:
        if not eye.wants_surface:
            eye.wants_surface = True
            region.tag_redraw()
        return
    _ask(link, region.as_pointer(), eye, ask)


def _collect() -> None:
    """What each viewport shows of the scene as it is now."""
    eyes.collected()
    found: dict[tuple[int, int], tuple[things.SceneObject, ...]] = {}
    any_splats = any(objects.is_splats(item) for item in bpy.data.objects)
    if any_splats:
        held_versions.reach()
    for window, space, region in eyes.regions():
        eye = eyes.by_region.get(region.as_pointer())
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


def _ask(link: Any, key: int, eye: eyes.Eye, ask: overlay.Ask) -> None:
    surface = eye.surface_of(ask.wish) if ask.is_exact else None
    request = messages.Render(
        objects=ask.wish.objects,
        camera=ask.camera,
        # Overlays draw lines in front of splats and behind them, which an exact picture knows nothing of.
        depth=surface is None or eye.has_overlays,
        surface_depth=None if surface is None else surface.depth,
        stream=eye.stream,
        compress=not current.session().is_local and packing.is_available(),
    )
    try:
        future = link.ask(request)
    except errors.UserError:  # the connection ended in this moment
        return
    eye.view = eye.view.asking(ask)
    current.when_done(future, lambda answer: _answered(key, eye, ask, answer))


def _answered(key: int, eye: eyes.Eye, ask: overlay.Ask, answer: Any) -> None:
    global _pace
    from concurrent.futures import CancelledError  # Blender starts without it

    now = time.monotonic()
    if eyes.by_region.get(key) is not eye:
        return
    match answer:
        case messages.Picture():
            eye.view, eye.notice = eye.view.answered(answer.seconds), ""
            if eye.view.exact is ask:
                eye.exact_picture = overlay_drawing.DrawnPicture.of(answer, ask.wish.camera)
            elif eye.view.shown is ask:
                eye.picture = overlay_drawing.DrawnPicture.of(answer, ask.wish.camera)
            if answer.step:
                _pace = _pace.after(answer.seconds, now)
        case messages.Superseded() | CancelledError():
            eye.view = eye.view.overtaken()
        case errors.UserError():
            eye.view, eye.notice = eye.view.failed(now), answer.message
            if answer.kind == "not_found" and any(item.pose for item in ask.wish.objects):
                bindings.forget()
            eyes.mark_stale()
        case _:
            eye.view, eye.notice = eye.view.failed(now), "The backend could not draw the splats."
            log.error("A picture failed", exc_info=answer if isinstance(answer, BaseException) else None)
    eyes.redraw(key)


# ---- what changes


@bpy.app.handlers.persistent
def _scene_changed(_scene: object, depsgraph: bpy.types.Depsgraph | None = None, *_: object) -> None:
    hiding_meshes.changed(depsgraph)
    eyes.mark_stale()


@bpy.app.handlers.persistent
def _all_changed(*_: object) -> None:
    """Undo and opening a file put other objects in the place of those that were there."""
    hiding_meshes.changed(None)
    eyes.mark_stale()


def _heard(event: events.Event) -> None:
    global _revision
    match event:
        case events.Heard(message=messages.JobProgress(job=job)):
            session = current.session()
            asset = session.jobs[job].state.asset if job in session.jobs else ""
            if any(item.asset == asset for eye in eyes.by_region.values() for item in eye.objects):
                _revision += 1
            else:  # what has splats since this moment was left out until now
                eyes.mark_stale()
        case events.Heard(message=messages.JobNote() | messages.Preview()):
            pass
        case _:
            _revision += 1
            eyes.mark_stale()


_HANDLERS = {
    "depsgraph_update_post": _scene_changed,
    "frame_change_post": _scene_changed,
    "undo_post": _all_changed,
    "redo_post": _all_changed,
    "load_post": _all_changed,
}


def register() -> None:
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).append(handler)
    viewport_drawing.register()
    current.listen(_heard)


def unregister() -> None:
    current.unlisten(_heard)
    viewport_drawing.unregister()
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).remove(handler)
    eyes.by_region.clear()
    hiding_meshes.forget()
    mesh_depth.forget()
    overlay_drawing.forget()
    local_display.forget()
