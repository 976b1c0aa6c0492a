from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.captures.made_capture import make_capture
from backend.methods.job import QuietJob
from backend.methods.registry import find
from backend.splats.cloud import SplatCloud
from backend.training.failures import out_of_memory_explained
from backend.training.inputs import TrainingInputs
from backend.training.loop import train
from backend.training.losses import Comparison, LossPart, photometric
from backend.training.mcmc_density import McmcDensityControl
from backend.training.recipe import Recipe
from backend.training.schedule import Refinement
from backend.training.settings import TrainingSettings
from shared_protocol.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[3]


def quiet_recipe(*losses: LossPart) -> Recipe:
    """Neither adds nor removes nor moves splats by itself."""
    density = McmcDensityControl(1000, Refinement(0, 1000, 0), 1.0, 0.005, 0.0, 1, 0)
    return Recipe("test", density, losses or (photometric(0.2),))


class FolderJob(QuietJob):
    """Keeps checkpoints, writes down what it hears, and asks to stop after `stops_after` steps."""

    def __init__(self, folder: Path | None = None, stops_after: int = 0) -> None:
        self.folder, self.stops_after = folder, stops_after
        self.steps: list[int] = []
        self.figures: list[dict[str, float]] = []
        self.notes: list[str] = []

    def progress(self, step: int, steps: int, **figures: float) -> None:
        self.steps.append(step)
        self.figures.append(figures)
        self.stop_early = step == self.stops_after

    def note(self, text: str) -> None:
        self.notes.append(text)


def same(one: SplatCloud, two: SplatCloud) -> bool:
    names = ("means", "quats", "log_scales", "opacity_logits", "sh")
    return all(getattr(one, name).tobytes() == getattr(two, name).tobytes() for name in names)


def from_step(step: int, value: float) -> LossPart:
    """A loss that is `value` times the picture from the given call on."""
    calls = 0

    def loss(seen: Comparison) -> Tensor:
        nonlocal calls
        calls += 1
        return seen.image.mean() * (value if calls > step else 0.0)

    return loss


def test_training_fits_the_photos(ball_inputs: Callable[..., TrainingInputs]) -> None:
    job = FolderJob()
    train(TrainingSettings(), ball_inputs(120, transparent=True), job, quiet_recipe())
    judged = [figures["psnr"] for figures in job.figures if "psnr" in figures]
    assert judged[-1] > judged[0] + 3
    assert job.figures[-1]["loss"] < 0.6 * job.figures[0]["loss"]


@pytest.mark.parametrize("name", ["default", "mcmc"])
def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(
    ball_inputs: Callable[..., TrainingInputs], checkpoint_folder: Path, name: str
) -> None:
    inputs, method = ball_inputs(60, max_splats=220), find(name)
    settings = method.settings_type(refine_every=5, **({"grow_gradient": 1e-5} if name == "default" else {}))
    whole = method.run(settings, inputs, QuietJob())
    assert len(whole.cloud) != 120, "nothing was refined, so the test would prove little"

    first = method.run(settings, inputs, FolderJob(checkpoint_folder, stops_after=23))
    assert first.steps == 23 and not first.finished
    job = FolderJob(checkpoint_folder)
    second = method.run(settings, replace(inputs, resume=True), job)

    assert job.steps == list(range(24, 61)) and "step 23" in job.notes[0]
    assert second.finished and second.loss == whole.loss
    assert same(second.cloud, whole.cloud)


def test_a_finished_training_is_not_repeated(
    ball_inputs: Callable[..., TrainingInputs], checkpoint_folder: Path
) -> None:
    inputs = ball_inputs(20)
    whole = train(TrainingSettings(), inputs, FolderJob(checkpoint_folder), quiet_recipe())
    job = FolderJob(checkpoint_folder)
    again = train(TrainingSettings(), replace(inputs, resume=True), job, quiet_recipe())
    assert job.steps == [] and again.finished and same(again.cloud, whole.cloud)


def test_resuming_from_nothing_starts_and_says_so(
    ball_inputs: Callable[..., TrainingInputs], checkpoint_folder: Path
) -> None:
    job = FolderJob(checkpoint_folder)
    train(TrainingSettings(), replace(ball_inputs(10), resume=True), job, quiet_recipe())
    assert job.steps[0] == 1 and "no checkpoint yet" in job.notes[0]


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from backend.captures.load import load_capture
from backend.captures.photos import read_photos
from backend.methods.job import QuietJob
from backend.methods.registry import find
from backend.training.inputs import TrainingInputs
from backend.training.plan import TrainingPlan

capture, folder, output, dies_at, resume = sys.argv[1:]

class Job(QuietJob):
    folder = Path(folder)
    def progress(self, step, steps, **figures):
        if step == int(dies_at):
            os.kill(os.getpid(), signal.SIGKILL)

capture = load_capture(Path(capture))
photos = read_photos(capture.train_views, max_pixels=2000, masks="off")
plan = TrainingPlan(device="cpu", quality="draft", max_pixels=2000, steps=60, max_splats=500)
method = find("mcmc")
settings = method.settings_type(refine_every=6, start_fraction=0.5)
result = method.run(settings, TrainingInputs(photos, (), capture.points, plan, resume=resume == "resume"), Job())
cloud = result.cloud
np.savez(output, cloud.means, cloud.quats, cloud.log_scales, cloud.opacity_logits, cloud.sh)
"""


@pytest.mark.slow
def test_a_killed_training_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    capture = make_capture(tmp_path / "capture", views=8, width=40, height=28, points=300)

    def start(folder: str, dies_at: int, resume: str) -> subprocess.Popen[bytes]:
        arguments = [str(capture), str(tmp_path / folder), str(tmp_path / f"{folder}.npz"), str(dies_at), resume]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        return subprocess.Popen([sys.executable, "-c", KILLED, *arguments], env=environment)

    whole = start("whole", 0, "start")
    assert start("killed", 45, "start").wait() == -signal.SIGKILL
    assert (tmp_path / "killed" / "step_00000042.json").is_file()
    assert not (tmp_path / "killed.npz").exists()
    assert start("killed", 0, "resume").wait() == 0
    assert whole.wait() == 0
    clouds = [list(np.load(tmp_path / name).values()) for name in ("whole.npz", "killed.npz")]
    assert len(clouds[0]) == 5 and len(clouds[0][0]) > 150
    assert [array.tobytes() for array in clouds[0]] == [array.tobytes() for array in clouds[1]]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_broke_down_ends_the_training_and_keeps_the_last_good_state(
    ball_inputs: Callable[..., TrainingInputs], checkpoint_folder: Path, value: float
) -> None:
    with pytest.raises(UserError) as caught:
        train(TrainingSettings(), ball_inputs(40), FolderJob(checkpoint_folder), quiet_recipe(from_step(17, value)))
    assert caught.value.kind == "diverged"
    assert "step 17" in caught.value.message and str(checkpoint_folder) in caught.value.hint
    assert sorted(p.name for p in checkpoint_folder.glob("*.json")) == ["step_00000012.json", "step_00000016.json"]


def test_splats_that_broke_down_are_no_result(
    ball_inputs: Callable[..., TrainingInputs], checkpoint_folder: Path
) -> None:
    class Breaking(McmcDensityControl):
        def after_step(self, representation, step, info, means_rate, generator) -> None:  # type: ignore[no-untyped-def]
            if step == 6:
                representation.parameters["means"].data[:60] = math.nan

    density = Breaking(1000, Refinement(0, 1000, 0), 1.0, 0.005, 0.0, 1, 0)
    recipe = Recipe("test", density, (photometric(0.2),))
    with pytest.raises(UserError) as caught:
        train(TrainingSettings(), ball_inputs(40), FolderJob(checkpoint_folder), recipe)
    assert caught.value.kind == "diverged"
    assert [p.name for p in checkpoint_folder.glob("*.json")] == ["step_00000004.json"]


def test_out_of_memory_says_what_was_needed_and_what_lowers_it(ball_inputs: Callable[..., TrainingInputs]) -> None:
    plan = ball_inputs().plan

    def wanted(allocate: Callable[[], object]) -> UserError:
        with pytest.raises(UserError) as caught, out_of_memory_explained(plan):
            allocate()
        assert caught.value.kind == "out_of_memory" and "--max-splats" in caught.value.hint
        return caught.value

    assert "1,073,741,824 MiB more were needed" in wanted(lambda: torch.empty(2**50, dtype=torch.uint8)).message
    assert wanted(lambda: np.zeros(2**55, np.uint8)).message.startswith("The main memory is full")
    text = "CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has a total capacity of 8 GiB"

    def cuda() -> None:
        raise torch.OutOfMemoryError(text)

    assert "1,536 MiB more" in wanted(cuda).message
    with pytest.raises(RuntimeError, match="something else"), out_of_memory_explained(plan):
        raise RuntimeError("something else")


def test_a_full_disk_ends_the_training_but_not_a_finished_one(
    ball_inputs: Callable[..., TrainingInputs], checkpoint_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    class FillingJob(FolderJob):
        def __init__(self, folder: Path, full_at: int) -> None:
            super().__init__(folder)
            self.full_at = full_at

        def progress(self, step: int, steps: int, **figures: float) -> None:
            super().progress(step, steps, **figures)
            if step == self.full_at:
                monkeypatch.setattr(os, "fsync", no_space)

    with pytest.raises(UserError) as caught:
        train(TrainingSettings(), ball_inputs(20), FillingJob(checkpoint_folder, 11), quiet_recipe())
    assert caught.value.kind == "disk_full"
    assert sorted(p.name for p in checkpoint_folder.glob("*.json")) == ["step_00000008.json", "step_00000010.json"]
    monkeypatch.undo()

    job = FillingJob(checkpoint_folder, 19)
    result = train(TrainingSettings(), ball_inputs(20), job, quiet_recipe())
    assert result.finished and any("disk is full" in note for note in job.notes)


def test_transparent_photos_leave_nothing_around_the_object(ball_inputs: Callable[..., TrainingInputs]) -> None:
    result = train(TrainingSettings(), ball_inputs(60, transparent=True, points=False), FolderJob(), quiet_recipe())
    assert result.background == (1, 1, 1)
    to_nearest_ball = np.linalg.norm(result.cloud.means[:, None] - 0.8 * np.eye(3), axis=2).min(axis=1)
    opaque = result.cloud.opacity_logits > 0
    assert opaque.sum() > 20 and np.quantile(to_nearest_ball[opaque], 0.95) < 0.9


def test_nothing_is_learned_from_pixels_that_do_not_count(ball_inputs: Callable[..., TrainingInputs]) -> None:
    inputs = ball_inputs(10)
    weights = [np.full(photo.rgb.shape[:2], 255, np.uint8) for photo in inputs.train_photos]
    for weight in weights:
        weight[:, :18] = 0
    ignored, changed = [], []
    for photo, weight in zip(inputs.train_photos, weights, strict=True):
        ignored.append(replace(photo, weight=weight))
        other = photo.rgb.copy()
        other[:, :18] = 255 - other[:, :18]
        changed.append(replace(photo, weight=weight, rgb=other))
    l1 = photometric(0.0)  # the window of SSIM looks across the border
    one, two, counted = (
        train(TrainingSettings(), replace(inputs, train_photos=photos), QuietJob(), quiet_recipe(l1)).cloud
        for photos in (ignored, changed, [replace(photo, weight=None) for photo in changed])
    )
    assert same(one, two)
    assert not same(one, counted)


@pytest.mark.parametrize("degree", [0, 1, 4])
def test_every_sh_degree_can_be_trained(ball_inputs: Callable[..., TrainingInputs], degree: int) -> None:
    settings = TrainingSettings(sh_degree=degree, sh_every=0.1)
    result = train(settings, ball_inputs(20), QuietJob(), quiet_recipe())
    assert result.cloud.sh_degree == degree
    assert degree == 0 or np.abs(result.cloud.sh[:, -1]).max() > 0
