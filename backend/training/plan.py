"""How much work a training run does: decided from the kind of device and the capture, never from a clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from backend.captures.capture import View
from shared_protocol.errors import UserError

DeviceKind = Literal["cpu", "cuda"]
Quality = Literal["draft", "normal", "high"]


class TrainingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run will do; part of its checkpoint and its report."""

    device: DeviceKind
    quality: Quality
    max_pixels: int  # a photo with more is made smaller before training
    steps: int
    max_splats: int


class _Budget(msgspec.Struct, frozen=True):
    max_pixels: int
    steps: int
    max_splats: int


# CPU: what two cores finish within eight minutes at "normal", reading, poses and evaluation included.
_BUDGETS: dict[tuple[DeviceKind, Quality], _Budget] = {
    ("cpu", "draft"): _Budget(70_000, 1_200, 30_000),
    ("cpu", "normal"): _Budget(160_000, 5_000, 60_000),
    ("cpu", "high"): _Budget(400_000, 10_000, 150_000),
    ("cuda", "draft"): _Budget(1_600_000, 7_000, 1_000_000),
    ("cuda", "normal"): _Budget(1_600_000, 30_000, 1_000_000),
    ("cuda", "high"): _Budget(4_000_000, 30_000, 3_000_000),
}
_PIXELS_PER_SPLAT = 8  # of all photos together: more splats than this cannot be told apart
_FEWEST_SPLATS = 1_000
_VISITS_OF_A_PHOTO = 12  # a large capture gets more steps until each photo is seen about this often


def plan_training(
    views: Sequence[View],
    *,
    device: DeviceKind,
    quality: Quality = "normal",
    max_pixels: int | None = None,
    steps: int | None = None,
    max_splats: int | None = None,
) -> TrainingPlan:
    """The plan for training on `views`; what is not None overrides."""
    if not views:
        raise UserError("bad_input", "The capture has no photos to train on.", "Add photos or hold out fewer.")
    for name, value in (("resolution", max_pixels), ("steps", steps), ("max_splats", max_splats)):
        if value is not None and value < 1:
            raise UserError("bad_input", f"The setting '{name}' must be at least 1, not {value}.")
    budget = _BUDGETS[device, quality]
    max_pixels = max_pixels or budget.max_pixels
    pixels = sum(min(view.camera.width * view.camera.height, max_pixels) for view in views)
    return TrainingPlan(
        device=device,
        quality=quality,
        max_pixels=max_pixels,
        steps=steps or max(budget.steps, _steps_for_many(len(views), device)),
        max_splats=max_splats or max(_FEWEST_SPLATS, min(budget.max_splats, pixels // _PIXELS_PER_SPLAT)),
    )


def _steps_for_many(photos: int, device: DeviceKind) -> int:
    """On a CPU the time limit wins: a large capture is seen less often there."""
    return photos * _VISITS_OF_A_PHOTO if device == "cuda" else 0
