"""A training that is thrown away in any stage stops at its next report, and no stage works on for long without one."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from backend.captures import make_capture
from backend.jobs.render_lane import RenderLane
from backend.jobs.running import NobodyWatches
from backend.jobs.steered_job import SteeredJob
from backend.jobs.train_request import TrainRequest
from backend.jobs.training import run_training
from backend.jobs.training_folder import TrainingFolder
from backend.methods.job import Cancelled

STEPS = 10
POSING, POINTS, READING, TRAINING, MEASURING = (
    "Finding the camera poses",
    "Finding points that several photos share",
    "Reading 9 photos",
    "Training",
    "Measuring 2 held-out views",
)


class Reports(NobodyWatches):
    """Counts what a job reports, and throws it away at its first report of a stage, on the job's own thread."""

    def __init__(self, unwanted: str = "") -> None:
        self.unwanted, self.now = unwanted, ""
        self.count: Counter[str] = Counter()
        lane = RenderLane(on_error=lambda error: None)
        self.job = SteeredJob(self, lane, on_live=lambda live: None, on_rest=lambda resting: None)

    def stage(self, text: str) -> None:
        self.now = text
        self.count[text] += 0

    def progress(self, step: int, steps: int, figures: Mapping[str, float]) -> None:
        self.count[self.now] += 1
        if self.now == self.unwanted:
            self.job.throw_away()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without poses."""
    folder = tmp_path_factory.mktemp("captures")
    shutil.copytree(
        make_capture(folder / "arc", views=9, width=240, height=180, arc=60.0) / "images", folder / "photos"
    )
    return folder / "photos"


@pytest.fixture(scope="module")
def pointless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without points."""
    return make_capture(tmp_path_factory.mktemp("captures") / "pointless", views=9, width=48, height=32)


def train(capture: Path, folder: Path, job: SteeredJob) -> None:
    request = TrainRequest(capture, folder / "unused.ply", steps=STEPS, max_splats=200, resolution=48, device="cpu")
    run_training(request, TrainingFolder(folder / "training"), lambda settings, result: None, job)


@pytest.mark.parametrize("stage", [POSING, POINTS, READING, TRAINING, MEASURING])
def test_a_job_that_is_thrown_away_stops_at_its_next_report(
    stage: str, photos: Path, pointless: Path, tmp_path: Path
) -> None:
    reports = Reports(unwanted=stage)
    capture = shutil.copytree(photos, tmp_path / "photos") if stage == POSING else pointless
    with pytest.raises(Cancelled):
        train(capture, tmp_path, reports.job)
    assert reports.now == stage and reports.count[stage] == 1
    assert not list(tmp_path.rglob(".splatwright*"))


def test_every_stage_reports_often(photos: Path, pointless: Path, tmp_path: Path) -> None:
    posing, training = Reports(), Reports()
    train(photos, tmp_path / "one", posing.job)
    assert posing.count[POSING] >= 9 + 36 // 8, "each photo searched, each few pairs matched"
    train(pointless, tmp_path / "two", training.job)
    assert training.count[POINTS] >= 9 and training.count[READING] == 9
    assert training.count[TRAINING] == STEPS and training.count[MEASURING] == 2
