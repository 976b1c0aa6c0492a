"""The working process of a real training dies in every phase; each time it costs a reconnect and a resume, no more.

The job waits in its phase until it is killed (see mortal_child.py), so nothing here depends on who is faster.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.captures import make_capture
from shared_protocol.client import connect_to
from shared_protocol.connection import local_target
from shared_protocol.messages import Event, JobNote, JobProgress, Preview
from shared_protocol.remote import Backend

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are killed the POSIX way")
REPOSITORY = Path(__file__).resolve().parents[2]
STEPS = 60
KILLED = "The working process was killed; most likely the computer's memory was used up."
POISONED = "The GPU stopped working (CUDA error: an illegal memory access was encountered)."


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One with points, one whose points have to be found, and photos whose poses have to be found as well."""
    folder = tmp_path_factory.mktemp("captures")
    whole = make_capture(folder / "whole", views=9, width=48, height=32, points=150)
    pointless = make_capture(folder / "pointless", views=9, width=48, height=32)
    shutil.copytree(
        make_capture(folder / "arc", views=6, width=240, height=180, arc=40.0) / "images", folder / "photos"
    )
    return {"whole": whole, "pointless": pointless, "photos": folder / "photos"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[bytes]]:
    home = tmp_path_factory.mktemp("home")
    command = [sys.executable, str(Path(__file__).with_name("mortal_serve.py")), str(home)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, cwd=home) as process:
        wait_for(lambda: (home / "backend.json").exists() or process.poll() is not None)
        yield process
        process.terminate()
        assert process.wait(60) == 0


class Client:
    """A connected client and all it heard."""

    def __init__(self, home: Path) -> None:
        self.events: list[Event | Preview] = []
        self.backend = connect_to(
            lambda: local_target(home / "backend.json"), timeout_s=60, on_event=self.events.append
        )

    def heard(self, job: str, stage: str, step: int) -> bool:
        told = [event for event in self.events if isinstance(event, JobProgress) and event.job == job]
        return any(event.stage.startswith(stage) and event.step >= step for event in told)

    def notes(self, job: str) -> str:
        return " ".join(event.text for event in self.events if isinstance(event, JobNote) and event.job == job)


@pytest.fixture
def client(served: subprocess.Popen[bytes]) -> Iterator[Client]:
    client = Client(Path(os.readlink(f"/proc/{served.pid}/cwd")))
    with client.backend:
        yield client


def child_of(served: subprocess.Popen[bytes]) -> int:
    (child,) = Path(f"/proc/{served.pid}/task/{served.pid}/children").read_text().split()
    return int(child)


@pytest.mark.parametrize(
    ("capture", "fate", "stage", "step", "why"),
    [
        ("photos", "held", "Finding the camera poses", 7, KILLED),
        ("whole", "held", "Reading the capture", 0, KILLED),
        ("pointless", "held", "Finding points", 1, KILLED),
        ("whole", "held", "Reading 9 photos", 1, KILLED),
        ("whole", "held", "Training", STEPS // 2, KILLED),
        ("whole", "held", "Storing the splats", 0, KILLED),
        ("whole", "held", "Measuring", 1, KILLED),
        ("whole", "aborted", "Training", STEPS // 2, "The working process aborted."),
        ("whole", "poisoned", "Training", STEPS // 2, POISONED),
    ],
)
def test_a_job_goes_on_after_the_death_of_its_process(
    served: subprocess.Popen[bytes],
    client: Client,
    captures: dict[str, Path],
    capture: str,
    fate: str,
    stage: str,
    step: int,
    why: str,
) -> None:
    backend: Backend = client.backend
    assert backend.welcome is not None
    before = backend.welcome.session
    settings = {"checkpoint_every": 0.01, "coarse_until": 0.0}
    name = f"{fate} in {stage} from step {step}"
    job = backend.train(captures[capture], name=name, steps=STEPS, max_splats=200, resolution=48, settings=settings)
    if fate == "held":
        wait_for(lambda: client.heard(job.id, stage, step))
        os.kill(child_of(served), signal.SIGKILL)
    wait_for(lambda: backend.welcome is not None and backend.welcome.session != before)
    assert backend.welcome is not None and backend.welcome.ended[-1] == why and why in backend.why

    state = backend.job(job.id).wait(120)
    assert state.status == "finished" and state.name == name and (state.step, state.resumed) == (STEPS, 1)
    (version,) = backend.versions(state.asset)
    assert version.splats == state.figures["splats"] > 0 and state.figures["psnr"] > 5
    if stage in ("Training", "Storing the splats", "Measuring"):
        assert "Going on from the checkpoint of step" in client.notes(job.id)
    home = Path(os.readlink(f"/proc/{served.pid}/cwd"))
    left = [path.name for folder in (captures[capture], home) for path in folder.rglob("*splatwright-*")]
    assert not left, "what the killed process was working on is gone"
