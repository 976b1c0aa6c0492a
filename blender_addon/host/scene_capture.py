"""Renders the scene from the cameras of a plan into a capture folder, one picture a step.

Each step changes the scene's settings, renders, and sets them back before it returns: between steps the scene is the
user's own, for saving, for looking and for being cancelled, and nothing in here holds a pointer into Blender.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import bpy
import msgspec
from mathutils import Matrix

from ..core import camera as cameras
from ..core import capture_file
from ..core.capture_file import CaptureFolder, Existing, NamedMesh, Picture
from ..core.capture_poses import MeshPoses
from ..protocol import errors, things
from . import meshes, objects
from .cameras import view_camera_of_scene
from .capture_plan import Look, Plan, PlannedView
from .changed_settings import changed

# What shows in a picture; lights, cameras and what only moves others may stay when the rest is hidden.
_SHOWN = meshes.SURFACES | {"CURVES", "POINTCLOUD", "VOLUME", "GREASEPENCIL", "GPENCIL", "EMPTY"}
_MOST_TRIED = 20  # times as many points as are wanted, to find those that some camera sees


class Progress(msgspec.Struct, frozen=True):
    done: int
    total: int
    seconds_left: float | None  # None before the first picture is done


def capture(plan: Plan, folder: Path, existing: Existing) -> Iterator[Progress]:
    """Renders one picture between two results; when the generator ends, the capture is in `folder`.

    Closing it early, or an error, leaves the folder as it was before.
    Raises UserError for a folder that must not be written to, and when Blender was told to stop rendering.
    """
    place = CaptureFolder(folder, existing)
    started, total = time.monotonic(), len(plan.views)
    pictures: list[Picture] = []
    try:
        poses = place.poses_of(plan.mesh, moves=any(view.frame is not None for view in plan.views))
        for done, view in enumerate(plan.views):
            spent = time.monotonic() - started
            yield Progress(done, total, spent / done * (total - done) if done else None)
            pictures.append(_picture(plan, view, place, poses))
        yield Progress(total, total, 0.0)
        points, named = _surfaces(plan, [picture.camera for picture in pictures])
        place.finish(pictures, points, named, poses)
    finally:
        place.discard()


def _picture(plan: Plan, view: PlannedView, place: CaptureFolder, poses: MeshPoses | None) -> Picture:
    scene = bpy.data.scenes[plan.scene]
    name = place.new_name(view.stem)
    path = place.work / name
    with ExitStack() as stack:
        if view.frame is not None and (view.frame, 0.0) != (scene.frame_current, scene.frame_subframe):
            stack.callback(scene.frame_set, scene.frame_current, subframe=scene.frame_subframe)
            scene.frame_set(view.frame)
        camera = stack.enter_context(_made_camera(scene, plan.lens, view.pose)) if view.pose is not None else None
        camera = camera or _camera_called(view.camera)
        stack.enter_context(changed(_settings(scene, camera, plan, path)))
        depsgraph = bpy.context.evaluated_depsgraph_get()
        depsgraph.update()
        seen = view_camera_of_scene(scene, camera, depsgraph)
        cameras.refuse_bent(seen, camera.name)
        if poses is not None:
            poses.take(name, view.frame, _vertices_of(poses.mesh, depsgraph))
        stack.enter_context(_own_slot())
        try:
            bpy.ops.render.render(write_still=True, scene=scene.name)
        except RuntimeError as error:  # how Blender says that an operator has failed
            told = str(error).removeprefix("Error: ").strip()
            raise errors.UserError(
                "bad_input", f"Blender could not render view {view.stem}: {told}", "Nothing was captured."
            ) from error
    if not path.is_file():
        raise errors.UserError("refused", "The rendering was stopped, and nothing was captured.", "Capture again.")
    return Picture(name, seen)


def _vertices_of(name: str, depsgraph: bpy.types.Depsgraph) -> Any:
    mesh = bpy.data.objects.get(name)
    if mesh is None:
        raise errors.UserError("not_found", f"The mesh '{name}' is not there any more.", "Capture again.")
    return meshes.evaluated_mesh(mesh, depsgraph, world=True).vertices


def _camera_called(name: str) -> bpy.types.Object:
    camera = bpy.data.objects.get(name)
    if camera is None:
        raise errors.UserError("not_found", f"The camera '{name}' is not there any more.", "Capture again.")
    return camera


@contextmanager
def _made_camera(scene: bpy.types.Scene, lens: cameras.Lens, pose: Any) -> Iterator[bpy.types.Object]:
    data = bpy.data.cameras.new("Splatwright capture")
    camera = bpy.data.objects.new("Splatwright capture", data)
    try:
        data.lens, data.sensor_width, data.sensor_fit = lens.lens, lens.sensor_width, lens.sensor_fit
        data.clip_start, data.clip_end = lens.clip_start, lens.clip_end
        camera.matrix_world = Matrix(pose.tolist())
        scene.collection.objects.link(camera)
        yield camera
    finally:
        bpy.data.objects.remove(camera)
        bpy.data.cameras.remove(data)


@contextmanager
def _own_slot() -> Iterator[None]:
    """Renders into the last slot of the render result, so that the user's own last picture stays to be looked at."""
    result = next((image for image in bpy.data.images if image.type == "RENDER_RESULT"), None)
    slots = result.render_slots if result is not None else ()
    if len(slots) < 2 or slots.active_index == len(slots) - 1:
        yield
        return
    active = slots.active_index
    slots.active_index = len(slots) - 1
    try:
        yield
    finally:
        slots.active_index = active


def _settings(scene: bpy.types.Scene, camera: bpy.types.Object, plan: Plan, path: Path) -> list[tuple[Any, str, Any]]:
    """Plain sRGB pictures of the whole frame as RGBA PNG, without what would move or blur them."""
    data: Any = camera.data
    render, image, view = scene.render, scene.render.image_settings, scene.view_settings
    settings: list[tuple[Any, str, Any]] = [
        (scene, "camera", camera),
        (render, "filepath", str(path)),
        (render, "film_transparent", plan.look.transparent),
        (render, "dither_intensity", 0.0),
        (scene.display_settings, "display_device", "sRGB"),
        (view, "view_transform", "Standard"),
        (view, "look", "None"),
        (view, "exposure", 0.0),
        (view, "gamma", 1.0),
        (image, "file_format", "PNG"),
        (image, "color_mode", "RGBA"),
        (image, "color_depth", "8"),
        (image, "color_management", "FOLLOW_SCENE"),
        (render, "use_file_extension", True),
        (render, "use_overwrite", True),
        (data.dof, "use_dof", False),
    ]
    if hasattr(image, "media_type"):  # Blender 5.0 and later
        settings.insert(0, (image, "media_type", "IMAGE"))
    off = ("use_border", "use_compositing", "use_sequencer", "use_multiview", "use_motion_blur", "use_stamp")
    settings += [(render, name, False) for name in off]
    settings += [(view, name, False) for name in ("use_curve_mapping", "use_white_balance")]
    if plan.look.size is not None:
        width, height = plan.look.size
        names = ("resolution_x", "resolution_y", "resolution_percentage", "pixel_aspect_x", "pixel_aspect_y")
        settings += [(render, *pair) for pair in zip(names, (width, height, 100, 1.0, 1.0), strict=True)]
    return [*settings, *_engine(scene, plan.look), *_hidden(scene, plan.subject)]


def _engine(scene: bpy.types.Scene, look: Look) -> list[tuple[Any, str, Any]]:
    if look.engine == "WORKBENCH":
        return [(scene.render, "engine", "BLENDER_WORKBENCH")]
    if look.engine == "EEVEE":
        name = "BLENDER_EEVEE" if bpy.app.version >= (5, 0) else "BLENDER_EEVEE_NEXT"
        return [(scene.render, "engine", name), (scene.eevee, "taa_render_samples", look.samples)]
    cycles = getattr(scene, "cycles", None)
    if cycles is None:
        raise errors.UserError(
            "missing_dependency", "Cycles is not enabled.", "Enable it in the preferences, or choose another engine."
        )
    return [
        (scene.render, "engine", "CYCLES"),
        (cycles, "samples", look.samples),
        (cycles, "use_denoising", look.denoise),
        (cycles, "denoising_prefilter", "FAST"),  # up to four times as quick, for 0.1 dB at 64 samples
    ]


def _hidden(scene: bpy.types.Scene, subject: frozenset[str] | None) -> list[tuple[Any, str, Any]]:
    """Splats never show in a capture: they would be trained on themselves."""
    return [
        (object, "hide_render", True)
        for object in scene.objects
        if objects.is_splats(object) or (subject is not None and object.type in _SHOWN and object.name not in subject)
    ]


def _surfaces(plan: Plan, seen_by: list[things.ViewCamera]) -> tuple[tuple[Any, Any] | None, list[NamedMesh]]:
    if not plan.points and not plan.with_meshes:
        return None, []
    subject = plan.subject
    found = list(
        meshes.surfaces(bpy.context.evaluated_depsgraph_get(), lambda object: subject is None or object.name in subject)
    )
    named = [NamedMesh(surface.name, surface.mesh.vertices, surface.mesh.faces) for surface in found]
    return _points(found, plan.points, seen_by), named if plan.with_meshes else []


def _points(found: list[meshes.Surface], count: int, seen_by: list[things.ViewCamera]) -> tuple[Any, Any]:
    """Points on what the pictures show; a floor that reaches far out of them does not get most of the points."""
    triangles = [(surface.mesh.vertices, surface.mesh.faces, surface.colors) for surface in found]
    positions, colors = capture_file.points_on(triangles, count)
    seen = capture_file.is_seen(positions, seen_by)
    if seen.any() and not seen.all():
        share = max(float(seen.mean()), 1 / _MOST_TRIED)
        positions, colors = capture_file.points_on(triangles, int(count / share))
        seen = capture_file.is_seen(positions, seen_by)
    return positions[seen], colors[seen]
