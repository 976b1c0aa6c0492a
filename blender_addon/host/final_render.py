"""Splats in F12, in animations and in `blender -b`: each frame's picture is asked for before the compositor needs it.

In a window these handlers run on the render's own thread, so they read only what belongs to the render, wait for the
backend without the tick, and write only into our own image.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import bpy
import numpy as np

from ..protocol import errors, messages
from . import bindings, cameras, current, meshes, objects, render_nodes, versions

log = logging.getLogger(__name__)

PICTURE_S = 1800.0  # a picture of many splats may take long on a processor
_READY_S = 20.0
_MESSAGE_BYTES = 240 * 2**20  # that a request's meshes may fill; the protocol's limit is a little more

_is_rendering = False
_told = ""  # in this render: one sentence is enough


@bpy.app.handlers.persistent
def _begins(scene: bpy.types.Scene, *_: object) -> None:
    global _is_rendering, _told
    # Captures of the scene go without the compositor, and then nobody looks at the splats' picture.
    _is_rendering, _told = scene.render.use_compositing, ""
    if not _is_rendering or not render_nodes.is_set_up(scene) or not objects.splat_objects(scene):
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


@bpy.app.handlers.persistent
def _ends(*_: object) -> None:
    global _is_rendering
    _is_rendering = False


@bpy.app.handlers.persistent
def _frame(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph | None = None, *_: object) -> None:
    """After the render's own depsgraph has come to a frame, and before anything of it is rendered."""
    if depsgraph is None or depsgraph.mode != "RENDER" or not _is_rendering or not render_nodes.is_set_up(scene):
        return
    picture = None
    try:
        if threading.current_thread() is threading.main_thread():  # no tick runs meanwhile
            current.drain(0.02)
        picture = picture_of_frame(scene, depsgraph)
    except Exception as error:  # noqa: BLE001  a render goes on whatever we do
        _tell(error)
    _fill(picture)


def picture_of_frame(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> np.ndarray | None:
    """The splats as the scene's camera sees them in front of its meshes, [H, W, 4] premultiplied sRGB float32.

    depsgraph: a render's, at the frame. None = there is nothing to draw. Any thread. Raises UserError.
    """
    if not any(objects.is_splats(item) for item in scene.objects):
        return None
    link = current.link()
    if link is None:
        raise errors.UserError(
            "connection", "Splats are not rendered: the backend is not connected.", "Start it first."
        )
    if scene.camera is None:
        return None
    said: dict[str, str] = {}  # instances of one object share its pose

    def pose_of(item: bpy.types.Object) -> str:
        if item.name not in said:
            said[item.name] = bindings.pose_for_render(item, depsgraph, link)
        return said[item.name]

    shown = objects.scene_objects(depsgraph, for_render=True, pose_of=pose_of)
    missing = sum(item.splatwright.asset not in current.session().assets for item in objects.splat_objects(scene))  # type: ignore[attr-defined]
    if missing:
        _tell(
            errors.UserError("not_found", f"{missing} splat objects are not rendered: the backend has no such splats.")
        )
    if not shown:
        return None
    camera = cameras.view_camera_of_scene(scene, scene.camera, depsgraph)
    request = messages.Render(
        objects=shown, camera=camera, time=_time(scene), pixels="float32", depth=False, **_surface(depsgraph)
    )
    return link.request(request, messages.Picture, PICTURE_S).color


def _time(scene: bpy.types.Scene) -> float:
    """Seconds since frame 0."""
    return (scene.frame_current + scene.frame_subframe) * scene.render.fps_base / scene.render.fps


def _surface(depsgraph: bpy.types.Depsgraph) -> dict[str, Any]:
    """What hides splats: everything with faces that is rendered."""
    surface = meshes.surface_of_scene(depsgraph)
    if not len(surface.faces):
        return {}
    if surface.vertices.nbytes + surface.faces.nbytes > _MESSAGE_BYTES:
        message = (
            f"The scene's {len(surface.faces):,} triangles are more than can be sent, so that splats show through."
        )
        _tell(errors.UserError("unsupported", message, "Hide meshes from renders that are not seen, or simplify them."))
        return {}
    return {"surface_vertices": surface.vertices, "surface_faces": surface.faces}


def _fill(picture: np.ndarray | None) -> None:
    """picture: None = nothing of splats is in this frame."""
    target: Any = render_nodes.image()
    if target is None:
        return
    color = np.zeros((1, 1, 4), np.float32) if picture is None else picture
    height, width = color.shape[:2]
    if tuple(target.size) != (width, height):
        target.scale(width, height)
    target.pixels.foreach_set(np.ascontiguousarray(color[::-1]).ravel())  # Blender's rows run upward
    target.update()


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


_HANDLERS = {
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
