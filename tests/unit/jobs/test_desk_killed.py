"""A process that is killed in any phase of a job costs a restart, and the result is the same to the last bit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from backend.captures import make_capture
from backend.jobs.desk import Desk
from backend.store.cards import JobCard
from backend.store.checking import check_workspace
from backend.store.workspace import Workspace
from shared_protocol.messages import Event, JobNote, JobProgress, Splats
from tests.unit.jobs.desk_process import STEPS, wish

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are killed the POSIX way")

SCRIPT = Path(__file__).with_name("desk_process.py")
REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without points, so that they have to be looked for."""
    folder = make_capture(tmp_path_factory.mktemp("capture") / "tiny", views=9, width=48, height=32)
    return folder


def killed_in(phase: str, workspace: Path, capture: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), str(workspace), str(capture), phase]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def finished(workspace: Path, events: list[Event]) -> tuple[Desk, str, str]:
    """Opens the workspace as the next process does, and waits for the job: the desk, the job and its asset."""
    desk = Desk(workspace, device="cpu", on_event=events.append, on_fatal=print)
    (state,) = desk.jobs()
    wait_for(lambda: desk.job(state.job).status in ("finished", "failed"))
    assert desk.job(state.job).status == "finished", desk.job(state.job).failure
    return desk, state.job, state.asset


def same(one: Splats, two: Splats) -> bool:
    names = ("means", "quats", "log_scales", "opacity_logits", "sh")
    return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in names)


@pytest.fixture(scope="module")
def undisturbed(capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Splats:
    desk = Desk(tmp_path_factory.mktemp("whole") / "w", device="cpu", on_event=lambda event: None, on_fatal=print)
    state = desk.submit(wish(capture))
    wait_for(lambda: desk.job(state.job).status == "finished")
    splats = desk.bake(state.asset)
    desk.close()
    return splats


@pytest.mark.parametrize(
    "phase",
    [
        "queued",
        "running",
        "Reading the capture",
        "Finding points",
        "Reading 9 photos",
        f"step {STEPS // 2 + 1}",
        f"step {STEPS}",
        "Storing",
        "stored",
        "Measuring",
    ],
)
def test_killed_in_any_phase_the_job_goes_on_to_the_same_splats(
    phase: str, capture: Path, tmp_path: Path, undisturbed: Splats
) -> None:
    workspace, events = tmp_path / "w", list[Event]()
    killed_in(phase, workspace, capture)
    desk, job, asset = finished(workspace, events)
    assert same(desk.bake(asset), undisturbed)
    (version,) = desk.versions(asset)
    assert version.label == f"MCMC, {STEPS} steps"
    state = desk.job(job)
    assert state.resumed == (0 if phase == "queued" else 1) and (state.step, state.steps) == (STEPS, STEPS)
    notes = " ".join(event.text for event in events if isinstance(event, JobNote))
    if phase == f"step {STEPS // 2 + 1}":
        assert "Going on from the checkpoint of step" in notes
        first = next(e.step for e in events if isinstance(e, JobProgress) and e.stage == "Training" and e.step)
        assert first > STEPS // 2
    assert json.loads((workspace / "jobs" / job / "report.json").read_text())["finished"]
    assert not list((workspace / "jobs" / job / "training").glob("step_*"))
    desk.close()
    reopened = Workspace(workspace)
    assert check_workspace(reopened) == [] and reopened.mended == 0
    card = reopened.catalogue.find(JobCard, job)
    assert card is not None and card.status == "finished"
    reopened.close()


def test_killed_while_poses_are_sought_the_search_begins_anew(tmp_path: Path) -> None:
    # Photos of some size, so that the search still goes on when it is cancelled.
    photos = tmp_path / "photos"
    shutil.copytree(make_capture(tmp_path / "large", views=16, width=240, height=160) / "images", photos)
    killed_in("Finding the camera poses", tmp_path / "w", photos)
    events: list[Event] = []
    desk = Desk(tmp_path / "w", device="cpu", on_event=events.append, on_fatal=print)
    (state,) = desk.jobs()
    wait_for(lambda: any(isinstance(event, JobProgress) and event.step for event in events))
    assert state.resumed == 1 and desk.job(state.job).stage == "Finding the camera poses"
    assert desk.cancel(state.job, False).status == "cancelled"
    wait_for(lambda: desk.is_idle)
    assert desk.assets() == () and not list(photos.glob(".splatwright*"))
    desk.close()
