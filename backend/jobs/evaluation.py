"""Measures how much a cloud's renders look like photos it was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from backend.captures.capture import Photo
from backend.jobs.posed_renderers import PosedRenderers
from backend.jobs.report import ViewFigures
from backend.splats.cloud import SplatCloud
from backend.splats.rendering import CloudRenderer, Renderer
from backend.splats.similarity import l1_ssim_loss, psnr

Color = tuple[float, float, float]
WHITE: Color = (1.0, 1.0, 1.0)
BLACK: Color = (0.0, 0.0, 0.0)


def evaluate(
    cloud: SplatCloud,
    photos: Sequence[Photo],
    *,
    device: str,
    near: float,
    antialiased: bool = False,
    background: Color = BLACK,
    posed: PosedRenderers | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[ViewFigures, ...]:
    """PSNR and SSIM of every photo's view, at the photo's size.

    near: in world units. background: behind opaque photos; photos with transparency are compared on white, as is usual.
    Pixels that a photo's weight rules out do not count. posed: the same splats, where photos show them in poses.
    """
    renderer: Renderer = CloudRenderer(cloud, device, antialiased=antialiased)
    figures: list[ViewFigures] = []
    for photo in photos:
        shown = renderer if posed is None else posed.of(photo)
        figures.append(compared(shown, photo, near=near, background=background))
        if on_progress is not None:
            on_progress(len(figures), len(photos))
    return tuple(figures)


def compared(renderer: Renderer, photo: Photo, *, near: float, background: Color) -> ViewFigures:
    """One photo's, as `evaluate` has them."""
    behind = background if photo.alpha is None else WHITE
    rendered = renderer.draw(photo.camera, near=near).on(behind)
    truth = target(photo, behind).to(rendered.device)
    weight = None if photo.weight is None else torch.tensor(photo.weight, device=rendered.device) / 255
    dissimilarity = l1_ssim_loss(rendered, truth, ssim_weight=1.0, weight=weight)
    return ViewFigures(photo.name, float(psnr(rendered, truth, weight)), 1.0 - float(dissimilarity))


def mean_figures(figures: Sequence[ViewFigures]) -> tuple[float | None, float | None]:
    """Mean PSNR and mean SSIM over views, or None for no views."""
    if not figures:
        return None, None
    return float(np.mean([view.psnr for view in figures])), float(np.mean([view.ssim for view in figures]))


def target(photo: Photo, background: Color) -> Tensor:
    """The photo on a background colour, float32 [H, W, 3] 0..1."""
    rgb = torch.tensor(photo.rgb, dtype=torch.float32) / 255
    if photo.alpha is None:
        return rgb
    alpha = torch.tensor(photo.alpha, dtype=torch.float32)[..., None] / 255
    return rgb * alpha + (1 - alpha) * torch.tensor(background)
