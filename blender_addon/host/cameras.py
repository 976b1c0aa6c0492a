"""Blender's views and cameras as the backend's cameras."""

from __future__ import annotations

import bpy
import numpy as np

from ..core import camera as cameras
from ..protocol import errors, things


def view_camera_of_region(
    region: bpy.types.Region,
    region_3d: bpy.types.RegionView3D,
    width: int | None = None,
    height: int | None = None,
) -> things.ViewCamera:
    """What a 3D view shows, on its own grid of pixels or on a coarser one of `width` x `height`.

    The matrices are the ones of the last time the view was drawn; inside a draw handler they are those of this time.
    """
    return cameras.view_camera_of_window(
        np.array(region_3d.window_matrix, np.float64),
        np.array(region_3d.view_matrix, np.float64),
        width or region.width,
        height or region.height,
    )


def view_camera_of_scene(
    scene: bpy.types.Scene,
    camera_object: bpy.types.Object,
    depsgraph: bpy.types.Depsgraph,
    percentage: bool = True,
    *,
    within_border: bool = False,
) -> things.ViewCamera:
    """The camera of the picture that F12 makes of `camera_object` with the scene's settings, cropped by its border.

    percentage: False leaves the scene's resolution percentage out.
    within_border: only of what lies within the render border, also where it does not crop the picture.
    Raises UserError for a camera that is panoramic or of a shape of its own.
    """
    evaluated = camera_object.evaluated_get(depsgraph)
    picture = frame_of_scene(scene, percentage, within_border=within_border)
    return cameras.view_camera(lens_of_object(evaluated), picture, np.array(evaluated.matrix_world, np.float64))


def frame_of_scene(scene: bpy.types.Scene, percentage: bool = True, *, within_border: bool = False) -> cameras.Frame:
    """The picture that F12 makes: its size, and what its border leaves of it."""
    render = scene.render
    border = (render.border_min_x, render.border_min_y, render.border_max_x, render.border_max_y)
    return cameras.frame(
        render.resolution_x,
        render.resolution_y,
        percentage=render.resolution_percentage if percentage else 100,
        pixel_aspect=(render.pixel_aspect_x, render.pixel_aspect_y),
        cropped_to=border if render.use_border and (render.use_crop_to_border or within_border) else None,
    )


def lens_of_object(camera_object: bpy.types.Object) -> cameras.Lens:
    """Raises UserError for what is no camera, or none of a pinhole or of parallel rays."""
    data = camera_object.data
    if not isinstance(data, bpy.types.Camera):
        raise errors.UserError("bad_input", f"'{camera_object.name}' is no camera.", "Choose a camera.")
    if data.type not in ("PERSP", "ORTHO"):
        raise errors.UserError(
            "unsupported",
            f"The camera '{camera_object.name}' is of the type '{data.type}', which splats cannot be seen through.",
            "Make it perspective or orthographic.",
        )
    return cameras.Lens(
        data.lens,
        data.sensor_width,
        data.sensor_height,
        data.sensor_fit,
        data.shift_x,
        data.shift_y,
        data.type == "ORTHO",
        data.ortho_scale,
        data.clip_start,
        data.clip_end,
    )
