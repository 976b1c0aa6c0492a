"""A ball of splats that stands moved, turned and scaled in the scene, and what tests ask about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

Room = Callable[[str], ModuleType]


def make(folder: Path) -> Any:
    """A splat object: a ball of radius 1, moved, turned and scaled in the scene."""
    import bpy
    from made_splats import write_ball

    write_ball(folder / "ball.ply")
    assert bpy.ops.splatwright.import_splats(filepath=str(folder / "ball.ply")) == {"FINISHED"}
    splats = bpy.context.view_layer.objects.active
    splats.location, splats.rotation_euler, splats.scale = (3, 1, -2), (0.4, 0.2, 1.0), (2, 2, 2)
    bpy.context.view_layer.update()
    bpy.ops.ed.undo_push(message="ball")
    return splats


def centres(connected: ModuleType, splats: Any) -> np.ndarray:
    """Of the version that is shown, in the asset's frame."""
    return np.array(connected.link().backend.splats(splats.splatwright.asset, splats.splatwright.version).means)


def named(name: str) -> Any:
    import bpy

    return bpy.data.objects[name]


def camera_above(splats: Any) -> Any:
    """Looks along -z of the world, at the middle of the splats; 8 units are 400 pixels."""
    import bpy

    camera = bpy.data.objects.new("Above", bpy.data.cameras.new("Above"))
    bpy.context.scene.collection.objects.link(camera)
    camera.data.type, camera.data.ortho_scale = "ORTHO", 8
    camera.location = (*splats.location[:2], 20)
    bpy.context.scene.render.resolution_x = bpy.context.scene.render.resolution_y = 400
    bpy.context.scene.render.resolution_percentage = 100
    bpy.context.view_layer.update()
    return camera


def in_world(splats: Any, points: np.ndarray) -> np.ndarray:
    matrix = np.array(splats.matrix_world)
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def path(*places: tuple[float, float]) -> list[dict[str, Any]]:
    return [{"name": "", "loc": place, "time": 0.0} for place in places]


RIGHT_HALF = path((200, 0), (400, 0), (400, 400), (200, 400))


def info_of(connected: ModuleType, room: Room, splats: Any) -> Any:
    """What the panel is told about what is selected, once it is known."""
    selections = room("host.selections")
    assert connected.wait_until(lambda: selections.counted(splats) is not None, 20)
    return selections.counted(splats)
