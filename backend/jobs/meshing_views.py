"""From where splats that were trained here are looked at when a mesh is made of them, and which part becomes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from backend.captures import Capture, choose_mask_use, load_capture, read_photos
from backend.captures.photos import undistorted_camera
from backend.jobs.train_job import capture_folder
from backend.meshing.color_picture import ColorPicture
from backend.splats.bounds import robust_bounds
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.store.captures import CaptureStore
from backend.store.cards import AssetCard, JobCard, VersionCard
from backend.store.workspace import Workspace
from backend.training.frame import focus_point
from shared_protocol.errors import UserError
from shared_protocol.messages import Train

_MOST_PIXELS = 2_000_000  # of a photo that a texture takes colours from
_INSIDE = 127  # alpha or weight above which a pixel shows the object


@dataclass(frozen=True)
class Photographs:
    """From where a capture's photos were taken, and what they show."""

    cameras: tuple[Camera, ...] = ()
    photo: Callable[[int], ColorPicture] | None = None  # by the camera's number

    @staticmethod
    def of(capture: Capture) -> Photographs:
        views = capture.train_views
        masks, _ = choose_mask_use(capture)

        def photo(number: int) -> ColorPicture:
            (read,) = read_photos([views[number]], max_pixels=_MOST_PIXELS, masks=masks)
            inside = read.alpha if read.alpha is not None else read.weight
            return ColorPicture(read.camera, read.rgb, None if inside is None else inside > _INSIDE)

        return Photographs(tuple(undistorted_camera(view) for view in views), photo)


def cameras_of_training(
    workspace: Workspace, version: VersionCard, note: Callable[[str], object]
) -> tuple[Camera, ...]:
    """Those of the capture that the version's asset was trained on; none when it was not, or the capture is gone."""
    return photographs_of_training(workspace, version, note).cameras


def photographs_of_training(workspace: Workspace, version: VersionCard, note: Callable[[str], object]) -> Photographs:
    """Those of the capture that the version's asset was trained on; none when `cameras_of_training` gives none."""
    asset = workspace.catalogue.find(AssetCard, version.asset)
    job = workspace.catalogue.find(JobCard, asset.job) if asset is not None and asset.job else None
    if job is None:
        return Photographs()
    wish = msgspec.json.decode(job.request, type=Train)
    try:
        capture = load_capture(capture_folder(wish.capture, CaptureStore(workspace)))
        return Photographs.of(capture.carried(version.frame_from_made))
    except UserError as error:
        note(f"The capture cannot be read ({error.message}), so views are chosen around the splats.")
        return Photographs()


def meshed_part(cloud: SplatCloud, cameras: Sequence[Camera]) -> np.ndarray:
    """The box that becomes a mesh, [2, 3] lowest and highest corner.

    Around an object that was photographed from all sides, it reaches from camera to camera: what is far behind, which
    such a capture holds, too, would take nearly all voxels. Raises UserError when there are no splats.
    """
    bounds = robust_bounds(cloud)
    if bounds is None or not (bounds[1] > bounds[0]).any():
        raise UserError("bad_input", "There are no splats of which a mesh could be made.")
    focus = focus_point(cameras) if len(cameras) > 1 else None
    if focus is None:
        return bounds
    distance = float(np.median([np.linalg.norm(camera.centre - focus) for camera in cameras]))
    low, high = np.maximum(bounds[0], focus - distance), np.minimum(bounds[1], focus + distance)
    return np.stack([low, high]) if (high > low).all() else bounds
