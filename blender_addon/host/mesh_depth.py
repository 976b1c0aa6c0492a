"""How far the scene's meshes are, where Blender leaves it out: without overlays EEVEE and Cycles draw only colours."""

from __future__ import annotations

from typing import Any

import bpy
import gpu
from gpu_extras.batch import batch_for_shader

from . import meshes

# By the addresses of a depsgraph and a viewport, which are never followed. None = there are no faces.
_batches: dict[tuple[int, int], gpu.types.GPUBatch | None] = {}


def is_left_out(space: bpy.types.SpaceView3D, engine: str) -> bool:
    """engine: the scene's, which "Rendered" shading uses."""
    by_workbench = space.shading.type in ("WIREFRAME", "SOLID") or (
        space.shading.type == "RENDERED" and engine == "BLENDER_WORKBENCH"
    )
    return not space.overlay.show_overlays and not by_workbench


def draw(depsgraph: bpy.types.Depsgraph, space: bpy.types.SpaceView3D) -> None:
    """Into the depth of the active framebuffer, in place of what is there, by the matrices that are set."""
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    key = depsgraph.as_pointer(), space.as_pointer()
    if key not in _batches:
        surface: Any = meshes.surface_of_scene(depsgraph, space)
        has_faces = len(surface.faces) > 0
        arrays = {"pos": surface.vertices}
        _batches[key] = batch_for_shader(shader, "TRIS", arrays, indices=surface.faces) if has_faces else None
    state: Any = gpu.state
    state.active_framebuffer_get().clear(depth=1.0)
    batch = _batches[key]
    if batch is None:
        return
    shader.bind()
    shader.uniform_float("color", (0.0, 0.0, 0.0, 0.0))
    state.color_mask_set(False, False, False, False)
    state.depth_mask_set(True)
    state.depth_test_set("LESS_EQUAL")
    try:
        batch.draw(shader)
    finally:
        state.depth_test_set("NONE")
        state.depth_mask_set(False)
        state.color_mask_set(True, True, True, True)


def forget() -> None:
    """The scene has changed."""
    _batches.clear()
