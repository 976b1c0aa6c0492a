"""Splats in F12, in animations and in `blender -b`: each frame's picture is asked for before the compositor needs it.

In a window these handlers run on the render's own thread, so they read only what belongs to the render, wait for the
backend without the tick, and write only into our own images.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import bpy

from ..protocol import errors
from . import bindings, cameras, current, depth_pass, exit_code, frame_pictures, objects, render_nodes, versions

log = logging.getLogger(__name__)

_READY_S = 20.0

_is_rendering = False
_told = ""  # in this render: one sentence is enough


@bpy.app.handlers.persistent
def _begins(scene: bpy.types.Scene, *_: object) -> None:
    global _is_rendering, _told
    # Captures of the scene go without the compositor, and then nobody looks at the splats' picture.
    _is_rendering = scene.render.use_compositing and render_nodes.is_set_up(scene) and not depth_pass.is_rendering()
    _told = ""
    if not _is_rendering or not objects.splat_objects(scene):
        return
    try:
        make_ready()
    except Exception as error:  # noqa: BLE001  a render goes on whatever we do
        _tell(error)


def make_ready() -> None:
    """Without a window nobody has connected yet, nor heard of anything. Raises UserError when there is no backend."""
    if current.is_interactive():
        if current.link() is None:
            raise errors.UserError(
                "connection",
                "Splats are not rendered: the backend is not connected.",
                "Start it first.",
                "splatwright.backend_start",
            )
        return
    current.connect()
    current.wait_until(lambda: current.session().is_listed, _READY_S)
    bound = {item.splatwright.asset for item in bpy.data.objects if bindings.may_follow(item)}  # type: ignore[attr-defined]
    for asset in bound:
        versions.want(asset)
    current.wait_until(lambda: all(map(versions.of, bound)), _READY_S)


def check(scene: bpy.types.Scene) -> None:
    """Raises UserError with the first thing for which splats would be missing from a render of this scene."""
    shown = [item for item in objects.splat_objects(scene) if not item.hide_render]
    if not shown:
        return
    make_ready()
    drawable = objects.drawable_assets()
    missing = [item.name for item in shown if item.splatwright.asset not in drawable]  # type: ignore[attr-defined]
    if missing:
        message = f"The splats of '{missing[0]}' are not here."
        raise errors.UserError("not_found", message, "Locate them, or delete the object.", "splatwright.locate_asset")
    if scene.camera is not None:
        cameras.lens_of_object(scene.camera)


def check_nodes(scene: bpy.types.Scene) -> None:
    """Raises UserError when F12 and `blender -b` would leave the scene's splats out, or show them in wrong colours."""
    if not any(not item.hide_render for item in objects.splat_objects(scene)):
        return
    if not render_nodes.is_set_up(scene) or not scene.render.use_compositing:
        message = "The scene's splats are not in its renders."
        raise errors.UserError("bad_input", message, "Add the nodes for them.", "splatwright.setup_render")
    if sentence := render_nodes.trouble(scene):
        raise errors.UserError("bad_input", sentence, "Make the nodes anew.", "splatwright.update_render_setup")


@bpy.app.handlers.persistent
def _ends(*_: object) -> None:
    global _is_rendering
    _is_rendering = False


@bpy.app.handlers.persistent
def _frame(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph | None = None, *_: object) -> None:
    """After the render's own depsgraph has come to a frame, and before anything of it is rendered."""
    if depsgraph is None or depsgraph.mode != "RENDER" or not _is_rendering or not render_nodes.is_set_up(scene):
        return
    start = time.perf_counter()
    try:
        if threading.current_thread() is threading.main_thread():  # no tick runs meanwhile
            current.drain(0.02)
        pictures = frame_pictures.pictures_of_frame(scene, depsgraph)
    except Exception as error:  # noqa: BLE001  a render goes on whatever we do
        _tell(error)
        exit_code.fail_at_exit()
        pictures = frame_pictures.card(scene)
    pictures.fill()
    log.info("The splats of frame %d took %.2f s", scene.frame_current, time.perf_counter() - start)


def _tell(error: Exception) -> None:
    """In the log at once; in the panel when the main thread comes to it."""
    global _told
    if not isinstance(error, errors.UserError):
        log.error("Splats are not rendered", exc_info=error)
    elif _told != str(error):
        log.warning("%s", error)
    if _told != str(error):
        _told = str(error)
        current.post(lambda: current.tell(error))


_HANDLERS: dict[str, Any] = {
    "render_init": _begins,
    "frame_change_post": _frame,
    "render_complete": _ends,
    "render_cancel": _ends,
}


def register() -> None:
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).append(handler)


def unregister() -> None:
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).remove(handler)
