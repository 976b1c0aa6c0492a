"""Draws a picture of splats over what Blender has drawn, hidden pixel by pixel by what stands in front of it."""

from __future__ import annotations

from typing import Any

import gpu
import msgspec
import numpy as np
from gpu_extras.batch import batch_for_shader

from ..core import overlay
from ..protocol import messages, things

_VERTEX = "void main() { corner = share; gl_Position = clip; }"

# What is drawn over Blender's viewport blends as light there, and what it holds is shown by a power of 2.2, whatever
# the display. Photos blend as sRGB, and there is one alpha for three colours: so the two agree exactly where nothing
# shines through, and closely over backgrounds that are neither black nor white.
AS_LIGHT = """
#define DARK 0.2
#define GREY 0.45
#define BRIGHT 0.7
vec3 light_of(vec3 shown) {
  return pow(shown, vec3(2.2));
}
vec4 as_light(vec4 color) {  // premultiplied sRGB
  vec3 over_dark = light_of(color.rgb + (1.0 - color.a) * DARK);
  vec3 over_grey = light_of(color.rgb + (1.0 - color.a) * GREY);
  vec3 over_bright = light_of(color.rgb + (1.0 - color.a) * BRIGHT);
  float span = light_of(vec3(BRIGHT)).r - light_of(vec3(DARK)).r;
  float let_through = dot(over_bright - over_dark, vec3(1.0 / 3.0)) / span;
  return vec4(max(over_grey - let_through * light_of(vec3(GREY)), 0.0), 1.0 - let_through);
}
"""

# The bytes of a colour travel in a float's bits: a texture takes floats only, and turning bytes into floats costs more
# than the whole drawing. `settings`: near, far, 1 = parallel rays, 1 = what is written is light and not sRGB; `nearer`:
# by how much of the depth buffer's range the picture is drawn nearer.
_FRAGMENT = """
vec4 bytes_at(ivec2 at) {
  uint bits = floatBitsToUint(texelFetch(colors, at, 0).r);
  return vec4(bits & 255u, (bits >> 8) & 255u, (bits >> 16) & 255u, bits >> 24) / 255.0;
}
void main() {
  ivec2 size = textureSize(colors, 0);
  vec2 place = vec2(corner.x, 1.0 - corner.y) * vec2(size);  // rows run downward
  vec2 between = place - 0.5;
  ivec2 first = ivec2(floor(between));
  vec2 share = between - vec2(first);
  vec4 color = vec4(0.0);
  float z = 0.0;
  for (int i = 0; i < 4; i++) {
    ivec2 step_by = ivec2(i & 1, i >> 1);
    ivec2 at = clamp(first + step_by, ivec2(0), size - 1);
    vec2 part = mix(1.0 - share, share, vec2(step_by));
    vec4 here = bytes_at(at) * part.x * part.y;
    color += here;
    z += here.a * texelFetch(depths, min(at, textureSize(depths, 0) - 1), 0).r;
  }
  if (color.a < 0.5 / 255.0) {
    discard;
  }
  z /= color.a;
  bool is_parallel = settings.z > 0.5;
  vec2 ray = (place / vec2(size) * lens.zw - lens.xy);
  vec3 seen = vec3(ray * (is_parallel ? 1.0 : z), z);
  z = max(dot(depth_row.xyz, seen) + depth_row.w, settings.x);
  float window_depth = (z - settings.x) / (settings.y - settings.x);
  gl_FragDepth = clamp((is_parallel ? window_depth : window_depth * settings.y / z) - nearer, 0.0, 1.0);
  fragColor = settings.w > 0.5 ? as_light(color) : color;
}
"""

# Depths that lie closer together are one to a depth buffer of 24 bits.
_NEARER = 4 / 2**24

_shader: gpu.types.GPUShader | None = None


class DrawnPicture(msgspec.Struct):
    """A picture of the backend; it becomes textures when it is drawn for the first time."""

    made_for: things.ViewCamera  # of the whole view, of which the picture may have fewer pixels
    color: np.ndarray  # [H, W, 4] uint8 premultiplied sRGB
    depth: np.ndarray | None  # [H, W] float32, world units along the axis; None = nothing hides the picture
    distance: float  # of what is seen, in its middle; 0 = unknown
    textures: tuple[gpu.types.GPUTexture, gpu.types.GPUTexture] | None = None

    @classmethod
    def of(cls, picture: messages.Picture, made_for: things.ViewCamera) -> DrawnPicture:
        """picture: its colours as bytes."""
        color = np.ascontiguousarray(picture.color)
        if picture.depth is None:
            return cls(made_for, color, None, 0.0)
        distance = overlay.middle_depth(picture.color, picture.depth)
        return cls(made_for, color, np.ascontiguousarray(picture.depth), distance)


def draw(picture: DrawnPicture, camera: things.ViewCamera, *, as_light: bool, is_exact: bool = False) -> None:
    """Draws into the active framebuffer, against its depth where the picture has one, for a view of this camera.

    as_light: the framebuffer's colours are blended as light, as those of Blender's viewport are; else as sRGB.
    is_exact: the picture holds only what lies in front of the scene's surface, which therefore must not hide it.
    Does not write depth, so that what is hardly there hides nothing that is drawn later.
    Raises what Blender raises when the graphics card has no room for the textures.
    """
    if picture.textures is None:
        picture.textures = _textures(picture)
    shader = _made_shader()
    made_for = picture.made_for
    is_same = made_for == camera
    row = np.array([0.0, 0, 1, 0]) if is_same else overlay.carried_over(made_for, camera)[2]
    clip = overlay.corners(made_for, picture.distance, camera).astype(np.float32)
    batch = batch_for_shader(shader, "TRI_STRIP", {"clip": clip.tolist(), "share": [(0, 0), (1, 0), (0, 1), (1, 1)]})
    width, height = made_for.width / made_for.fx, made_for.height / made_for.fy
    shader.bind()
    shader.uniform_sampler("colors", picture.textures[0])
    shader.uniform_sampler("depths", picture.textures[1])
    shader.uniform_float("lens", (made_for.cx / made_for.fx, made_for.cy / made_for.fy, width, height))
    shader.uniform_float("depth_row", row.tolist())
    shader.uniform_float("settings", (camera.near, camera.far, float(camera.orthographic), float(as_light)))
    shader.uniform_float("nearer", _NEARER if is_exact else 0.0)
    gpu.state.depth_test_set("NONE" if picture.depth is None else "LESS_EQUAL")
    gpu.state.depth_mask_set(False)
    gpu.state.blend_set("ALPHA_PREMULT")
    try:
        batch.draw(shader)
    finally:
        gpu.state.blend_set("NONE")
        gpu.state.depth_test_set("NONE")


def forget() -> None:
    """The shader is made again when it is needed."""
    global _shader
    _shader = None


def _textures(picture: DrawnPicture) -> tuple[gpu.types.GPUTexture, gpu.types.GPUTexture]:
    height, width = picture.color.shape[:2]
    colors = _texture(picture.color.reshape(-1).view(np.float32), width, height)
    if picture.depth is None:
        return colors, _texture(np.ones(1, np.float32), 1, 1)  # is not looked at, but a shader wants all its textures
    return colors, _texture(picture.depth.reshape(-1), width, height)


def _texture(values: np.ndarray, width: int, height: int) -> gpu.types.GPUTexture:
    data: Any = (
        values  # buffers take flat arrays without copying them; those of more axes are read wrongly in 4.5 and 5.0
    )
    make_texture: Any = gpu.types.GPUTexture  # the stubs know neither constructor
    make_buffer: Any = gpu.types.Buffer
    return make_texture((width, height), format="R32F", data=make_buffer("FLOAT", len(values), data))


def _made_shader() -> gpu.types.GPUShader:
    global _shader
    if _shader is None:
        info = gpu.types.GPUShaderCreateInfo()
        make_interface: Any = gpu.types.GPUStageInterfaceInfo
        between = make_interface("splatwright_overlay")
        between.smooth("VEC2", "corner")
        info.vertex_in(0, "VEC4", "clip")
        info.vertex_in(1, "VEC2", "share")
        info.vertex_out(between)
        info.sampler(0, "FLOAT_2D", "colors")
        info.sampler(1, "FLOAT_2D", "depths")
        info.push_constant("VEC4", "lens")
        info.push_constant("VEC4", "depth_row")
        info.push_constant("VEC4", "settings")
        info.push_constant("FLOAT", "nearer")
        info.fragment_out(0, "VEC4", "fragColor")
        info.depth_write("ANY")
        info.vertex_source(_VERTEX)
        info.fragment_source(AS_LIGHT + _FRAGMENT)
        _shader = gpu.shader.create_from_info(info)
    return _shader
