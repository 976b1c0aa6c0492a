"""Compares a splat file with the photos of a capture, whoever made it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import msgspec

from backend.captures import choose_mask_use, load_capture, pixels_for_longer_side, read_photos
from backend.jobs.device import DeviceChoice, choose_device
from backend.jobs.evaluation import evaluate, mean_figures
from backend.jobs.posed_renderers import renderers_in_poses
from backend.jobs.report import ViewFigures
from backend.jobs.running import Watcher
from backend.jobs.splat_files import read_to_draw
from backend.jobs.train_request import MaskChoice
from backend.training.frame import SceneFrame
from backend.training.plan import plan_training
from backend.training.settings import TrainingSettings, background_color
from shared_protocol.errors import UserError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationRequest:
    splat: Path
    capture: Path
    resolution: int | None = None  # longer side of a photo in pixels; None = as the default training
    max_pixels: int | None = None  # instead of resolution
    masks: MaskChoice = "auto"
    background: str = "black"
    all_views: bool = False
    antialiased: bool | None = None  # None = as the file says
    device: DeviceChoice = "auto"


class EvaluationReport(msgspec.Struct, frozen=True, kw_only=True):
    splat: str
    capture: str
    psnr: float
    ssim: float
    splats: int
    width: int
    height: int
    device: str
    views: tuple[ViewFigures, ...]


def compare_with_capture(request: EvaluationRequest, watcher: Watcher) -> EvaluationReport:
    """PSNR and SSIM of the held-out views. Raises UserError when there are none."""
    device = choose_device(request.device)
    background = background_color(request.background)
    if background is None:
        message = f"The background '{request.background}' is not a colour."
        raise UserError("bad_input", message, "Use black, white or a colour such as #80c0ff.")
    content, binding = read_to_draw(request.splat, request.antialiased)
    cloud, antialiased = content.cloud, bool(content.antialiased)
    watcher.stage("Reading the capture")
    capture = load_capture(request.capture)
    for warning in capture.warnings:
        log.warning("%s", warning)
    views = capture.views if request.all_views else capture.test_views
    if not views:
        raise UserError("bad_input", f"{request.capture} holds out no views.", "Use --all-views.")
    max_pixels = request.max_pixels
    if max_pixels is None and request.resolution is not None:
        max_pixels = pixels_for_longer_side(capture, request.resolution)
    if max_pixels is None:
        max_pixels = plan_training(capture.train_views, device=device).max_pixels
    masks, reason = choose_mask_use(capture, request.masks)
    watcher.note(reason)
    photos = read_photos(views, max_pixels=max_pixels, masks=masks)
    watcher.stage(f"Measuring {len(photos)} views")
    points = None if capture.points is None else capture.points.positions
    frame = SceneFrame.around([view.camera for view in capture.train_views], points)
    figures = evaluate(
        cloud,
        photos,
        device=device,
        near=TrainingSettings().near_plane * frame.extent,
        antialiased=antialiased,
        background=background,
        posed=renderers_in_poses(cloud, binding, capture.folder, device, antialiased=antialiased),
        on_progress=lambda done, total: watcher.progress(done, total, {}),
    )
    psnr, ssim = mean_figures(figures)
    assert psnr is not None and ssim is not None
    camera = photos[0].camera
    return EvaluationReport(
        splat=str(request.splat),
        capture=capture.folder.resolve().name,
        psnr=psnr,
        ssim=ssim,
        splats=len(cloud),
        width=camera.width,
        height=camera.height,
        device=device,
        views=figures,
    )
