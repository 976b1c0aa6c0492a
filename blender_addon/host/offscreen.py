"""What a 3D view shows, with its splats, drawn into memory: for pictures without a window, and for comparing them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy
import gpu
import numpy as np

from ..core import camera as cameras
from ..protocol import errors, messages, things
from . import bindings, current, hiding_meshes, local_display, mesh_depth, objects, overlay_drawing, view_surface

PICTURE_S = 600.0
_WARM_UP = 8  # pixels

_has_graphics = False


def draw(
    view_from_world: np.ndarray, window_from_view: np.ndarray, width: int, height: int, *, by_blender: bool = False
) -> np.ndarray:
    """A picture of the active scene as its first 3D view would draw it from there at rest, [H, W, 4] uint8 sRGB.

    view_from_world, window_from_view: [4, 4] each, in OpenGL's conventions, as a RegionView3D has them. The overlay is
    a window's, but for how half-transparent pixels are blended: here exactly in sRGB.
    by_blender: Blender draws the copies beside the .blend, as it does without a backend, which then is not needed.
    Raises UserError when the backend cannot draw, a copy cannot be read, or Blender has no graphics.
    """
    context: Any = bpy.context
    depsgraph = context.evaluated_depsgraph_get()
    space, region = _view_of(context.window)
    camera = cameras.view_camera_of_window(window_from_view, view_from_world, width, height)
    draw_splats = _local(depsgraph, space, camera) if by_blender else _of_backend(depsgraph, space, camera)
    _start_graphics()
    make_target: Any = gpu.types.GPUOffScreen  # the stubs do not know it well
    target = make_target(width, height, format="RGBA8")
    try:
        target.draw_view3d(
            context.scene,
            context.view_layer,
            space,
            region,
            _matrix(view_from_world),
            _matrix(window_from_view),
            do_color_management=True,
        )
        with target.bind():
            draw_splats()
            return _read(width, height)
    finally:
        target.free()


def _of_backend(depsgraph: Any, space: Any, camera: things.ViewCamera) -> Callable[[], None]:
    link = current.connect()
    shown = objects.scene_objects(
        depsgraph, for_render=False, space=space, pose_of=lambda item: bindings.pose_for_render(item, depsgraph, link)
    )
    return lambda: _draw_splats(link, depsgraph, space, shown, camera) if shown else None


def _local(depsgraph: Any, space: Any, camera: things.ViewCamera) -> Callable[[], None]:
    local_display.make_ready()
    context: Any = bpy.context
    view = local_display.LocalView()

    def draw() -> None:
        if view.look(depsgraph, space, 0):
            if view_surface.is_left_out(space, context.scene.render.engine):
                hiding_meshes.changed(None)  # nobody may have told that the scene has changed
                hiders = hiding_meshes.look(depsgraph, space)
                hiding_meshes.read(hiders, depsgraph, space)
                mesh_depth.draw(hiders, camera)
            view.draw(camera, as_light=False)
            view.rest()

    return draw


def _draw_splats(
    link: Any, depsgraph: Any, space: Any, shown: tuple[things.SceneObject, ...], camera: things.ViewCamera
) -> None:
    """Over the active framebuffer, which holds the view. It waits for the backend."""
    context: Any = bpy.context
    hiding_meshes.changed(None)  # nobody may have told that the scene has changed
    hiders = hiding_meshes.look(depsgraph, space)
    hiding_meshes.read(hiders, depsgraph, space)
    source = view_surface.source_of(
        space, space.region_3d, context.scene.render.engine, context.mode, hiders.has_others
    )
    surface = None if source == "none" else view_surface.take(source, hiders, 0, camera)
    request = messages.Render(
        objects=shown,
        camera=camera,
        depth=surface is None or space.overlay.show_overlays,
        surface_depth=None if surface is None else surface.depth,
    )
    picture = overlay_drawing.DrawnPicture.of(link.request(request, messages.Picture, PICTURE_S), camera)
    overlay_drawing.draw(picture, camera, as_light=False, is_exact=surface is not None)


def draw_camera(camera_object: Any, width: int, height: int, *, by_blender: bool = False) -> np.ndarray:
    """The same through a camera, without its sensor's shape: its lens fills the picture."""
    context: Any = bpy.context
    depsgraph = context.evaluated_depsgraph_get()
    window_from_view = camera_object.calc_matrix_camera(depsgraph, x=width, y=height)
    view_from_world = camera_object.evaluated_get(depsgraph).matrix_world.normalized().inverted()
    matrices = np.array(view_from_world, np.float64), np.array(window_from_view, np.float64)
    return draw(*matrices, width, height, by_blender=by_blender)


def _view_of(window: Any) -> tuple[Any, Any]:
    for area in window.screen.areas if window is not None else ():
        if area.type == "VIEW_3D":
            return area.spaces.active, next(region for region in area.regions if region.type == "WINDOW")
    raise errors.UserError("not_found", "This file has no 3D viewport.", "Open one in the workspace.")


def _start_graphics() -> None:
    """Blender without a window has graphics from 5.2 on when asked for, before that once something was rendered."""
    global _has_graphics
    if _has_graphics or not bpy.app.background:
        return
    _has_graphics = True
    start = getattr(gpu, "init", None)
    if start is not None:
        start()
        return
    scene: Any = bpy.data.scenes.new("Splatwright graphics")
    camera = bpy.data.cameras.new("Splatwright graphics")
    try:
        scene.camera = bpy.data.objects.new("Splatwright graphics", camera)
        scene.collection.objects.link(scene.camera)
        scene.render.engine = "BLENDER_WORKBENCH"
        scene.render.resolution_x = scene.render.resolution_y = _WARM_UP
        bpy.ops.render.render(scene=scene.name)
    finally:
        bpy.data.scenes.remove(scene)
        bpy.data.cameras.remove(camera)  # and with it its object


def _matrix(values: np.ndarray) -> Any:
    from mathutils import Matrix  # Blender's own, of single precision

    return Matrix(values.tolist())


def _read(width: int, height: int) -> np.ndarray:
    framebuffer: Any = gpu.state.active_framebuffer_get
    buffer = framebuffer().read_color(0, 0, width, height, 4, 0, "UBYTE")
    buffer.dimensions = width * height * 4  # 4.5 and 5.0 read buffers of more axes wrongly
    return np.array(buffer, np.uint8).reshape(height, width, 4)[::-1].copy()
