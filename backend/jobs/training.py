"""Trains a capture from beginning to end: poses, points, photos, method, figures, files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import torch

from backend import machine
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
    pose_photos,
    read_mesh_poses,
    read_photos,
    triangulate_points,
)
from backend.jobs.device import DeviceChoice, DeviceKind, choose_device
from backend.jobs.evaluation import BLACK, Color, evaluate, mean_figures
from backend.jobs.posed_renderers import PosedRenderers
from backend.jobs.report import Stopwatch, TrainReport, ViewFigures
from backend.jobs.running import RunningJob
from backend.jobs.settings import chosen_settings
from backend.jobs.splat_files import refuse_unwritable_splat_name, write_splat_file
from backend.jobs.training_folder import TrainingFolder
from backend.methods import registry
from backend.rigging.binding import faces_to_hang_on
from backend.splats.io.content import SplatContent
from backend.splats.io.mesh_files import read_mesh
from backend.splats.triangle_mesh import TriangleMesh
from backend.training.edited_photos import edited_photos
from backend.training.failures import out_of_memory_explained
from backend.training.frame import SceneFrame
from backend.training.given_splats import GivenSplats
from backend.training.inputs import TrainingInputs, TrainingResult
from backend.training.plan import Quality, TrainingPlan, plan_training
from backend.training.settings import TrainingSettings, background_color
from shared_protocol.errors import ErrorKind, UserError

MaskChoice = Literal["auto", "ignore", "segment", "alpha", "off"]
DEFAULT_METHOD = "mcmc"
FAILURES_OF_TRAINING: tuple[ErrorKind, ...] = ("out_of_memory", "disk_full", "diverged")


@dataclass(frozen=True)
class TrainRequest:
    """What a user may ask of a training; None means "choose for me"."""

    capture: Path
    output: Path
    report: Path | None = None
    method: str = DEFAULT_METHOD
    quality: Quality = "normal"
    settings: Mapping[str, object] = field(default_factory=dict)  # of the method; text as typed, or values
    mesh: Path | None = None  # that the splats hang on, for methods that take one
    poses: Path | None = None  # of the mesh; None = those in the capture's folder, where there are any
    given: Callable[[], GivenSplats] | None = None  # reads what training goes on from; None = points
    frame_from_capture: np.ndarray | None = None  # [4, 4], what carried the given splats out of the capture's frame
    steps: int | None = None
    max_splats: int | None = None
    resolution: int | None = None  # longer side of a photo in pixels
    seed: int | None = None
    device: DeviceChoice = "auto"
    masks: MaskChoice = "auto"
    strict: bool = False  # a missing photo is an error
    resume: bool = False
    keep_checkpoints: bool = False


@dataclass(frozen=True)
class _Scene:
    """Everything that was read before training."""

    capture: Capture
    masks: str
    plan: TrainingPlan
    points: PointCloud | None
    mesh: TriangleMesh | None
    poses: MeshPoses | None
    train_photos: list[Photo]
    test_photos: list[Photo]
    given: GivenSplats | None = None


def train_capture(request: TrainRequest, job: RunningJob) -> TrainReport:
    """Trains as asked, writes the cloud and the report, and returns the report.

    When the job is stopped early, what there is by then is written and the report says that it is not finished.
    Raises UserError for whatever the user can mend; then no output of an earlier run is changed, except that its
    report is gone, and the checkpoint of this run is kept.
    """
    check_training(request)
    _refuse_unwritable_outputs(request)
    folder = TrainingFolder.beside(request.output)
    if request.resume:
        folder.refuse_without_checkpoint(request.output)
    with folder.removed_without_checkpoint():
        return run_training(request, folder, lambda settings, result: _write(request.output, settings, result), job)


def _write(output: Path, settings: TrainingSettings, result: TrainingResult) -> None:
    write_splat_file(output, SplatContent(result.cloud, antialiased=settings.antialiased or None), result.binding)


def check_training(request: TrainRequest) -> None:
    """Raises UserError now for what can be known before anything is read."""
    method, _ = _method_and_settings(request)
    if method.takes_mesh and request.mesh is None:
        message = f"The method '{method.id}' needs a mesh."
        raise UserError("bad_input", message, "Give the mesh that the photos show (--mesh).")
    if not method.takes_mesh and (request.mesh is not None or request.poses is not None):
        able = ", ".join(m.id for m in registry.all_methods() if m.category == "training" and m.takes_mesh)
        raise UserError("bad_input", f"The method '{method.id}' trains without a mesh.", f"Methods on a mesh: {able}.")
    if method.takes_mesh and request.given is not None:
        raise UserError("bad_input", f"The method '{method.id}' starts from its mesh.", "Use mcmc or default to go on.")
    choose_device(request.device)


def run_training(
    request: TrainRequest,
    folder: TrainingFolder,
    write: Callable[[TrainingSettings, TrainingResult], object],
    job: RunningJob,
    *,
    on_capture: Callable[[Capture], object] = lambda capture: None,
) -> TrainReport:
    """As `train_capture`, for whoever keeps checkpoints and splats elsewhere.

    on_capture: told of the capture as soon as it is read.
    Goes on from what the folder holds, be it a checkpoint, points or nothing, when the request says resume.
    """
    watch = Stopwatch()
    method, settings = _method_and_settings(request)
    device = choose_device(request.device)
    scene = _read(request, device, folder, job, on_capture)
    if scene.given is not None and scene.given.edits:
        scene = _edited_alike(scene, scene.given, settings, job)
    job.note(_plan_in_words(scene, method.label))
    result = _run(method, settings, scene, request.resume, folder, job)
    # Written before it is measured: whatever happens now, the splats are safe.
    write(settings, result)
    figures, background = _measure(scene, settings, result, job)
    report = _report(request, scene, settings, result, figures, background, job, watch)
    if request.report is not None:
        report.write(request.report)
    if result.finished and not request.keep_checkpoints:
        folder.remove()
    return report


def _read(
    request: TrainRequest,
    device: DeviceKind,
    folder: TrainingFolder,
    job: RunningJob,
    on_capture: Callable[[Capture], object],
) -> _Scene:
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
    return _Scene(capture, masks, plan, points, mesh, poses, photos[:trained_on], photos[trained_on:], given)


def _poses(request: TrainRequest, capture: Capture, mesh: TriangleMesh) -> MeshPoses | None:
    """Those that were given, else those in the capture's folder. Raises UserError when they do not fit."""
    path = request.poses or capture.folder / POSES_FILE
    if request.poses is None and not path.is_file():
        return None
    poses = read_mesh_poses(path)
    poses.refuse_unfitting(len(mesh.vertices), (view.name for view in capture.views))
    return poses


def _edited_alike(scene: _Scene, given: GivenSplats, settings: TrainingSettings, job: RunningJob) -> _Scene:
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


def _run(
    method: registry.Method,
    settings: TrainingSettings,
    scene: _Scene,
    resume: bool,
    folder: TrainingFolder,
    job: RunningJob,
) -> TrainingResult:
    job.folder = folder.path
    job.stage("Training")
    job.has_result = True
    inputs = TrainingInputs(
        scene.train_photos,
        scene.test_photos,
        scene.points,
        scene.plan,
        resume,
        scene.mesh,
        scene.poses,
        scene.given,
    )
    try:
        return method.run(settings, inputs, job)
    except UserError as error:
        if error.kind in FAILURES_OF_TRAINING and folder.has_checkpoint:
            how = "resuming (--resume on the command line) goes on from it"
            job.note(f"The last checkpoint is kept in '{folder.path}'; {how}.")
        raise


def _method_and_settings(request: TrainRequest) -> tuple[registry.Method, TrainingSettings]:
    method = registry.find(request.method)
    if method.category != "training":
        trainers = ", ".join(m.id for m in registry.all_methods() if m.category == "training")
        raise UserError("bad_input", f"The method '{method.id}' does not train.", f"Methods that train: {trainers}.")
    given = dict(request.settings)
    if request.seed is not None:
        given["seed"] = request.seed
    settings = chosen_settings(method, given)
    if not isinstance(settings, TrainingSettings):
        raise TypeError(f"{method.id}: a training method's settings inherit TrainingSettings")
    background_color(settings.background)  # raises for what is no colour, before minutes of work
    return method, settings


def _refuse_unwritable_outputs(request: TrainRequest) -> None:
    """Raises UserError now, and not after minutes of training."""
    refuse_unwritable_splat_name(request.output)
    for path in (request.output, request.report):
        if path is not None:
            _refuse_unwritable(path)


def _refuse_unwritable(path: Path) -> None:
    if path.is_dir():
        raise UserError("bad_input", f"'{path}' is a folder.", f"Give a file name such as {path / 'scene.ply'}.")
    folder = path.absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError("bad_input", f"The folder '{folder}' cannot be made: {error.strerror or error}.") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError("bad_input", f"The folder '{folder}' cannot be written to.", "Choose another folder.")


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


def pixels_for_longer_side(capture: Capture, longer_side: int) -> int:
    """The number of pixels of the largest photo when its longer side is `longer_side`."""
    if longer_side < 1:
        raise UserError("bad_input", f"The resolution must be at least 1 pixel, not {longer_side}.")
    largest = max(capture.views, key=lambda view: view.camera.width * view.camera.height).camera
    width, height = largest.width, largest.height
    return -(-longer_side * longer_side * min(width, height) // max(width, height))


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


def _plan_in_words(scene: _Scene, label: str) -> str:
    plan, camera = scene.plan, scene.train_photos[0].camera
    start = f"{len(scene.points.positions):,} points" if scene.points else "random points"
    if scene.given is not None:
        start = f"{len(scene.given.cloud):,} splats"
        if scene.given.learns is not None:
            start += f", of which {int(scene.given.learns.sum()):,} learn"
    if scene.mesh is not None:
        start = f"a mesh of {len(scene.mesh.faces):,} faces"
        start += f" in {len(scene.poses):,} poses" if scene.poses else ""
    return (
        f"{label} on {plan.device}, quality {plan.quality}: {len(scene.train_photos)} photos at "
        f"{camera.width} x {camera.height}, {len(scene.test_photos)} held out, {plan.steps:,} steps, "
        f"at most {plan.max_splats:,} splats, from {start}."
    )


def _measure(
    scene: _Scene, settings: TrainingSettings, result: TrainingResult, job: RunningJob
) -> tuple[tuple[ViewFigures, ...], Color]:
    background = background_color(settings.background) or BLACK
    if not scene.test_photos:
        return (), background
    job.stage(f"Measuring {len(scene.test_photos)} held-out views")
    with out_of_memory_explained(scene.plan):
        figures = evaluate(
            result.cloud,
            scene.test_photos,
            device=scene.plan.device,
            near=result.near,
            antialiased=settings.antialiased,
            background=background,
            posed=_posed(scene, settings, result),
            on_progress=job.part_done,
        )
    return figures, background


def _posed(scene: _Scene, settings: TrainingSettings, result: TrainingResult) -> PosedRenderers | None:
    if scene.poses is None or result.binding is None:
        return None
    antialiased, device = settings.antialiased, scene.plan.device
    return PosedRenderers(result.cloud, result.binding, scene.poses, device, antialiased=antialiased)


def _report(
    request: TrainRequest,
    scene: _Scene,
    settings: TrainingSettings,
    result: TrainingResult,
    figures: tuple[ViewFigures, ...],
    background: Color,
    job: RunningJob,
    watch: Stopwatch,
) -> TrainReport:
    psnr, ssim = mean_figures(figures)
    camera = scene.train_photos[0].camera
    return TrainReport(
        capture=scene.capture.folder.resolve().name,
        output=str(request.output),
        psnr=psnr,
        ssim=ssim,
        splats=len(result.cloud),
        seconds=watch.seconds(),
        cpu_seconds=watch.cpu_seconds(),
        load_average=watch.load_average,
        steps=result.steps,
        width=camera.width,
        height=camera.height,
        device=scene.plan.device,
        seed=settings.seed,
        finished=result.finished,
        stopped=None if result.finished else job.stopped,
        method=request.method,
        settings=msgspec.to_builtins(settings),
        quality=scene.plan.quality,
        masks=scene.masks,
        plan=msgspec.to_builtins(scene.plan),
        dialect=scene.capture.dialect,
        train_views=len(scene.train_photos),
        test_views=len(scene.test_photos),
        points=len(scene.points.positions) if scene.points else 0,
        background=background,
        views=figures,
        resumed=request.resume,
        warnings=scene.capture.warnings,
        threads=torch.get_num_threads(),
        versions=machine.versions(),
    )
