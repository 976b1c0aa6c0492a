"""Trains a capture from beginning to end: what it reads, method, figures, files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import torch

from backend import machine
from backend.captures import Capture
from backend.jobs.device import choose_device
from backend.jobs.evaluation import BLACK, Color, evaluate, mean_figures
from backend.jobs.posed_renderers import PosedRenderers
from backend.jobs.report import Stopwatch, TrainReport, ViewFigures
from backend.jobs.running import RunningJob
from backend.jobs.splat_files import write_splat_file
from backend.jobs.train_request import TrainRequest, check_training, chosen_method, refuse_unwritable_outputs
from backend.jobs.training_folder import TrainingFolder
from backend.jobs.training_scene import TrainingScene, edited_alike, read_scene
from backend.methods import registry
from backend.splats.io.content import SplatContent
from backend.training.failures import out_of_memory_explained
from backend.training.inputs import TrainingResult
from backend.training.settings import TrainingSettings, background_color
from shared_protocol.errors import ErrorKind, UserError

_KEPT_CHECKPOINT: tuple[ErrorKind, ...] = ("out_of_memory", "disk_full", "diverged")  # failures of training


def train_capture(request: TrainRequest, job: RunningJob) -> TrainReport:
    """Trains as asked, writes the cloud and the report, and returns the report.

    When the job is stopped early, what there is by then is written and the report says that it is not finished.
    Raises UserError for whatever the user can mend; then no output of an earlier run is changed, except that its
    report is gone, and the checkpoint of this run is kept.
    """
    check_training(request)
    refuse_unwritable_outputs(request)
    folder = TrainingFolder.beside(request.output)
    if request.resume:
        folder.refuse_without_checkpoint(request.output)
    with folder.removed_without_checkpoint():
        return run_training(request, folder, lambda settings, result: _write(request.output, settings, result), job)


def _write(output: Path, settings: TrainingSettings, result: TrainingResult) -> None:
    write_splat_file(output, SplatContent(result.cloud, antialiased=settings.antialiased or None), result.binding)


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
    method, settings = chosen_method(request)
    device = choose_device(request.device)
    scene = read_scene(request, device, folder, job, on_capture)
    if scene.given is not None and scene.given.edits:
        scene = edited_alike(scene, scene.given, settings, job)
    job.note(scene.in_words(method.label))
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


def _run(
    method: registry.Method,
    settings: TrainingSettings,
    scene: TrainingScene,
    resume: bool,
    folder: TrainingFolder,
    job: RunningJob,
) -> TrainingResult:
    job.folder = folder.path
    job.stage("Training")
    job.has_result = True
    try:
        return method.run(settings, scene.inputs(resume=resume), job)
    except UserError as error:
        if error.kind in _KEPT_CHECKPOINT and folder.has_checkpoint:
            how = "resuming (--resume on the command line) goes on from it"
            job.note(f"The last checkpoint is kept in '{folder.path}'; {how}.")
        raise


def _measure(
    scene: TrainingScene, settings: TrainingSettings, result: TrainingResult, job: RunningJob
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


def _posed(scene: TrainingScene, settings: TrainingSettings, result: TrainingResult) -> PosedRenderers | None:
    if scene.poses is None or result.binding is None:
        return None
    antialiased, device = settings.antialiased, scene.plan.device
    return PosedRenderers(result.cloud, result.binding, scene.poses, device, antialiased=antialiased)


def _report(
    request: TrainRequest,
    scene: TrainingScene,
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
