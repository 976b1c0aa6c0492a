from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from backend.captures.capture import View
from backend.splats.cameras import Camera
from backend.training.plan import DeviceKind, Quality, plan_training
from shared_protocol.errors import UserError


def views(count: int, width: int = 1080, height: int = 1920) -> list[View]:
    camera = Camera(np.eye(4), 1000.0, 1000.0, width / 2, height / 2, width, height)
    return [View(f"{i}.jpg", Path(f"{i}.jpg"), camera) for i in range(count)]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_better_quality_never_means_less_work(device: DeviceKind) -> None:
    qualities: list[Quality] = ["draft", "normal", "high"]
    plans = [plan_training(views(200), device=device, quality=quality) for quality in qualities]
    for lower, higher in pairwise(plans):
        assert lower.steps <= higher.steps
        assert lower.max_splats <= higher.max_splats
        assert lower.max_pixels <= higher.max_pixels
    assert plans[0] != plans[1] != plans[2]


def test_a_gpu_trains_at_full_size_and_long() -> None:
    cpu, cuda = (plan_training(views(200), device=device) for device in ("cpu", "cuda"))
    assert cuda.steps == 30_000 and cuda.max_splats == 1_000_000
    assert cuda.max_pixels >= 1_600_000
    assert cpu.max_pixels <= 200_000
    assert cpu.steps <= 6_000 and cpu.max_splats <= 100_000


def test_what_is_given_overrides() -> None:
    plan = plan_training(views(50), device="cpu", max_pixels=12_345, steps=77, max_splats=4_321)
    assert (plan.max_pixels, plan.steps, plan.max_splats) == (12_345, 77, 4_321)


def test_a_tiny_capture_gets_no_more_splats_than_it_can_show() -> None:
    assert plan_training(views(8, 32, 24), device="cpu").max_splats == 1_000
    assert plan_training(views(4, 160, 120), device="cpu").max_splats == 4 * 160 * 120 // 8


def test_the_same_capture_gets_the_same_plan() -> None:
    assert plan_training(views(50), device="cpu") == plan_training(views(50), device="cpu")


def test_nothing_to_train_on_is_said() -> None:
    with pytest.raises(UserError, match="no photos"):
        plan_training([], device="cpu")


@pytest.mark.parametrize("name", ["max_pixels", "steps", "max_splats"])
def test_impossible_overrides_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="at least 1, not 0"):
        plan_training(views(5), device="cpu", **{name: 0})
