"""Both methods on a GPU: they learn, keep to the budget, and go on from a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backend.captures.load import load_capture
from backend.captures.made_capture import make_capture
from backend.captures.photos import read_photos
from backend.methods.job import QuietJob
from backend.methods.registry import find
from backend.training.inputs import TrainingInputs
from backend.training.plan import TrainingPlan

pytestmark = pytest.mark.gpu
STEPS = 400


class PsnrJob(QuietJob):
    """Remembers the last PSNR; asks to stop after `stops_after` steps."""

    def __init__(self, folder: Path | None = None, stops_after: int = 0) -> None:
        self.folder, self.stops_after = folder, stops_after
        self.psnr: list[float] = []

    def progress(self, step: int, steps: int, **figures: float) -> None:
        self.psnr += [figures["psnr"]] if "psnr" in figures else []
        self.stop_early = step == self.stops_after


@pytest.fixture(scope="module", params=[False, True], ids=["opaque", "transparent"])
def inputs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TrainingInputs:
    folder = tmp_path_factory.mktemp("made")
    transparent = request.param
    capture = load_capture(make_capture(folder, views=24, width=160, height=112, points=2000, transparent=transparent))
    plan = TrainingPlan(device="cuda", quality="draft", max_pixels=20_000, steps=STEPS, max_splats=6_000)
    masks = "alpha" if transparent else "off"
    train, test = (
        read_photos(views, max_pixels=20_000, masks=masks) for views in (capture.train_views, capture.test_views)
    )
    return TrainingInputs(train, test, capture.points, plan)


@pytest.mark.parametrize("name", ["default", "mcmc"])
def test_learns_within_the_budget(inputs: TrainingInputs, name: str) -> None:
    method, job = find(name), PsnrJob()
    result = method.run(method.settings_type(), inputs, job)
    assert result.finished and 1_000 < len(result.cloud) <= 6_000 and result.cloud.finite().all()
    assert job.psnr[-1] > job.psnr[0] + 3


@pytest.mark.parametrize("name", ["default", "mcmc"])
def test_absolute_gradients_and_antialiasing_work(inputs: TrainingInputs, name: str) -> None:
    method, job = find(name), PsnrJob()
    extra = {"absgrad": True} if name == "default" else {}
    method.run(method.settings_type(antialiased=True, **extra), inputs, job)
    assert job.psnr[-1] > job.psnr[0] + 3


@pytest.mark.parametrize("name", ["default", "mcmc"])
def test_a_stopped_training_goes_on_to_the_same_quality(inputs: TrainingInputs, tmp_path: Path, name: str) -> None:
    method = find(name)
    whole, first, second = PsnrJob(), PsnrJob(tmp_path, stops_after=150), PsnrJob(tmp_path)
    method.run(method.settings_type(), inputs, whole)
    assert not method.run(method.settings_type(), inputs, first).finished
    result = method.run(method.settings_type(), replace(inputs, resume=True), second)
    assert result.finished and len(second.psnr) < len(whole.psnr)
    assert abs(second.psnr[-1] - whole.psnr[-1]) < 0.5  # one small scene; the atomics of the GPU add in any order
