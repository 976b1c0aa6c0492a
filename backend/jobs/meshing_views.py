"""From where splats that were trained here are looked at when a mesh is made of them, and which part becomes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from backend.captures import load_capture
from backend.captures.photos import undistorted_camera
from backend.jobs.train_job import capture_folder
from backend.splats.bounds import robust_bounds
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.store.captures import CaptureStore
from backend.store.cards import AssetCard, JobCard, VersionCard
from backend.store.workspace import Workspace
from backend.training.frame import focus_point
from shared_protocol.errors import UserError
from shared_protocol.messages import Train


def cameras_of_training(
    workspace: Workspace, version: VersionCard, note: Callable[[str], object]
) -> tuple[Camera, ...]:
    """Those of the capture that the version's asset was trained on; none when it was not, or the capture is gone, or
    the version is not in its frame any more."""
    if version.is_moved:
        return ()
    asset = workspace.catalogue.find(AssetCard, version.asset)
    job = workspace.catalogue.find(JobCard, asset.job) if asset is not None and asset.job else None
    return () if job is None else _cameras(workspace, msgspec.json.decode(job.request, type=Train), note)


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


def _cameras(workspace: Workspace, wish: Train, note: Callable[[str], object]) -> tuple[Camera, ...]:
    try:
        capture = load_capture(capture_folder(wish.capture, CaptureStore(workspace)))
    except UserError as error:
        note(f"The capture cannot be read ({error.message}), so views are chosen around the splats.")
        return ()
    return tuple(undistorted_camera(view) for view in capture.train_views)
