"""A training from folder to files: outputs, reports, stops, resumes and refusals."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.captures import load_capture, photo_size, pixels_for_longer_side
from backend.jobs import training_scene
from backend.jobs.running import RunningJob
from backend.jobs.train_request import TrainRequest
from backend.jobs.training import train_capture
from backend.splats.io import read_cloud
from shared_protocol.errors import UserError

ALWAYS_REPORTED = """
    psnr ssim splats seconds cpu_seconds load_average steps width height device seed method quality masks plan
    train_views test_views views versions finished capture
"""


class StopsAt:
    """Interrupts the job when a step has been reported, as Ctrl-C would."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.job: RunningJob | None = None
        self.notes: list[str] = []

    def stage(self, text: str) -> None:
        self.notes.append(text)

    def progress(self, step, steps, figures) -> None:
        if figures and step == self.step and self.job is not None:
            self.job.interrupt()

    def note(self, text: str) -> None:
        self.notes.append(text)


class DiesAt(StopsAt):
    """Tears the run apart, as a crash would."""

    def progress(self, step, steps, figures) -> None:
        if figures and step == self.step:
            raise RuntimeError("crash")


def request_for(capture: Path, folder: Path, **wishes) -> TrainRequest:
    defaults = {"steps": 20, "max_splats": 200, "report": folder / "scene.json", "device": "cpu"}
    return TrainRequest(capture, folder / "scene.ply", **(defaults | wishes))


def watched(watcher: StopsAt) -> RunningJob:
    watcher.job = RunningJob(watcher)
    return watcher.job


def test_a_training_writes_splats_and_a_whole_report_and_tidies_up(tiny_capture: Path, tmp_path: Path) -> None:
    request = request_for(tiny_capture, tmp_path, seed=3, settings={"sh_degree": "1"})
    report = train_capture(request, RunningJob())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scene.json", "scene.ply"]
    cloud = read_cloud(tmp_path / "scene.ply")
    assert len(cloud) == report.splats > 0 and cloud.sh_degree == 1
    written = json.loads((tmp_path / "scene.json").read_text())
    assert set(ALWAYS_REPORTED.split()) <= written.keys()
    assert (written["width"], written["height"], written["steps"], written["seed"]) == (48, 32, 20, 3)
    assert written["finished"] is True and written["stopped"] is None and written["capture"] == "tiny"
    assert [view["name"] for view in written["views"]] == ["images/0000.png", "images/0008.png"]
    assert written["psnr"] == pytest.approx(np.mean([view["psnr"] for view in written["views"]]))
    assert 5 < written["psnr"] < 60 and 0 < written["ssim"] <= 1
    assert written["cpu_seconds"] > 0 and 0 < written["seconds"] < 120
    assert written["versions"]["torch"] and written["versions"]["splatwright"] != "unknown"


def test_the_capture_is_left_as_it_was(tiny_capture: Path, tmp_path: Path) -> None:
    before = {p: p.read_bytes() for p in sorted(tiny_capture.rglob("*")) if p.is_file()}
    train_capture(request_for(tiny_capture, tmp_path), RunningJob())
    assert {p: p.read_bytes() for p in sorted(tiny_capture.rglob("*")) if p.is_file()} == before


def test_the_world_frame_of_the_capture_is_kept(tiny_capture: Path, tmp_path: Path) -> None:
    # Where the splats stay where they start, they are the capture's points, unless they come back in another frame.
    still = {"means_rate": "1e-12", "noise": "0"}
    report = train_capture(request_for(tiny_capture, tmp_path, steps=2, settings=still), RunningJob())
    points = load_capture(tiny_capture).points
    assert points is not None and report.points == len(points.positions)
    means = read_cloud(tmp_path / "scene.ply").means
    nearest = np.linalg.norm(means[:, None] - points.positions[None], axis=-1).min(axis=1)
    assert nearest.max() < 1e-4


def test_resolution_is_the_longer_side(tiny_capture: Path, tmp_path: Path) -> None:
    report = train_capture(request_for(tiny_capture, tmp_path, resolution=24, steps=2), RunningJob())
    assert (report.width, report.height) == (24, 16)
    capture = load_capture(tiny_capture)
    for longer in range(1, 49):
        assert max(photo_size(48, 32, max_pixels=pixels_for_longer_side(capture, longer))) == longer


def test_an_interrupted_training_keeps_what_there_is_and_goes_on_to_the_same_bytes(
    tiny_capture: Path, tmp_path: Path
) -> None:
    (tmp_path / "whole").mkdir()
    whole = train_capture(request_for(tiny_capture, tmp_path / "whole"), RunningJob())
    request = request_for(tiny_capture, tmp_path)
    stopped = train_capture(request, watched(StopsAt(7)))
    assert (stopped.finished, stopped.stopped, stopped.steps) == (False, "interrupted", 7)
    written = json.loads((tmp_path / "scene.json").read_text())
    assert written["finished"] is False and written["psnr"] is not None
    assert len(read_cloud(tmp_path / "scene.ply")) == stopped.splats
    assert (tmp_path / "scene.ply.training").is_dir()

    resumed = train_capture(replace(request, resume=True), RunningJob())
    assert resumed.finished and resumed.resumed and resumed.steps == 20
    assert (tmp_path / "scene.ply").read_bytes() == (tmp_path / "whole" / "scene.ply").read_bytes()
    assert resumed.psnr == whole.psnr
    assert not (tmp_path / "scene.ply.training").exists()


def test_a_crashed_training_reports_nothing_and_goes_on_to_the_same_bytes(tiny_capture: Path, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    train_capture(request_for(tiny_capture, tmp_path / "whole"), RunningJob())
    request = request_for(tiny_capture, tmp_path)
    train_capture(replace(request, steps=2), RunningJob())
    old = (tmp_path / "scene.ply").read_bytes()
    with pytest.raises(RuntimeError, match="crash"):
        train_capture(request, watched(DiesAt(13)))
    # The splats of the earlier training are still whole, but no report says that this one finished.
    assert (tmp_path / "scene.ply").read_bytes() == old
    assert not (tmp_path / "scene.json").exists()
    train_capture(replace(request, resume=True), RunningJob())
    assert (tmp_path / "scene.ply").read_bytes() == (tmp_path / "whole" / "scene.ply").read_bytes()


def test_starting_anew_beside_an_unfinished_training_says_so(tiny_capture: Path, tmp_path: Path) -> None:
    request = request_for(tiny_capture, tmp_path)
    train_capture(request, watched(StopsAt(7)))
    watcher = StopsAt(-1)
    train_capture(request, watched(watcher))
    assert any("unfinished training" in note and "--resume" in note for note in watcher.notes)


def test_the_time_limit_keeps_the_result_and_is_no_failure(tiny_capture: Path, tmp_path: Path) -> None:
    job = RunningJob(minutes=1e-9)
    report = train_capture(request_for(tiny_capture, tmp_path, steps=100_000), job)
    assert (report.finished, report.stopped) == (False, "minutes") and report.steps < 100
    assert len(read_cloud(tmp_path / "scene.ply")) == report.splats > 0


def test_kept_checkpoints_stay(tiny_capture: Path, tmp_path: Path) -> None:
    train_capture(request_for(tiny_capture, tmp_path, keep_checkpoints=True), RunningJob())
    assert (tmp_path / "scene.ply.training").is_dir()


def test_resuming_with_other_settings_is_refused_and_keeps_everything(tiny_capture: Path, tmp_path: Path) -> None:
    request = request_for(tiny_capture, tmp_path)
    train_capture(request, watched(StopsAt(7)))
    splats = (tmp_path / "scene.ply").read_bytes()
    with pytest.raises(UserError, match="steps"):
        train_capture(replace(request, resume=True, steps=30), RunningJob())
    assert (tmp_path / "scene.ply").read_bytes() == splats
    assert train_capture(replace(request, resume=True), RunningJob()).finished


def test_points_found_by_matching_are_kept_for_the_resume(
    tiny_capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pointless = tmp_path / "pointless"
    shutil.copytree(tiny_capture, pointless)
    transforms = json.loads((pointless / "transforms.json").read_text())
    del transforms["ply_file_path"]
    (pointless / "transforms.json").write_text(json.dumps(transforms))
    points = load_capture(tiny_capture).points
    assert points is not None
    calls = 0

    def different_every_time(capture, **options):
        nonlocal calls
        calls += 1
        return replace(points, positions=points.positions + np.float32(0.01 * calls))

    monkeypatch.setattr(training_scene, "triangulate_points", different_every_time)
    request = request_for(pointless, tmp_path)
    train_capture(request, watched(StopsAt(7)))
    report = train_capture(replace(request, resume=True), RunningJob())
    assert calls == 1 and report.finished and report.points == len(points.positions)


def test_without_any_points_training_starts_from_random_ones(
    tiny_capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pointless = tmp_path / "pointless"
    shutil.copytree(tiny_capture, pointless)
    transforms = json.loads((pointless / "transforms.json").read_text())
    del transforms["ply_file_path"]
    (pointless / "transforms.json").write_text(json.dumps(transforms))
    monkeypatch.setattr(training_scene, "triangulate_points", lambda capture, **options: None)
    watcher = StopsAt(-1)
    report = train_capture(request_for(pointless, tmp_path), watched(watcher))
    assert report.points == 0 and report.finished
    assert any("random" in note for note in watcher.notes)


def test_missing_photos_are_a_warning_or_with_strict_an_error(
    tiny_capture: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    incomplete = tmp_path / "incomplete"
    shutil.copytree(tiny_capture, incomplete)
    (incomplete / "images" / "0003.png").unlink()
    with caplog.at_level(logging.WARNING, "backend"):
        report = train_capture(request_for(incomplete, tmp_path, steps=2), RunningJob())
    assert "0003.png" in caplog.text and any("0003.png" in warning for warning in report.warnings)
    with pytest.raises(UserError, match="strict"):
        train_capture(request_for(incomplete, tmp_path, strict=True), RunningJob())


@pytest.mark.parametrize(
    "wishes, words",
    [
        ({"method": "magic"}, "no method called 'magic'"),
        ({"settings": {"sh_degree": "9"}}, "'sh_degree'"),
        ({"settings": {"background": "pinkish"}}, "pinkish"),
        ({"seed": 2**40}, "'seed'"),
        ({"resume": True}, "nothing to resume"),
        ({"masks": "segment"}, "masks"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_touched(
    tiny_capture: Path, tmp_path: Path, wishes: dict, words: str
) -> None:
    (tmp_path / "scene.json").write_text("old")
    with pytest.raises(UserError, match=words):
        train_capture(request_for(tiny_capture, tmp_path, **wishes), RunningJob())
    assert [p.name for p in tmp_path.iterdir()] == ["scene.json"]
    assert (tmp_path / "scene.json").read_text() == "old"


def test_outputs_that_cannot_be_written_are_refused_at_once(tiny_capture: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot be made"):
        train_capture(replace(request_for(tiny_capture, tmp_path), output=tmp_path / "file" / "a.ply"), RunningJob())
    with pytest.raises(UserError, match="is a folder"):
        train_capture(replace(request_for(tiny_capture, tmp_path), report=tmp_path), RunningJob())
    with pytest.raises(UserError, match=r"scene\.obj.*\.ply"):
        train_capture(replace(request_for(tiny_capture, tmp_path), output=tmp_path / "scene.obj"), RunningJob())


def test_a_training_that_never_began_leaves_nothing_behind(tiny_capture: Path, tmp_path: Path) -> None:
    class InterruptsReading(StopsAt):
        def stage(self, text: str) -> None:
            if "Reading" in text and "photos" in text:
                raise KeyboardInterrupt

    (tmp_path / "scene.json").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        train_capture(request_for(tiny_capture, tmp_path), watched(InterruptsReading(-1)))
    assert not list(tmp_path.iterdir())
