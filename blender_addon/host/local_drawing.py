"""Splats drawn by Blender's own GPU module, as the backend's rasterizer draws them, into a layer of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from ..core import splat_order
from ..core.stored_splats import StoredSplats
from ..protocol import things
from . import overlay_drawing

_WIDTH = 4096  # of textures that hold lists, in texels
_SHAPE = 3  # texels that hold a splat's place, opacity and covariance

# The numbers of the projection and of the cut-offs are those of gsplat, as in the backend's `raster/brute_force.py`;
# source: Zwicker et al. 2001, "EWA Splatting". All is computed from the camera's centre: single precision would lose
# the difference of large coordinates. `lens`: fx, fy, cx, cy in pixels, y down. `frame`: width, height, near, far.
# `how`: 1 = parallel rays, 1 = small splats become fainter instead of larger, coefficients of the harmonics a splat.
_VERTEX = """
#define WIDTH 4096
#define ALPHA_MIN (1.0 / 255.0)
#define RADIUS_SIGMAS 3.33
#define MARGIN 0.3
#define LOW_PASS 0.3
ivec2 at(int number) {
  return ivec2(number % WIDTH, number / WIDTH);
}
vec3 harmonic(int splat, int number) {
  return texelFetch(harmonics, at(splat * int(how.z) + number), 0).rgb;
}
vec3 color_seen(int splat, vec3 d) {
  float x = d.x, y = d.y, z = d.z;
  vec3 color = 0.5 + 0.28209479177387814 * harmonic(splat, 0);
  if (how.z > 3.5) {
    color += 0.4886025119029199 * (z * harmonic(splat, 2) - y * harmonic(splat, 1) - x * harmonic(splat, 3));
  }
  if (how.z > 8.5) {
    color += 1.0925484305920792 * x * (y * harmonic(splat, 4) - z * harmonic(splat, 7));
    color -= 1.0925484305920792 * y * z * harmonic(splat, 5);
    color += 0.31539156525252005 * (2.0 * z * z - x * x - y * y) * harmonic(splat, 6);
    color += 0.5462742152960396 * (x * x - y * y) * harmonic(splat, 8);
  }
  if (how.z > 15.5) {
    color -= 0.5900435899266435 * y * (3.0 * x * x - y * y) * harmonic(splat, 9);
    color += 2.890611442640554 * x * y * z * harmonic(splat, 10);
    color -= 0.4570457994644658 * y * (4.0 * z * z - x * x - y * y) * harmonic(splat, 11);
    color += 0.3731763325901154 * z * (2.0 * z * z - 3.0 * x * x - 3.0 * y * y) * harmonic(splat, 12);
    color -= 0.4570457994644658 * x * (4.0 * z * z - x * x - y * y) * harmonic(splat, 13);
    color += 1.445305721320277 * z * (x * x - y * y) * harmonic(splat, 14);
    color -= 0.5900435899266435 * x * (x * x - 3.0 * y * y) * harmonic(splat, 15);
  }
  return max(color, 0.0);
}
void main() {
  gl_Position = vec4(2.0, 2.0, 2.0, 1.0);  // outside of what is seen
  place = vec2(0.0);
  color = vec4(0.0);
  vec2 entry = texelFetch(entries, at(gl_InstanceID), 0).rg;
  int splat = int(entry.x), object = int(entry.y) * 5;
  vec4 right = texelFetch(rows, at(object), 0), down = texelFetch(rows, at(object + 1), 0);
  vec4 ahead = texelFetch(rows, at(object + 2), 0);
  vec4 shape = texelFetch(shapes, at(splat * 3), 0);
  vec3 rest_of_centre = texelFetch(rows, at(object + 3), 0).xyz;
  vec3 relative = (shape.xyz - vec3(right.w, down.w, ahead.w)) - rest_of_centre;
  vec3 seen = vec3(dot(right.xyz, relative), dot(down.xyz, relative), dot(ahead.xyz, relative));
  if (seen.z < frame.z || seen.z > frame.w) {
    return;
  }
  bool is_parallel = how.x > 0.5;
  vec2 scale = is_parallel ? lens.xy : lens.xy / seen.z;
  vec2 middle = scale * seen.xy + lens.zw;
  vec3 x_row = scale.x * right.xyz, y_row = scale.y * down.xyz;
  if (!is_parallel) {
    vec2 margin = MARGIN * 0.5 * frame.xy / lens.xy;
    vec2 slope = clamp(seen.xy / seen.z, -lens.zw / lens.xy - margin, (frame.xy - lens.zw) / lens.xy + margin);
    x_row -= scale.x * slope.x * ahead.xyz;
    y_row -= scale.y * slope.y * ahead.xyz;
  }
  vec4 first = texelFetch(shapes, at(splat * 3 + 1), 0);
  vec2 last = texelFetch(shapes, at(splat * 3 + 2), 0).xy;
  mat3 covariance = mat3(first.xyz, vec3(first.y, first.w, last.x), vec3(first.z, last.x, last.y));
  vec3 through = covariance * x_row;
  float xx = dot(x_row, through), xy = dot(y_row, through), yy = dot(y_row, covariance * y_row);
  float sharp = xx * yy - xy * xy;
  xx += LOW_PASS;
  yy += LOW_PASS;
  float blurred = xx * yy - xy * xy;
  float opacity = shape.w * (how.y > 0.5 ? sqrt(max(sharp / blurred, 0.0)) : 1.0);
  if (!(blurred > 0.0) || opacity < ALPHA_MIN) {
    return;
  }
  float extent = min(sqrt(2.0 * log(opacity / ALPHA_MIN)), RADIUS_SIGMAS);
  vec2 reach = extent * sqrt(vec2(xx, yy));
  if (any(lessThan(middle + reach, vec2(0.0))) || any(greaterThan(middle - reach, frame.xy))) {
    return;
  }
  float half_difference = 0.5 * (xx - yy);
  float radius = sqrt(half_difference * half_difference + xy * xy);
  float longer = 0.5 * (xx + yy) + radius, shorter = max(blurred / longer, 1e-6);
  vec2 axis = half_difference > 0.0 ? vec2(half_difference + radius, xy) : vec2(xy, radius - half_difference);
  axis = radius > 0.0 ? normalize(axis) : vec2(1.0, 0.0);
  place = corner * extent;
  vec2 pixel = middle + place.x * sqrt(longer) * axis + place.y * sqrt(shorter) * vec2(-axis.y, axis.x);
  vec2 window = 2.0 * pixel / frame.xy - 1.0;
  float window_depth = (seen.z - frame.z) / (frame.w - frame.z) * (is_parallel ? 1.0 : frame.w / seen.z);
  gl_Position = vec4(window.x, -window.y, 2.0 * window_depth - 1.0, 1.0);
  vec3 direction = is_parallel ? texelFetch(rows, at(object + 4), 0).xyz : relative;
  color = vec4(color_seen(splat, normalize(direction)), opacity);
}
"""

_FRAGMENT = """
void main() {
  float alpha = min(color.a * exp(-0.5 * dot(place, place)), 0.999);
  if (alpha < 1.0 / 255.0 || gl_FragCoord.z > texelFetch(surface, ivec2(gl_FragCoord.xy), 0).r) {
    discard;
  }
  fragColor = vec4(color.rgb * alpha, alpha);
}
"""

_LAY_VERTEX = "void main() { gl_Position = vec4(corner, 0.0, 1.0); }"
_LAY_FRAGMENT = """
void main() {
  vec4 color = clamp(texelFetch(layer, ivec2(gl_FragCoord.xy), 0), 0.0, 1.0);
  if (color.a < 0.5 / 255.0) {
    discard;
  }
  fragColor = how > 0.5 ? as_light(color) : color;
}
"""
_CORNERS = [(-1, -1), (1, -1), (-1, 1), (1, 1)]

_shaders: dict[str, tuple[gpu.types.GPUShader, gpu.types.GPUBatch]] = {}


class SplatTextures:
    """Splats of several copies in textures; `first`: the number of the first splat of each."""

    def __init__(self, copies: Sequence[StoredSplats], counts: Sequence[int]) -> None:
        """counts: how many splats of each copy, the weightiest ones."""
        self.first = [0, *np.cumsum(counts)[:-1].tolist()]
        self.coefficients = max((item.sh.shape[1] for item in copies), default=1)
        total = sum(counts)
        shapes = np.zeros((total, _SHAPE * 4), np.float32)
        harmonics = np.zeros((total, self.coefficients, 4), np.float32)
        for item, first, count in zip(copies, self.first, counts, strict=True):
            rows = slice(first, first + count)
            shapes[rows, :3], shapes[rows, 3] = item.means[:count], item.opacities[:count]
            shapes[rows, 4:10] = item.covariances[:count]
            harmonics[rows, : item.sh.shape[1], :3] = item.sh[:count]
        self.shapes = list_texture(shapes.reshape(-1, 4), "RGBA32F")
        self.harmonics = list_texture(harmonics.reshape(-1, 4), "RGBA16F")


class Layer:
    """What is drawn before it is laid over a view."""

    def __init__(self, width: int, height: int) -> None:
        self.size = width, height
        make_texture: Any = gpu.types.GPUTexture
        self.texture = make_texture((width, height), format="RGBA16F")  # bytes would round each splat
        make_framebuffer: Any = gpu.types.GPUFrameBuffer
        self._framebuffer = make_framebuffer(color_slots=[self.texture])

    def draw(
        self,
        textures: SplatTextures,
        seen: splat_order.Seen,
        camera: things.ViewCamera,
        surface: gpu.types.GPUTexture,
        *,
        antialiased: bool = False,
    ) -> None:
        """Draws splats in place of what is there: premultiplied sRGB.

        camera: of the layer's own size. surface: `surface_depth` of what stands in the splats' way.
        antialiased: small splats become fainter instead of larger.
        """
        entries, rows = list_texture(seen.order, "RG32F"), list_texture(seen.rows, "RGBA32F")
        state: Any = gpu.state
        with self._framebuffer.bind():
            self._framebuffer.clear(color=(0.0, 0.0, 0.0, 0.0))
            if not len(seen.order):
                return
            shader, batch = _made("splats")
            drawn: Any = batch
            shader.bind()
            for name, texture in (
                ("shapes", textures.shapes),
                ("harmonics", textures.harmonics),
                ("entries", entries),
                ("rows", rows),
                ("surface", surface),
            ):
                shader.uniform_sampler(name, texture)
            shader.uniform_float("lens", (camera.fx, camera.fy, camera.cx, camera.cy))
            shader.uniform_float("frame", (camera.width, camera.height, camera.near, camera.far))
            how = float(camera.orthographic), float(antialiased), float(textures.coefficients), 0.0
            shader.uniform_float("how", how)
            state.depth_test_set("NONE")
            state.depth_mask_set(False)
            state.blend_set("ALPHA_PREMULT")
            try:
                drawn.draw_instanced(shader, instance_count=len(seen.order))
            finally:
                state.blend_set("NONE")

    def lay_over(self, *, as_light: bool) -> None:
        """Over the active framebuffer, of the same size. as_light: see `overlay_drawing.draw`."""
        shader, batch = _made("layer")
        state: Any = gpu.state
        shader.bind()
        shader.uniform_sampler("layer", self.texture)
        shader.uniform_float("how", float(as_light))
        state.depth_test_set("NONE")
        state.depth_mask_set(False)
        state.blend_set("ALPHA_PREMULT")
        try:
            batch.draw(shader)
        finally:
            state.blend_set("NONE")


def surface_depth(width: int, height: int) -> gpu.types.GPUTexture:
    """The depth of the active framebuffer. It is read back, because what Blender draws into cannot be drawn from."""
    framebuffer: Any = gpu.state.active_framebuffer_get
    buffer = framebuffer().read_depth(0, 0, width, height)
    buffer.dimensions = width * height  # 4.5 and 5.0 read buffers of more axes wrongly
    make_texture: Any = gpu.types.GPUTexture
    return make_texture((width, height), format="R32F", data=buffer)


def forget() -> None:
    _shaders.clear()


def list_texture(values: np.ndarray, form: str) -> gpu.types.GPUTexture:
    """values: [N, channels] float32; the shaders find them by their number."""
    count, channels = max(len(values), 1), values.shape[1]
    width = min(count, _WIDTH)
    height = -(-count // width)
    data = np.zeros((height * width, channels), np.float32)
    data[: len(values)] = values
    make_texture: Any = gpu.types.GPUTexture
    make_buffer: Any = gpu.types.Buffer
    return make_texture((width, height), format=form, data=make_buffer("FLOAT", data.size, data.reshape(-1)))


def _made(name: str) -> tuple[gpu.types.GPUShader, gpu.types.GPUBatch]:
    if name not in _shaders:
        shader = gpu.shader.create_from_info(_splats_info() if name == "splats" else _layer_info())
        _shaders[name] = shader, batch_for_shader(shader, "TRI_STRIP", {"corner": _CORNERS})
    return _shaders[name]


def _splats_info() -> gpu.types.GPUShaderCreateInfo:
    info = gpu.types.GPUShaderCreateInfo()
    make_interface: Any = gpu.types.GPUStageInterfaceInfo
    between = make_interface("splatwright_splats")
    between.smooth("VEC2", "place")
    between.flat("VEC4", "color")
    info.vertex_in(0, "VEC2", "corner")
    info.vertex_out(between)
    for slot, name in enumerate(("shapes", "harmonics", "entries", "rows", "surface")):
        info.sampler(slot, "FLOAT_2D", name)
    for name in ("lens", "frame", "how"):
        info.push_constant("VEC4", name)
    info.fragment_out(0, "VEC4", "fragColor")
    info.vertex_source(_VERTEX)
    info.fragment_source(_FRAGMENT)
    return info


def _layer_info() -> gpu.types.GPUShaderCreateInfo:
    info = gpu.types.GPUShaderCreateInfo()
    info.vertex_in(0, "VEC2", "corner")
    info.sampler(0, "FLOAT_2D", "layer")
    info.push_constant("FLOAT", "how")
    info.fragment_out(0, "VEC4", "fragColor")
    info.vertex_source(_LAY_VERTEX)
    info.fragment_source(overlay_drawing.AS_LIGHT + _LAY_FRAGMENT)
    return info
