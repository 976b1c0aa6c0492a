"""Everything that a training reads before it begins: capture, poses, points, photos, mesh, splats to go on from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from backend.captures import (
    POSES_FILE,
    Capture,
    MaskUse,
    MeshPoses,
    Photo,
    PointCloud,
    choose_mask_use,
    has_poses,
    load_capture,
    pixels_for_longer_side,
    pose_photos,
    read_mesh_poses,
    read_photos,
    triangulate_points,
)
from backend.jobs.device import DeviceKind
from backend.jobs.evaluation import BLACK
from backend.jobs.running import RunningJob
from backend.jobs.train_request import TrainRequest
from backend.jobs.training_folder import TrainingFolder
from backend.rigging.binding import faces_to_hang_on
from backend.splats.io.mesh_files import read_mesh
from backend.splats.triangle_mesh import TriangleMesh
from backend.training.edited_photos import edited_photos
from backend.training.frame import SceneFrame
from backend.training.given_splats import GivenSplats
from backend.training.inputs import TrainingInputs
from backend.training.plan import TrainingPlan, plan_training
from backend.training.settings import TrainingSettings, background_color


@dataclass(frozen=True)
class TrainingScene:
    capture: Capture
    masks: str
    plan: TrainingPlan
    points: PointCloud | None
    mesh: TriangleMesh | None
    poses: MeshPoses | None
    train_photos: list[Photo]
    test_photos: list[Photo]
    given: GivenSplats | None = None

    def inputs(self, *, resume: bool) -> TrainingInputs:
        return TrainingInputs(
            self.train_photos,
            self.test_photos,
            self.points,
            self.plan,
            resume=resume,
            mesh=self.mesh,
            poses=self.poses,
            start=self.given,
        )

    def in_words(self, label: str) -> str:
        """What will be trained; label: of the method."""
        plan, camera = self.plan, self.train_photos[0].camera
        start = f"{len(self.points.positions):,} points" if self.points else "random points"
        if self.given is not None:
            start = f"{len(self.given.cloud):,} splats"
            if self.given.learns is not None:
                start += f", of which {int(self.given.learns.sum()):,} learn"
        if self.mesh is not None:
            start = f"a mesh of {len(self.mesh.faces):,} faces"
            start += f" in {len(self.poses):,} poses" if self.poses else ""
        return (
            f"{label} on {plan.device}, quality {plan.quality}: {len(self.train_photos)} photos at "
            f"{camera.width} x {camera.height}, {len(self.test_photos)} held out, {plan.steps:,} steps, "
            f"at most {plan.max_splats:,} splats, from {start}."
        )


def read_scene(
    request: TrainRequest,
    device: DeviceKind,
    folder: TrainingFolder,
    job: RunningJob,
    on_capture: Callable[[Capture], object],
) -> TrainingScene:
    """on_capture: told of the capture as soon as it is read. Raises UserError for what the user can mend."""
    mesh = None if request.mesh is None else read_mesh(request.mesh)
    given = request.given() if request.given is not None else None
    if mesh is not None:
        faces_to_hang_on(mesh)  # raises for what is no surface, before the photos are read
    capture = _load(request, folder, job)
    on_capture(capture)
    poses = None if mesh is None else _poses(request, capture, mesh)
    masks, reason = choose_mask_use(capture, request.masks)
    job.note(reason)
    plan = plan_training(
        capture.train_views,
        device=device,
        quality=request.quality,
        max_pixels=None if request.resolution is None else pixels_for_longer_side(capture, request.resolution),
        steps=request.steps,
        max_splats=request.max_splats,
    )
    if given is not None and request.max_splats is None:
        plan = msgspec.structs.replace(plan, max_splats=max(plan.max_splats, len(given.cloud)))
    # From here on an old report would describe something else than what is happening.
    if request.report is not None:
        request.report.unlink(missing_ok=True)
    if not request.resume:
        folder.start_anew(job.note)
    has_start = mesh is not None or given is not None
    points = capture.points if has_start else _points(capture, masks, folder, job)
    job.stage(f"Reading {len(capture.views)} photos")
    photos = read_photos(
        (*capture.train_views, *capture.test_views), max_pixels=plan.max_pixels, masks=masks, on_progress=job.part_done
    )
    trained_on = len(capture.train_views)
    return TrainingScene(capture, masks, plan, points, mesh, poses, photos[:trained_on], photos[trained_on:], given)


def edited_alike(
    scene: TrainingScene, given: GivenSplats, settings: TrainingSettings, job: RunningJob
) -> TrainingScene:
    """With photos, the held-out ones too, as they would be had the scene been edited like the splats."""
    job.stage("Editing the photos like the splats")
    frame = SceneFrame.around([photo.camera for photo in scene.train_photos], given.cloud.means)
    photos = edited_photos(
        (*scene.train_photos, *scene.test_photos),
        given.edits,
        device=scene.plan.device,
        near=settings.near_plane * frame.extent,
        antialiased=settings.antialiased,
        background=background_color(settings.background) or BLACK,
        on_progress=job.part_done,
    )
    count = len(scene.train_photos)
    return replace(scene, train_photos=photos[:count], test_photos=photos[count:])


def _load(request: TrainRequest, folder: TrainingFolder, job: RunningJob) -> Capture:
    if request.capture.is_dir() and not has_poses(request.capture):
        job.stage("Finding the camera poses")
        work = folder.path if folder.path.is_dir() else None
        posed = pose_photos(request.capture, work=work, on_progress=job.part_done)
        job.note(f"Found the pose of {posed.registered} of {posed.total} photos.")
    job.stage("Reading the capture")
    capture = load_capture(request.capture, strict=request.strict)
    for warning in capture.warnings:
        job.warn(warning)
    return capture if request.frame_from_capture is None else capture.carried(request.frame_from_capture)


def _points(capture: Capture, masks: MaskUse, folder: TrainingFolder, job: RunningJob) -> PointCloud | None:
    """The capture's own points, or those its photos agree on; kept, so that a resumed training starts from the same."""
    kept = folder.points()
    if kept is not None:
        return kept
    points = capture.points
    if points is None or not len(points.positions):
        job.stage("Finding points that several photos share")
        points = triangulate_points(capture, folder=folder.path, masks=masks, on_progress=job.part_done)
    if points is None or not len(points.positions):
        job.note("The photos share too few points, so training starts from random ones.")
        return None
    folder.keep_points(points)
    return points


def _poses(request: TrainRequest, capture: Capture, mesh: TriangleMesh) -> MeshPoses | None:
    """Those that were given, else those in the capture's folder. Raises UserError when they do not fit."""
    path = request.poses or capture.folder / POSES_FILE
    if request.poses is None and not path.is_file():
        return None
    poses = read_mesh_poses(path)
    poses.refuse_unfitting(len(mesh.vertices), (view.name for view in capture.views))
    return poses
