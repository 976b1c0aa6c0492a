"""The ball of `splat_scene`, bound to a mesh of its own shape that can be moved in many ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import numpy as np
import splat_scene

Room = Callable[[str], ModuleType]


def make_plain(connected: ModuleType, room: Room, folder: Path) -> tuple[Any, Any]:
    """The ball, and the mesh that it is bound to, without anything that deforms it."""
    ball = splat_scene.make(folder)
    mesh = _add_mesh()
    bind(connected, room, ball, mesh)
    return ball, mesh


def make(connected: ModuleType, room: Room, folder: Path) -> tuple[Any, Any]:
    """The ball, and the mesh that it is bound to, with a shape key that moves it to x = -1.5."""
    ball = splat_scene.make(folder)
    mesh = _add_mesh()
    mesh.shape_key_add(name="Basis")
    moved = mesh.shape_key_add(name="Moved")
    for point in moved.data:
        point.co.x -= 1.5
    moved.value = 0.0  # Blender 5 adds keys at 1
    bind(connected, room, ball, mesh)
    return ball, mesh


def _add_mesh() -> Any:
    bpy.ops.mesh.primitive_uv_sphere_add(radius=1.0, segments=24, ring_count=16)
    mesh = bpy.context.view_layer.objects.active
    mesh.name, mesh.hide_render = "Driver", True
    return mesh


def bind(connected: ModuleType, room: Room, ball: Any, mesh: Any) -> None:
    before = ball.splatwright.version
    bpy.ops.splatwright.run_method(method="bind", object=ball.name, mesh=mesh.name)
    versions = room("host.versions")
    assert connected.wait_until(lambda: len(versions.of(ball.splatwright.asset)) == 2, 30)
    assert ball.splatwright.version != before and ball.splatwright.mesh == mesh


def followed(room: Room, connected: ModuleType, ball: Any) -> str:
    """The pose in which a viewport draws the ball once the backend knows it."""
    bindings = room("host.bindings")
    known = bindings.pose_of(ball)
    bindings.follow(bpy.context.evaluated_depsgraph_get())
    connected.wait_until(lambda: bindings.pose_of(ball) != known, 10)
    return bindings.pose_of(ball)


def drawn(room: Room, connected: ModuleType) -> np.ndarray:
    """The splats of the scene as a viewport would ask for them, from the scene's camera: [H, W, 4] 0..1."""
    messages, bindings = room("protocol").messages, room("host.bindings")
    depsgraph = bpy.context.evaluated_depsgraph_get()
    scene = bpy.context.scene
    camera = room("host.cameras").view_camera_of_scene(scene, scene.camera, depsgraph)
    request = messages.Render(
        objects=room("host.objects").scene_objects(depsgraph, for_render=False, pose_of=bindings.pose_of),
        camera=camera,
        pixels="float32",
    )
    return np.asarray(connected.link().request(request, messages.Picture, 30).color)
