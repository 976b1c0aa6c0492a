"""Blender cameras that stand where the photos of a capture were taken, with the photos behind what they see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ..core import camera as cameras
from ..protocol import things

_SIZE = 0.05  # of a drawn camera, in distances from the middle of all cameras


def create(
    context: bpy.types.Context,
    views: Sequence[things.CapturedView],
    folder: Path,
    *,
    splats: bpy.types.Object | None = None,
    backgrounds: bool = True,
    match_scene: bool = True,
) -> tuple[bpy.types.Collection, list[str]]:
    """A collection with a camera for each photo, and what the user should know about them.

    folder: of the capture, here; the photos are looked for in it, and where the backend has them.
    splats: the cameras fit to this splat object, also after it was moved; without it to the world.
    match_scene: the scene's resolution and pixel aspect become the photos', without which backgrounds do not fit.
    """
    collection = bpy.data.collections.new(f"Cameras of {folder.name}")
    scene: Any = context.scene
    scene.collection.children.link(collection)
    stand = bpy.data.objects.new(f"Cameras of {folder.name}", None)
    stand.empty_display_size = 0.1
    stand.parent = splats
    collection.objects.link(stand)
    poses = [cameras.world_from_blender_camera(view.camera.camera_from_world) for view in views]
    places = np.array([pose[:3, 3] for pose in poses])
    reach = float(np.linalg.norm(places - places.mean(axis=0), axis=1).max()) if poses else 0.0
    grids: Counter[tuple[int, int, tuple[float, float]]] = Counter()
    for view, pose in zip(views, poses, strict=True):
        data, aspect = _lens(view, reach or 1.0)
        camera = bpy.data.objects.new(data.name, data)
        camera.matrix_basis = Matrix(pose.tolist())  # in the stand's frame
        camera.parent = stand
        collection.objects.link(camera)
        grids[(view.camera.width, view.camera.height, (round(aspect[0], 4), round(aspect[1], 4)))] += 1
        if backgrounds:
            _show_photo(data, view, folder)
    if match_scene and grids:
        _match(scene, grids.most_common(1)[0][0])
    return collection, _remarks(views, len(grids))


def _lens(view: things.CapturedView, reach: float) -> tuple[bpy.types.Camera, tuple[float, float]]:
    """Camera data under the photo's name, and the pixel aspect that it needs."""
    seen = view.camera
    lens, aspect = cameras.lens_of(seen.fx, seen.fy, seen.cx, seen.cy, seen.width, seen.height)
    data = bpy.data.cameras.new(Path(view.name).stem)
    data.sensor_fit, data.sensor_width = lens.sensor_fit, lens.sensor_width
    data.lens, data.shift_x, data.shift_y = lens.lens, lens.shift_x, lens.shift_y
    data.clip_start, data.clip_end = reach / 1000, max(1000.0, 100 * reach)
    data.display_size = _SIZE * reach
    return data, aspect


def _show_photo(data: bpy.types.Camera, view: things.CapturedView, folder: Path) -> None:
    path = next((path for path in (folder / view.name, Path(view.path)) if path.is_file()), None)
    if path is None:
        return
    image = bpy.data.images.load(str(path), check_existing=True)
    if bpy.data.filepath:
        try:
            image.filepath = bpy.path.relpath(str(path))
        except ValueError:  # on another drive of Windows
            image.filepath = str(path)
    background = data.background_images.new()
    background.image = image
    background.frame_method = "STRETCH"  # the camera's frame is the photo, pixel for pixel
    data.show_background_images = True


def _match(scene: bpy.types.Scene, grid: tuple[int, int, tuple[float, float]]) -> None:
    render = scene.render
    render.resolution_x, render.resolution_y, (render.pixel_aspect_x, render.pixel_aspect_y) = grid
    render.resolution_percentage = 100
    render.use_border = False


def _remarks(views: Sequence[things.CapturedView], grids: int) -> list[str]:
    remarks: list[str] = []
    if grids > 1:
        remarks.append(f"The photos have {grids} different sizes or pixel shapes; only the most common fits the scene.")
    distorted = sum(view.distorted for view in views)
    if distorted:
        remarks.append(f"{distorted} photos are bent by their lens; backgrounds fit in the middle and less at the rim.")
    return remarks
