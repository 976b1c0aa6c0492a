"""Which pictures a capture of the scene is made of: what the user chose, read once, without pointers into Blender."""

from __future__ import annotations

from typing import Any, Literal

import bpy
import msgspec
import numpy as np
import numpy.typing as npt

from ..core import camera as cameras
from ..core import viewpoints
from ..protocol import errors
from . import meshes
from .cameras import lens_of_object, view_camera_of_scene

Array = npt.NDArray[Any]
Engine = Literal["CYCLES", "EEVEE", "WORKBENCH"]
_GOLDEN = (5**0.5 - 1) / 2


class PlannedView(msgspec.Struct, frozen=True):
    """One picture: of a camera made for it, at `pose` ([4, 4], Blender's camera axes), or of the camera called so."""

    stem: str
    pose: Array | None = None
    camera: str = ""
    frame: int | None = None  # None = the frame that the scene stands at


class Look(msgspec.Struct, frozen=True):
    """How the pictures are rendered."""

    engine: Engine
    samples: int
    denoise: bool
    transparent: bool
    size: tuple[int, int] | None  # None = the scene's own resolution


class Plan(msgspec.Struct, frozen=True):
    scene: str
    views: tuple[PlannedView, ...]
    lens: cameras.Lens  # of the cameras that are made
    look: Look
    subject: frozenset[str] | None  # names of the objects in the pictures; None = all
    points: int
    with_meshes: bool
    mesh: str  # the object whose pose in each picture is noted; "" = none


def plan_of(context: bpy.types.Context, chosen: Any) -> Plan:
    """chosen: the scene's `CaptureProperties`. Raises UserError when there is nothing to capture, or no way to."""
    scene: Any = context.scene
    around = chosen.source == "AROUND"
    views, lens = _around(context, chosen) if around else (_of_cameras(context, chosen), cameras.Lens())
    if len(views) < viewpoints.FEWEST_VIEWS:
        raise errors.UserError(
            "bad_input",
            f"These are {len(views)} pictures, and a capture needs {viewpoints.FEWEST_VIEWS} or more.",
            "Select more cameras, or choose more frames of a moving camera.",
        )
    look = Look(
        chosen.engine,
        chosen.samples,
        chosen.denoise,
        chosen.transparent,
        (chosen.width, chosen.height) if around else None,
    )
    subject = selected_names(context) if chosen.only_selected else None
    if subject is not None and not subject:
        raise errors.UserError("bad_input", "No object is selected.", "Select what is to be in the pictures.")
    mesh = scene.splatwright.bind_mesh
    followed = "" if mesh is None else mesh.name
    return Plan(scene.name, views, lens, look, subject, chosen.points, chosen.meshes, followed)


def selected_names(context: bpy.types.Context) -> frozenset[str]:
    """The selected objects but cameras and lights, and all that is parented to them."""
    layer: Any = context.view_layer
    chosen = [o for o in layer.objects if o.select_get() and o.type not in ("CAMERA", "LIGHT")]
    return frozenset(item.name for object in chosen for item in (object, *object.children_recursive))


def _around(context: bpy.types.Context, chosen: Any) -> tuple[tuple[PlannedView, ...], cameras.Lens]:
    """Cameras around the selected objects that have a surface, or around all there are when none of them has."""
    orbit = viewpoints.Orbit(
        chosen.count,
        chosen.arrangement,
        chosen.rings,
        chosen.lowest,
        chosen.highest,
        jitter=chosen.jitter,
        seed=chosen.seed,
    )
    points = _subject(context)
    centre = viewpoints.middle(points)
    seen = cameras.view_camera(cameras.Lens(chosen.lens), cameras.frame(chosen.width, chosen.height), np.eye(4))
    half = (seen.width / 2 / seen.fx, seen.height / 2 / seen.fy)
    distance = chosen.distance or viewpoints.fitting_distance(orbit, centre, points, *half)
    poses = viewpoints.viewpoints(orbit, centre, distance)
    # Near enough for what stands closer than the objects, without wasting the depth of EEVEE.
    lens = cameras.Lens(chosen.lens, clip_start=distance / 1000, clip_end=max(1000.0, 100 * distance))
    frames = _spread(len(poses), _frames(chosen)) if chosen.spread else [None] * len(poses)
    taken = enumerate(zip(poses, frames, strict=True))
    views = [PlannedView(f"view_{number:04d}", pose, frame=frame) for number, (pose, frame) in taken]
    # Frame after frame, as a simulation needs it.
    return tuple(sorted(views, key=lambda view: view.frame or 0)), lens


def _spread(count: int, frames: range) -> list[int]:
    """A frame for each of so many views: all as often, and each from all sides, because neighbours see others.

    Multiples of the golden section fill an interval evenly, wherever they are cut off; their ranks fill it exactly so.
    """
    ranks = np.argsort(np.argsort(np.arange(count) * _GOLDEN % 1))
    return [frames[rank * len(frames) // count] for rank in ranks.tolist()]


def _frames(chosen: Any) -> range:
    frames = range(chosen.frame_start, chosen.frame_end + 1, chosen.frame_step)
    if not frames:
        raise errors.UserError("bad_input", "The last frame is before the first.", "Exchange the two frames.")
    return frames


def _subject(context: bpy.types.Context) -> Array:
    """The vertices of what is to be in the middle of the pictures, [N, 3] in the world."""
    names = selected_names(context)
    depsgraph = context.evaluated_depsgraph_get()
    found = list(meshes.surfaces(depsgraph, lambda object: object.name in names, with_colors=False))
    found = found or list(meshes.surfaces(depsgraph, with_colors=False))
    if not found:
        raise errors.UserError(
            "bad_input", "There is nothing to capture: no object with a surface is shown.", "Add or show an object."
        )
    return np.concatenate([surface.mesh.vertices for surface in found]).astype(np.float64)


def _of_cameras(context: bpy.types.Context, chosen: Any) -> tuple[PlannedView, ...]:
    scene: Any = context.scene
    layer: Any = context.view_layer
    selected = sorted(
        (object for object in layer.objects if object.type == "CAMERA" and object.select_get()),
        key=lambda object: object.name,
    )
    found = selected or ([scene.camera] if scene.camera is not None else [])
    if not found:
        raise errors.UserError("bad_input", "No camera is selected, and the scene has none.", "Select cameras.")
    depsgraph = context.evaluated_depsgraph_get()
    for camera in found:
        lens_of_object(camera)
        cameras.refuse_bent(view_camera_of_scene(scene, camera, depsgraph), camera.name)
    if not chosen.animated:
        return tuple(PlannedView(camera.name, camera=camera.name) for camera in found)
    frames = _frames(chosen)
    # Frame after frame, so that the scene is moved to each once.
    return tuple(
        PlannedView(f"{camera.name}_{frame:04d}", camera=camera.name, frame=frame)
        for frame in frames
        for camera in found
    )
