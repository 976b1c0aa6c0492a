"""`splatwright serve` as people start it, with real training: the example of the docs, a rest, an owner that ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from backend.captures import make_capture
from backend.splats.io import describe_file
from shared_protocol.client import connect
from shared_protocol.errors import UserError
from shared_protocol.messages import Render
from shared_protocol.remote import Backend, Job
from shared_protocol.things import SceneObject, ViewCamera

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are killed the POSIX way")
REPOSITORY = Path(__file__).resolve().parents[2]


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


class Served:
    def __init__(self, home: Path, *options: str) -> None:
        command = [sys.executable, "-m", "backend", "serve", "--workspace", str(home / "workspace")]
        self.workspace = home / "workspace"
        with (home / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--device", "cpu", "--threads", "1", *options],
                cwd=REPOSITORY,
                env={**os.environ, "SPLATWRIGHT_HOME": str(home)},
                stdin=subprocess.PIPE,
                stderr=log,
            )
        wait_for(lambda: (home / "backend.json").exists() or self.process.poll() is not None)

    def child(self) -> int:
        """The process id of the working child."""
        (child,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(child)

    def kill_child(self) -> None:
        os.kill(self.child(), signal.SIGKILL)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    before = os.environ.get("SPLATWRIGHT_HOME")
    os.environ["SPLATWRIGHT_HOME"] = str(folder)
    yield folder
    os.environ.pop("SPLATWRIGHT_HOME")
    if before is not None:
        os.environ["SPLATWRIGHT_HOME"] = before


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_capture(tmp_path_factory.mktemp("real") / "capture", views=9, width=48, height=32, points=150)


@pytest.fixture(scope="module")
def served(home: Path) -> Iterator[Served]:
    served = Served(home)
    yield served
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(120) == 0
    assert served.process.stdin is not None
    served.process.stdin.close()


@pytest.fixture(scope="module")
def backend(served: Served) -> Iterator[Backend]:
    with connect() as backend:
        yield backend


def trains(job: Job) -> bool:
    state = job.state()
    return state.stage == "Training" and state.step > 3


def camera(capture: Path) -> ViewCamera:
    from backend.captures import load_capture

    seen = load_capture(capture).views[0].camera
    matrix = tuple(float(number) for number in np.asarray(seen.camera_from_world).ravel())
    return ViewCamera(
        camera_from_world=matrix,  # type: ignore[arg-type]
        fx=seen.fx,
        fy=seen.fy,
        cx=seen.cx,
        cy=seen.cy,
        width=seen.width,
        height=seen.height,
    )


def test_the_example_of_the_docs_works(
    backend: Backend, capture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    training, methods = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs/client.md").read_text(), re.DOTALL)
    monkeypatch.chdir(capture.parent)
    exec(compile(training, "docs/client.md", "exec"), {})
    assert capsys.readouterr().out == "finished\n"
    assert describe_file(capture.parent / "garden.ply").count > 0
    exec(compile(methods, "docs/client.md", "exec"), {})
    assert capsys.readouterr().out == "finished True\n9 48\n"
    (garden,) = (asset for asset in backend.assets() if asset.name == "garden")
    assert garden.bounds is not None and garden.up == (0.0, 0.0, 1.0)
    request = Render(objects=(SceneObject(asset=garden.asset),), camera=camera(capture), pixels="float32")
    posed = msgspec.structs.replace(request, objects=(SceneObject(asset=garden.asset, pose="my script, garden"),))
    rest, moved = backend.render(request), backend.render(posed)
    assert rest is not None and moved is not None and np.abs(rest.color - moved.color).max() > 0.05


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads what is loaded the Linux way")
def test_the_parent_stays_small(backend: Backend, served: Served) -> None:
    def loaded(process: int) -> str:
        return Path(f"/proc/{process}/maps").read_text()

    assert "torch" not in loaded(served.process.pid) and "torch" in loaded(served.child())


def test_a_running_job_is_drawn_previewed_and_cancelled_at_once(backend: Backend, capture: Path) -> None:
    job = backend.train(capture, name="drawn", steps=1_000_000)
    wait_for(lambda: trains(job))
    job.watch(0.05)
    view = Render(objects=(SceneObject(asset=job.state().asset),), camera=camera(capture))
    picture = backend.render(view)
    assert picture is not None and picture.color.shape == (32, 48, 4) and picture.color.any() and picture.step > 0
    wait_for(lambda: job.id in backend.previews)
    assert backend.previews[job.id].splats.means.shape[1] == 3
    assert job.cancel().status == "cancelled"  # how soon it is answered is measured by benchmarks/protocol.py
    following = backend.train(capture, name="following", steps=3)
    assert following.wait(60).status == "finished", "the cancelled job's thread is free"


def test_a_job_that_rests_and_one_that_waits_outlive_the_killing_of_the_process(
    backend: Backend, served: Served, capture: Path
) -> None:
    job = backend.train(capture, name="resting", steps=1_000_000)
    wait_for(lambda: trains(job))
    job.pause()
    wait_for(lambda: job.state().status == "paused")
    step = job.state().step
    wait_for(lambda: list(served.workspace.glob(f"jobs/{job.id}/training/step_{step:08d}.json")))
    assert backend.welcome is not None
    before = backend.welcome.session
    served.kill_child()
    wait_for(lambda: backend.state == "connected" and backend.welcome and backend.welcome.session != before)
    assert backend.welcome.ended and "killed" in backend.welcome.ended[-1]
    assert (job.state().name, job.state().status) == ("resting", "paused"), "found again by its id"
    job.resume()
    waiting = backend.train(capture, name="waiting", steps=20)
    wait_for(lambda: trains(job) and job.state().step > step)
    assert waiting.state().status == "queued"
    assert job.cancel(keep=True).job == job.id
    assert job.wait(60).status == "stopped" and job.state().step > step
    assert waiting.wait(60).status == "finished"


def test_the_owners_end_is_answered_with_a_checkpoint_or_with_the_rest_of_the_work(
    capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLATWRIGHT_HOME", str(tmp_path))

    def owner_ends(served: Served) -> None:
        assert served.process.stdin is not None
        served.process.stdin.close()
        assert served.process.wait(120) == 0 and not (tmp_path / "backend.json").exists()

    served = Served(tmp_path, "--owned", "--at-end", "checkpoint")
    with connect() as backend:
        orphan = backend.train(capture, name="orphan", steps=1_000_000, max_splats=200)
        wait_for(lambda: trains(orphan))
        owner_ends(served)
    (checkpoint,) = served.workspace.glob(f"jobs/{orphan.id}/training/step_*.json")
    assert int(checkpoint.stem.removeprefix("step_")) > 3

    served = Served(tmp_path, "--owned", "--at-end", "finish")
    with connect() as backend:
        state = backend.job(orphan.id).state()
        assert state.resumed == 1 and state.status in ("queued", "running"), "it goes on by itself"
        finishing = backend.train(capture, name="finishing", steps=200, max_splats=200)
        backend.job(orphan.id).cancel()
        owner_ends(served)
    card = msgspec.json.decode((served.workspace / "jobs" / finishing.id / "job.json").read_bytes())
    assert (card["status"], card["step"]) == ("finished", 200)


def test_what_is_wrong_with_a_capture_is_said_in_words(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    job = backend.train(tmp_path / "empty", name="nothing")
    with pytest.raises(UserError) as raised:
        job.wait(30)
    assert "empty" in raised.value.message
    assert job.state().status == "failed"
