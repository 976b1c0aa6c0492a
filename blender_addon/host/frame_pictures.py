"""What the splats of one frame look like to the scene's camera, asked for from any thread."""

from __future__ import annotations

from typing import Any

import bpy
import msgspec
import numpy as np
import numpy.typing as npt

from ..core import depth_slices
from ..core.missing_card import missing_card
from ..link.backend_link import BackendLink
from ..protocol import errors, messages
from . import bindings, cameras, current, depth_pass, meshes, objects, render_images, render_nodes

PICTURE_S = 1800.0  # a picture of many splats may take long on a processor
_MESSAGE_BYTES = 240 * 2**20  # that a request's meshes may fill; the protocol's limit is a little more

Array = npt.NDArray[np.float32]


class FramePictures(msgspec.Struct, frozen=True):
    """What goes into our images, [H, W, 4] each, premultiplied sRGB; None = nobody looks at it."""

    color: Array
    depth: Array | None = None  # see render_images.depth_values
    slices: tuple[Array, ...] = ()  # the nearest first
    slice_range: Array | None = None

    def fill(self) -> None:
        render_images.fill(render_images.COLOR, self.color)
        if self.depth is not None:
            render_images.fill(render_images.DEPTH, self.depth)
        for number, layer in enumerate(self.slices):
            render_images.fill(render_images.slice_name(number), layer)
        if self.slice_range is not None:
            render_images.fill(render_images.RANGE, self.slice_range)


def empty(scene: bpy.types.Scene) -> FramePictures:
    frame = cameras.frame_of_scene(scene)
    return _all_of(scene, np.zeros((*_size(frame), 4), np.float32))


def card(scene: bpy.types.Scene) -> FramePictures:
    """The splats are missing, and nobody shall take this for the final."""
    height, width = _size(cameras.frame_of_scene(scene))
    return _all_of(scene, missing_card(width, height))


def pictures_of_frame(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> FramePictures:
    """depsgraph: a render's, at the frame. Raises UserError when splats would be missing."""
    shown = {item for item, _ in objects.shown_splats(depsgraph, for_render=True, space=None)}
    if not shown or scene.camera is None:
        return empty(scene)
    link = current.link()
    if link is None:
        raise errors.UserError("connection", "The splats are missing: the backend is not connected.", "Start it first.")
    drawable = objects.drawable_assets()
    missing = sorted(item.name for item in shown if item.splatwright.asset not in drawable)  # type: ignore[attr-defined]
    if missing:
        raise errors.UserError(
            "not_found", f"The splats of '{missing[0]}' are missing: the backend does not have them.", "Locate them."
        )
    said: dict[str, str] = {}  # instances of one object share its pose

    def pose_of(item: bpy.types.Object) -> str:
        if item.name not in said:
            said[item.name] = bindings.pose_for_render(item, depsgraph, link)
        return said[item.name]

    request = messages.Render(
        objects=objects.scene_objects(depsgraph, for_render=True, pose_of=pose_of),
        camera=cameras.view_camera_of_scene(scene, scene.camera, depsgraph, within_border=True),
        time=(scene.frame_current + scene.frame_subframe) * scene.render.fps_base / scene.render.fps,
        pixels="float32",
        depth=render_nodes.writes_passes(scene),
    )
    border = cameras.frame_of_scene(scene, within_border=True)
    rendered = depth_pass.of_frame(scene.frame_current)
    if rendered is not None:
        surface = np.ascontiguousarray(_cut(rendered, border))
        placed = _placed(scene, _ask(link, msgspec.structs.replace(request, surface_depth=surface)))
        return _in_front(scene, placed)
    if render_nodes.depth_source(scene) == "Z_PASS":
        return _sliced(scene, link, request)
    return _placed(scene, _ask(link, msgspec.structs.replace(request, **_surface(depsgraph))))


def _ask(link: BackendLink, request: messages.Render) -> messages.Picture:
    return link.request(request, messages.Picture, PICTURE_S)


def _placed(scene: bpy.types.Scene, picture: messages.Picture) -> FramePictures:
    color, depth = picture.color, picture.depth
    values = None if depth is None else render_images.depth_values(depth, color[..., 3])
    nowhere = render_images.depth_values(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))[0, 0]
    return FramePictures(
        _within_frame(scene, color),
        None if values is None else _within_frame(scene, values, nowhere),
    )


def _sliced(scene: bpy.types.Scene, link: BackendLink, request: messages.Render) -> FramePictures:
    """The splats up to the end of each slice, one request each: their differences are the slices."""
    count = render_images.SLICES
    whole = _ask(link, msgspec.structs.replace(request, depth=True, spread=True))
    assert whole.depth is not None and whole.spread is not None
    first, thickness = depth_slices.edges(whole.depth, whole.spread, count)
    before = [
        _ask(link, msgspec.structs.replace(request, depth=False, surface_depth=first + (end * thickness))).color
        for end in range(1, count)
    ]
    layers = depth_slices.layers([*before, whole.color])
    return msgspec.structs.replace(
        _placed(scene, whole),
        slices=tuple(_within_frame(scene, layer) for layer in layers),
        slice_range=_within_frame(scene, depth_slices.range_image(first, thickness)),
    )


def _surface(depsgraph: bpy.types.Depsgraph) -> dict[str, Any]:
    """What hides splats: everything with faces that is rendered."""
    surface = meshes.surface_of_scene(depsgraph)
    if not len(surface.faces):
        return {}
    if surface.vertices.nbytes + surface.faces.nbytes > _MESSAGE_BYTES:
        raise errors.UserError(
            "unsupported",
            f"The splats are missing: the scene's {len(surface.faces):,} triangles are more than can be sent.",
            "Render with our button, or choose Depth From: Z Pass.",
        )
    return {"surface_vertices": surface.vertices, "surface_faces": surface.faces}


def _all_of(scene: bpy.types.Scene, color: Array) -> FramePictures:
    """One picture before everything, for all that looks at our images."""
    height, width = color.shape[:2]
    nothing = np.zeros((height, width), np.float32)
    depth = render_images.depth_values(nothing, nothing) if render_nodes.writes_passes(scene) else None
    return _in_front(scene, FramePictures(color, depth))


def _in_front(scene: bpy.types.Scene, pictures: FramePictures) -> FramePictures:
    """The same for nodes that look at slices: all of it lies in the first one, and that before whatever is seen."""
    if render_nodes.depth_source(scene) != "Z_PASS":
        return pictures
    behind = tuple(np.zeros_like(pictures.color) for _ in range(render_images.SLICES - 1))
    nothing = np.zeros(pictures.color.shape[:2], np.float32)
    return msgspec.structs.replace(
        pictures,
        slices=(pictures.color, *behind),
        slice_range=depth_slices.range_image(nothing - 1, nothing + 1e-6),
    )


def _within_frame(scene: bpy.types.Scene, values: Array, outside: Any = 0.0) -> Array:
    """The picture [h, w, 4] of what lies within the border, in its place where the border does not crop."""
    whole, border = cameras.frame_of_scene(scene), cameras.frame_of_scene(scene, within_border=True)
    if whole.crop is not None or border.crop is None:
        return values
    frame = np.empty((*_size(whole), 4), np.float32)
    frame[:] = outside
    _cut(frame, border)[:] = values
    return frame


def _cut(values: Array, frame: Any) -> Array:
    """What a cropped frame leaves of an array of the whole frame."""
    if frame.crop is None:
        return values
    left, bottom, right, top = frame.crop
    return values[frame.height - top : frame.height - bottom, left:right]


def _size(frame: Any) -> tuple[int, int]:
    """Height and width of the picture in pixels."""
    if frame.crop is None:
        return frame.height, frame.width
    left, bottom, right, top = frame.crop
    return top - bottom, right - left
