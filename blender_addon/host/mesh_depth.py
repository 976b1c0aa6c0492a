"""How far the meshes of a viewport are, drawn by ourselves where Blender leaves it out or mixes overlays into it."""

from __future__ import annotations

import math
from typing import Any

import gpu
import msgspec
import numpy as np
import numpy.typing as npt
from gpu_extras.batch import batch_for_shader

from ..core import camera as cameras
from ..protocol import things
from .hiding_meshes import Hiders, Triangles

_VERTEX = """
void main() {
  vec4 seen = camera_from_object * vec4(place, 1.0);
  far_away = seen.z;
  gl_Position = window_from_camera * seen;
}
"""
_FRAGMENT = "void main() { distance = vec4(far_away); }"

_shader: gpu.types.GPUShader | None = None


def draw(hiders: Hiders, camera: things.ViewCamera) -> None:
    """Into the depth of the active framebuffer, in place of what is there; its colours stay."""
    state: Any = gpu.state
    state.active_framebuffer_get().clear(depth=1.0)
    state.color_mask_set(False, False, False, False)
    try:
        _draw(hiders, camera, cameras.window_from_camera(camera))
    finally:
        state.color_mask_set(True, True, True, True)


def distances(hiders: Hiders, camera: things.ViewCamera, *, is_fine: bool) -> npt.NDArray[np.float32]:
    """Along the viewing axis, through the centre of each pixel, [H, W]; infinity where there is nothing.

    is_fine: through the centres of each pixel's quarters, [H, W, 4].
    """
    width, height = camera.width, camera.height
    offsets = ((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)) if is_fine else ((0.0, 0.0),)
    count = len(offsets)
    make_texture: Any = gpu.types.GPUTexture  # the stubs know neither constructor
    make_framebuffer: Any = gpu.types.GPUFrameBuffer
    color = make_texture((width, height), format="RGBA32F" if is_fine else "R32F")
    depth = make_texture((width, height), format="DEPTH_COMPONENT32F")
    framebuffer = make_framebuffer(depth_slot=depth, color_slots=[color])
    state: Any = gpu.state
    with framebuffer.bind():
        framebuffer.clear(color=(math.inf, math.inf, math.inf, math.inf))
        try:
            for number, (x, y) in enumerate(offsets):
                framebuffer.clear(depth=1.0)
                state.color_mask_set(*(channel == number for channel in range(4)))
                shifted = msgspec.structs.replace(camera, cx=camera.cx - x, cy=camera.cy - y)
                # Upside down, because a picture's rows run downward, and those of a framebuffer upward.
                _draw(hiders, shifted, np.diag([1.0, -1.0, 1.0, 1.0]) @ cameras.window_from_camera(shifted))
        finally:
            state.color_mask_set(True, True, True, True)
        buffer = framebuffer.read_color(0, 0, width, height, count, 0, "FLOAT")
    found = flat(buffer, width * height * count)
    return found.reshape((height, width, count) if is_fine else (height, width))


def flat(buffer: Any, length: int) -> npt.NDArray[np.float32]:
    """What was read from the graphics card: 4.5 and 5.0 read buffers of more axes wrongly."""
    buffer.dimensions = length
    return np.array(buffer, np.float32)


def forget() -> None:
    """The shader is made again when it is needed."""
    global _shader
    _shader = None


def _draw(hiders: Hiders, camera: things.ViewCamera, window_from_camera: npt.NDArray[np.float64]) -> None:
    shader = _made_shader()
    shader.bind()
    shader.uniform_float("window_from_camera", _matrix(window_from_camera))
    # Multiplied in double precision: far from the origin, single precision would lose where things are.
    from_objects = np.reshape(camera.camera_from_world, (4, 4)) @ hiders.places
    state: Any = gpu.state
    state.depth_mask_set(True)
    state.depth_test_set("LESS_EQUAL")
    state.face_culling_set("NONE")
    state.blend_set("NONE")
    try:
        for (triangles, _), camera_from_object in zip(hiders.parts, from_objects, strict=True):
            batch = _batch(triangles, shader)
            if batch is not None:
                shader.uniform_float("camera_from_object", _matrix(camera_from_object))
                batch.draw(shader)
    finally:
        state.depth_test_set("NONE")
        state.depth_mask_set(False)


def _batch(triangles: Triangles, shader: gpu.types.GPUShader) -> gpu.types.GPUBatch | None:
    mesh: Any = triangles.mesh
    if mesh is not None:
        triangles.mesh = None
        if len(mesh.faces):
            triangles.batch = batch_for_shader(shader, "TRIS", {"place": mesh.vertices}, indices=mesh.faces)
    return triangles.batch


def _matrix(values: np.ndarray) -> Any:
    from mathutils import Matrix  # Blender's own, of single precision

    return Matrix(values.tolist())


def _made_shader() -> gpu.types.GPUShader:
    global _shader
    if _shader is None:
        info = gpu.types.GPUShaderCreateInfo()
        make_interface: Any = gpu.types.GPUStageInterfaceInfo
        between = make_interface("splatwright_mesh_depth")
        between.smooth("FLOAT", "far_away")
        info.vertex_in(0, "VEC3", "place")
        info.vertex_out(between)
        info.push_constant("MAT4", "window_from_camera")
        info.push_constant("MAT4", "camera_from_object")
        info.fragment_out(0, "VEC4", "distance")
        info.vertex_source(_VERTEX)
        info.fragment_source(_FRAGMENT)
        _shader = gpu.shader.create_from_info(info)
    return _shader
