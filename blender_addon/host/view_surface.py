"""The surface that hides splats in a 3D view, pixel by pixel: where it is had from, and taking it.

The meshes are drawn once more: in Blender's own depth stand its overlays, too, the lines of the floor's grid, outlines,
and the shapes of cameras and lights, in a tenth of all pixels; and without overlays EEVEE and Cycles leave no depth. It
is read where it is clean, and holds what is no mesh.
"""

from __future__ import annotations

from typing import Any, Literal

import bpy
import gpu
import msgspec
import numpy as np
import numpy.typing as npt

from ..core import camera as cameras
from ..protocol import things
from . import mesh_depth
from .hiding_meshes import Hiders

_FINE_PIXELS = 1_000_000  # of a larger view, the reading would hold Blender up

Source = Literal["depth", "meshes", "none"]

_MESHES_AS_DRAWN = ("OBJECT", "POSE", "PAINT_WEIGHT", "PAINT_VERTEX", "PAINT_TEXTURE")


class Surface(msgspec.Struct, frozen=True, eq=False):
    """What stands in front of splats, as one camera sees it."""

    camera: things.ViewCamera
    hiders: int  # which ones, as `Wish` counts them
    depth: npt.NDArray[np.float32]  # [H, W] or [H, W, 4] world units along the axis, infinity where there is nothing


def is_left_out(space: bpy.types.SpaceView3D, engine: str) -> bool:
    """Whether Blender draws no depth. engine: the scene's, which "Rendered" shading uses."""
    by_workbench = space.shading.type in ("WIREFRAME", "SOLID") or (
        space.shading.type == "RENDERED" and engine == "BLENDER_WORKBENCH"
    )
    return not space.overlay.show_overlays and not by_workbench


def source_of(space: bpy.types.SpaceView3D, region_3d: Any, engine: str, mode: str, has_others: bool) -> Source:
    """Where the exact surface is had from; "none" = nowhere, so that Blender's own depth has to do as it is.

    mode: of the context. has_others: something that is no mesh is in the view, such as hair.
    """
    shading = space.shading
    if is_left_out(space, engine):
        return "meshes"
    if shading.type == "SOLID" and shading.show_xray:
        return "none"
    culls = shading.type == "SOLID" and shading.show_backface_culling
    if not has_others and not culls and not region_3d.use_clip_planes and mode in _MESHES_AS_DRAWN:
        return "meshes"
    return "none" if space.overlay.show_overlays else "depth"


def take(
    source: Source, hiders: Hiders, number: int, camera: things.ViewCamera, *, may_be_fine: bool = True
) -> Surface:
    """While the view is drawn by this camera; the active framebuffer is the view's.

    may_be_fine: of views that are not too large, meshes are looked at in four places of each pixel, so that their edges
    are smooth; four times as much is sent then.
    """
    if source == "meshes":
        is_fine = may_be_fine and camera.width * camera.height <= _FINE_PIXELS
        return Surface(camera, number, mesh_depth.distances(hiders, camera, is_fine=is_fine))
    framebuffer: Any = gpu.state.active_framebuffer_get
    width, height = camera.width, camera.height
    buffer = framebuffer().read_depth(0, 0, width, height)
    depth = mesh_depth.flat(buffer, width * height).reshape(height, width)[::-1]
    return Surface(camera, number, cameras.distances(depth, camera))
