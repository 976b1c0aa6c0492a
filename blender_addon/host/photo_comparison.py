"""The photo of a measured view over what a viewport shows from there: a wipe, or the difference to the splats."""

from __future__ import annotations

import logging
from typing import Any

import bpy
import gpu
import msgspec
import numpy as np
from gpu_extras.batch import batch_for_shader

from ..core import photo_view
from ..protocol import errors, messages, things
from . import current, measured_views, objects, overlay_drawing

log = logging.getLogger(__name__)

MODES = {"WIPE": 0.0, "DIFFERENCE": 1.0}

_VERTEX = "void main() { corner = share; gl_Position = clip; }"

# The bytes of a colour travel in a float's bits, as in `overlay_drawing`. Pixels of the photo and of the splats are the
# same ones. `settings`: the split, 1 = the difference, its gain, 1 = what is written is light and not sRGB.
_FRAGMENT = """
#define LINE 1.5
vec4 bytes_at(sampler2D colors, ivec2 at) {
  uint bits = floatBitsToUint(texelFetch(colors, at, 0).r);
  return vec4(bits & 255u, (bits >> 8) & 255u, (bits >> 16) & 255u, bits >> 24) / 255.0;
}
vec3 shown_at(ivec2 at) {
  vec4 here = bytes_at(photo, at);
  if (settings.y < 0.5) {
    return here.rgb;
  }
  vec4 drawn = bytes_at(splats, at);
  vec3 on_background = drawn.rgb + (1.0 - drawn.a) * background.rgb;
  return min(abs(here.rgb - on_background) * settings.z, 1.0) * here.a;  // what a mask rules out does not count
}
void main() {
  bool is_wipe = settings.y < 0.5;
  float beyond = (corner.x - settings.x) / max(fwidth(corner.x), 1e-9);  // pixels from the split
  if (is_wipe && (settings.x <= 0.0 || beyond > LINE)) {
    discard;
  }
  ivec2 size = textureSize(photo, 0);
  vec2 between = vec2(corner.x, 1.0 - corner.y) * vec2(size) - 0.5;  // rows run downward
  ivec2 first = ivec2(floor(between));
  vec2 share = between - vec2(first);
  vec3 color = vec3(0.0);
  for (int i = 0; i < 4; i++) {
    ivec2 step_by = ivec2(i & 1, i >> 1);
    vec2 part = mix(1.0 - share, share, vec2(step_by));
    color += shown_at(clamp(first + step_by, ivec2(0), size - 1)) * part.x * part.y;
  }
  if (is_wipe && beyond > 0.0 && settings.x < 1.0) {
    color = vec3(1.0);
  }
  fragColor = vec4(settings.w > 0.5 ? light_of(color) : color, 1.0);
}
"""


class Comparison(msgspec.Struct):
    """A photo, and the splats of one version as its camera sees them. object: that shows them, by name."""

    object: str
    view: str
    asset: str
    version: str
    photo: messages.PhotoData
    splats: np.ndarray  # [H, W, 4] uint8 premultiplied sRGB
    distance: float  # to what is seen, in the asset's units
    photo_texture: gpu.types.GPUTexture | None = None
    splats_texture: gpu.types.GPUTexture | None = None
    is_asking: bool = False  # for the splats of another version


_shown: Comparison | None = None
_shader: gpu.types.GPUShader | None = None
_handles: list[Any] = []
_has_complained = False


def show(comparison: Comparison | None) -> None:
    """In every viewport that stands where the photo was taken; None = nothing any more."""
    global _shown
    _shown = comparison
    current.redraw()


def shown() -> Comparison | None:
    return _shown


def request_of(asset: str, version: str, photo: messages.PhotoData) -> messages.Render:
    """The splats alone, at rest and where they were trained, as the photo's camera sees them."""
    return messages.Render(objects=(things.SceneObject(asset=asset, version=version),), camera=photo.camera)


def world_from_asset(comparison: Comparison) -> np.ndarray | None:
    """[4, 4]; None = there is no such object any more."""
    splats = bpy.data.objects.get(comparison.object)
    if splats is None or splats.splatwright.asset != comparison.asset:  # type: ignore[attr-defined]
        return None
    return np.array(splats.matrix_world, np.float64)


def draw(
    comparison: Comparison,
    clip_corners: np.ndarray,
    *,
    mode: str,
    split: float = 0.5,
    gain: float = 1.0,
    as_light: bool,
) -> None:
    """Into the active framebuffer, over everything in it.

    clip_corners: [4, 4], as `photo_view.clip_corners` gives them. mode: of `MODES`. as_light: as in `overlay_drawing`.
    """
    if comparison.photo_texture is None or comparison.splats_texture is None:
        comparison.photo_texture = _texture(comparison.photo.color)
        comparison.splats_texture = _texture(comparison.splats)
    shader = _made_shader()
    corners = clip_corners.astype(np.float32).tolist()
    batch = batch_for_shader(shader, "TRI_STRIP", {"clip": corners, "share": [(0, 0), (1, 0), (0, 1), (1, 1)]})
    shader.bind()
    shader.uniform_sampler("photo", comparison.photo_texture)
    shader.uniform_sampler("splats", comparison.splats_texture)
    shader.uniform_float("background", (*comparison.photo.background, 1.0))
    shader.uniform_float("settings", (split, MODES[mode], gain, float(as_light)))
    gpu.state.blend_set("NONE")
    batch.draw(shader)


def share_at(comparison: Comparison, window_from_world: np.ndarray, x: float, width: float) -> float:
    """Which share of the photo lies left of a pixel column of a region, 0..1, half-way up the photo."""
    placed = world_from_asset(comparison)
    if placed is None:
        return 0.5
    clip = photo_view.clip_corners(
        photo_view.corners(comparison.photo.camera, placed, comparison.distance), window_from_world
    )
    left, right = ((clip[i] + clip[i + 2]) / 2 for i in (0, 1))
    ends = [(1 + end[0] / end[3]) / 2 * width for end in (left, right)]
    return float(np.clip((x - ends[0]) / (ends[1] - ends[0]), 0, 1)) if ends[0] != ends[1] else 0.5


# ---- drawn, in the middle of Blender's own drawing: nothing here may wait or raise


def _draw_photo() -> None:
    global _has_complained
    try:
        _draw()
    except Exception:  # an error here would be printed at each redraw, and nobody could mend it
        if not _has_complained:
            log.exception("The photo could not be drawn")
        _has_complained = True


def _draw() -> None:
    context: Any = bpy.context
    region_3d, chosen = context.region_data, measured_views.chosen()
    if _shown is None or chosen.mode not in MODES or not isinstance(region_3d, bpy.types.RegionView3D):
        return
    placed = world_from_asset(_shown)
    if placed is None or not region_3d.is_perspective:
        return
    camera, distance = _shown.photo.camera, _shown.distance
    if not photo_view.is_seen_from(camera, placed, np.array(region_3d.view_matrix, np.float64), distance):
        return
    if chosen.mode == "DIFFERENCE" and not _is_newest(_shown):
        return
    corners = photo_view.corners(camera, placed, distance)
    clip = photo_view.clip_corners(corners, np.array(region_3d.perspective_matrix, np.float64))
    draw(_shown, clip, mode=chosen.mode, split=chosen.split, gain=chosen.gain, as_light=True)


def _is_newest(comparison: Comparison) -> bool:
    """Whether the splats are those that the object shows; if not, they will be when the backend has drawn them."""
    splats = bpy.data.objects[comparison.object]
    version = objects.shown_version(splats)
    if version in ("", comparison.version):  # a training's own splats change with every step
        return True
    if not comparison.is_asking and current.link() is not None:
        comparison.is_asking = True
        current.post(lambda: _ask_for_splats(comparison, version))
    return False


def _ask_for_splats(comparison: Comparison, version: str) -> None:
    def answered(answer: Any) -> None:
        comparison.is_asking = False
        if isinstance(answer, messages.Picture):
            comparison.splats, comparison.version = np.ascontiguousarray(answer.color), version
            comparison.splats_texture = None
            current.redraw()
        elif not isinstance(answer, errors.UserError):
            current.tell(answer)

    link = current.link()
    if link is None:
        comparison.is_asking = False
        return
    try:
        future = link.ask(request_of(comparison.asset, version, comparison.photo))
    except errors.UserError as error:  # the connection ended in this moment
        answered(error)
        return
    current.when_done(future, answered)


def _texture(color: np.ndarray) -> gpu.types.GPUTexture:
    """color: [H, W, 4] uint8, whose bytes travel in a float's bits."""
    height, width = color.shape[:2]
    values: Any = np.ascontiguousarray(color).reshape(-1).view(np.float32)
    make_texture: Any = gpu.types.GPUTexture  # the stubs know neither constructor
    make_buffer: Any = gpu.types.Buffer
    return make_texture((width, height), format="R32F", data=make_buffer("FLOAT", len(values), values))


def _made_shader() -> gpu.types.GPUShader:
    global _shader
    if _shader is None:
        info = gpu.types.GPUShaderCreateInfo()
        make_interface: Any = gpu.types.GPUStageInterfaceInfo
        between = make_interface("splatwright_photo")
        between.smooth("VEC2", "corner")
        info.vertex_in(0, "VEC4", "clip")
        info.vertex_in(1, "VEC2", "share")
        info.vertex_out(between)
        info.sampler(0, "FLOAT_2D", "photo")
        info.sampler(1, "FLOAT_2D", "splats")
        info.push_constant("VEC4", "background")
        info.push_constant("VEC4", "settings")
        info.fragment_out(0, "VEC4", "fragColor")
        info.vertex_source(_VERTEX)
        info.fragment_source(overlay_drawing.AS_LIGHT + _FRAGMENT)
        _shader = gpu.shader.create_from_info(info)
    return _shader


@bpy.app.handlers.persistent
def _forget(*_: object) -> None:
    show(None)


def register() -> None:
    bpy.app.handlers.load_post.append(_forget)
    _handles.append(bpy.types.SpaceView3D.draw_handler_add(_draw_photo, (), "WINDOW", "POST_PIXEL"))


def unregister() -> None:
    global _shown, _shader
    while _handles:
        bpy.types.SpaceView3D.draw_handler_remove(_handles.pop(), "WINDOW")
    bpy.app.handlers.load_post.remove(_forget)
    _shown = _shader = None
