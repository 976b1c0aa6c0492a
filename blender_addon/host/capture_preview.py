"""Shows where the cameras of a capture will stand: one object of lines, that is never rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy
import numpy as np

from ..core import camera as cameras
from ..protocol import errors

if TYPE_CHECKING:  # Blender starts without what only captures need
    from .capture_plan import Plan

MARK = "splatwright_preview"  # the custom property that says that an object is this one
_SIZE = 0.06  # depth of a drawn camera, in distances to the middle
_CORNERS = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])  # of a picture, from its upper left corner
_EDGES = np.array([(0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (2, 3), (3, 4), (4, 1), (1, 5), (5, 2)])


def shown(scene: bpy.types.Scene) -> bpy.types.Object | None:
    return next((object for object in scene.objects if MARK in object), None)


def show(context: bpy.types.Context, chosen: Any) -> bpy.types.Object:
    """Draws the cameras that `chosen` (`CaptureProperties`) asks for now. Raises UserError when there are none."""
    from .capture_plan import plan_of

    plan = plan_of(context, chosen)
    if plan.look.size is None:
        raise errors.UserError(
            "bad_input", "The chosen cameras stand in the scene already.", "Look through them in the viewport."
        )
    vertices, edges = _lines(plan)
    scene: Any = context.scene
    object = shown(scene)
    if object is None:
        object = bpy.data.objects.new("Capture cameras", bpy.data.meshes.new("Capture cameras"))
        object[MARK] = True
        object.hide_render = object.hide_select = True
        scene.collection.objects.link(object)
    mesh: Any = object.data
    mesh.clear_geometry()
    mesh.from_pydata(vertices, edges, [])
    return object


def hide(scene: bpy.types.Scene) -> None:
    object = shown(scene)
    if object is not None:
        mesh: Any = object.data
        bpy.data.objects.remove(object)
        bpy.data.meshes.remove(mesh)


def refresh(context: bpy.types.Context, chosen: Any) -> None:
    """The cameras that are shown follow what is chosen; where none would be made, none are shown."""
    scene: Any = context.scene
    object = shown(scene)
    if object is None:
        return
    try:
        show(context, chosen)
    except errors.UserError:
        mesh: Any = object.data
        mesh.clear_geometry()


def _lines(plan: Plan) -> tuple[list[Any], list[Any]]:
    """A pyramid for each camera, with a roof on its upper side: vertices in the world, and edges."""
    width, height = plan.look.size or (1, 1)
    camera = cameras.view_camera(plan.lens, cameras.frame(width, height), np.eye(4))
    x, y = ((_CORNERS * (width, height) - (camera.cx, camera.cy)) / (camera.fx, camera.fy)).T
    corners = np.stack([x, -y, -np.ones(4)], axis=-1)  # Blender's camera axes: y up, looking along -z
    roof = (corners[0] + corners[1]) / 2 * (1, 1.5, 1)
    shape = np.concatenate([np.zeros((1, 3)), corners, roof[None]])  # [6, 3]
    poses = np.stack([view.pose for view in plan.views if view.pose is not None])
    middle = poses[:, :3, 3].mean(axis=0)
    size = _SIZE * np.linalg.norm(poses[:, :3, 3] - middle, axis=1).max()
    vertices = np.einsum("nij,kj->nki", poses[:, :3, :3], size * shape) + poses[:, None, :3, 3]
    edges = _EDGES + len(shape) * np.arange(len(poses))[:, None, None]
    return vertices.reshape(-1, 3).tolist(), edges.reshape(-1, 2).tolist()
