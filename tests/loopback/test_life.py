"""Parents, children and owners that end: real processes, with a desk that only counts."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from backend.server.family import Patience
from backend.server.parent import MOST_RESTARTS, WITHIN_S, RestartBudget, cause_of_death
from shared_protocol.client import connect_to
from shared_protocol.connection import Connection, local_target, read_private
from shared_protocol.errors import UserError
from shared_protocol.messages import Render, Train
from shared_protocol.remote import Backend
from shared_protocol.things import IDENTITY, FolderCapture, ViewCamera

resource = pytest.importorskip("resource", reason="processes are killed the POSIX way")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are killed the POSIX way")
REPOSITORY = Path(__file__).resolve().parents[2]


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


class Served:
    """`serve` with the fake child; what both write to the log stands in `log`."""

    def __init__(self, home: Path, *arguments: str, patience: Patience | None = None) -> None:
        self.file = home / "backend.json"
        self.workspace = home / (arguments[0] if arguments else "workspace")
        self.log = home / "log.txt"
        environment = {
            "PYTHONPATH": str(REPOSITORY),
            "FAKE_SERVE_PATIENCE": msgspec.json.encode(patience or Patience()).decode(),
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("fake_serve.py")), str(home), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    def connect(self) -> Backend:
        wait_for(lambda: self.file.exists() or self.process.poll() is not None)
        return connect_to(lambda: local_target(self.file), timeout_s=20)

    def child(self) -> int:
        """The process id of the working child."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        (id,) = path.read_text().split()
        return int(id)

    def ended(self, seconds: float = 20) -> int:
        return self.process.wait(seconds)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, **options: Patience) -> Served:
            served = Served(tmp_path, *arguments, **options)
            stack.callback(served.process.__exit__, None, None, None)
            stack.callback(served.process.kill)
            return served

        yield start


def train(backend: Backend, pace: float = 100, steps: int = 1000) -> str:
    folder = str(Path(os.sep).absolute())
    backend_job = Train(name="a", capture=FolderCapture(path=folder), steps=steps, settings={"pace": pace})
    from shared_protocol.messages import AllowFolder, Done, JobAccepted

    backend.request(AllowFolder(path=folder), Done)
    return backend.request(backend_job, JobAccepted).job.job


def test_the_connection_file_is_private_and_goes_away(serve: Callable[..., Served]) -> None:
    served = serve()
    with served.connect() as backend:
        assert backend.is_local
        assert served.file.stat().st_mode & 0o777 == 0o600
        assert len(read_private(served.file, Connection).token) == 64
    served.process.send_signal(signal.SIGTERM)
    assert served.ended() == 0 and not served.file.exists()
    assert (served.workspace / "closed").exists()


@pytest.mark.parametrize(
    ("death", "told"),
    [("SIGKILL", "memory"), ("SIGABRT", "aborted"), ("SIGSEGV", "SIGSEGV"), ("poison", "The GPU stopped working")],
)
def test_a_child_that_dies_costs_a_reconnect_and_the_client_is_told_why(
    serve: Callable[..., Served], death: str, told: str
) -> None:
    served = serve()
    with served.connect() as backend:
        before = read_private(served.file, Connection)
        with pytest.raises(UserError):
            backend.rename(death, "")
        wait_for(lambda: backend.state == "connected" and backend.welcome is not None and backend.welcome.ended)
        assert backend.welcome is not None and told in backend.welcome.ended[-1] and told in backend.why
        assert read_private(served.file, Connection) == before, "the ports and the token stay"
        assert backend.methods()


def test_the_fourth_death_in_ten_minutes_is_the_last(serve: Callable[..., Served]) -> None:
    served = serve()
    with served.connect() as backend:
        for _ in range(MOST_RESTARTS):
            with pytest.raises(UserError):
                backend.rename("SIGABRT", "")
            wait_for(lambda: backend.state == "connected")
        with pytest.raises(UserError):
            backend.rename("SIGABRT", "")
        assert served.ended() == 1
        wait_for(lambda: backend.state == "absent")
        assert "died 4 times" in backend.why and "aborted" in backend.why
    with pytest.raises(UserError, match="aborted"):
        local_target(served.file)


def hang(backend: Backend, how: str) -> None:
    """Makes the loop of the working child hang; nothing answers any more."""
    camera = ViewCamera(camera_from_world=IDENTITY, fx=9, fy=9, cx=4, cy=4, width=8, height=8)
    backend.ask(Render(objects=(), camera=camera, stream=how))


@pytest.mark.parametrize("how", ["deadlock", "deadlock in C"])
def test_a_child_that_hangs_is_replaced_and_the_log_says_where_it_stood(serve: Callable[..., Served], how: str) -> None:
    served = serve(patience=Patience(working_s=3))
    with served.connect() as backend:
        child = served.child()
        hang(backend, how)
        wait_for(lambda: backend.state == "connected" and backend.welcome is not None and backend.welcome.ended)
        assert backend.welcome is not None
        assert backend.welcome.ended == ("The working process hung: it gave no answer for 3 s and was stopped.",)
        assert backend.methods() and served.child() != child
    stacks = served.log.read_text()
    assert "fake_child.py" in stacks and "in render" in stacks and "in receive" in stacks


def test_a_child_that_hangs_while_it_starts_is_given_up(serve: Callable[..., Served]) -> None:
    served = serve("stuck", patience=Patience(starting_s=1.5, working_s=5))
    assert served.ended(60) == 1
    assert served.process.stdout is not None
    said = served.process.stdout.read()
    assert said.count("gave no answer for 2 s") == MOST_RESTARTS + 1 and "died 4 times" in said
    assert "in make_desk" in served.log.read_text()


def test_a_stopped_child_is_replaced_but_not_one_that_sleeps_with_its_parent(serve: Callable[..., Served]) -> None:
    served = serve(patience=Patience(working_s=5))
    with served.connect() as backend:
        child = served.child()
        os.killpg(served.process.pid, signal.SIGSTOP)  # Ctrl-Z, or the lid of a laptop
        time.sleep(6)
        os.killpg(served.process.pid, signal.SIGCONT)
        assert backend.methods() and served.child() == child
        time.sleep(1)  # several looks of the parent
        assert served.child() == child and backend.welcome is not None and not backend.welcome.ended
        os.kill(child, signal.SIGSTOP)
        wait_for(lambda: backend.welcome is not None and backend.welcome.ended)
        assert "hung" in backend.welcome.ended[-1] and served.child() != child


def test_a_busy_job_is_not_taken_for_a_child_that_hangs(serve: Callable[..., Served]) -> None:
    served = serve(patience=Patience(working_s=5))
    with served.connect() as backend:
        child, job = served.child(), train(backend, pace=0.1)  # a step takes ten seconds
        time.sleep(6)
        assert served.child() == child and backend.job(job).state().step == 0


def test_a_child_that_hangs_does_not_outlive_its_parent(serve: Callable[..., Served]) -> None:
    served = serve(patience=Patience(ending_s=2))
    with served.connect() as backend:
        child = served.child()
        hang(backend, "deadlock")
        served.process.kill()
        wait_for(lambda: has_ended(child))
    assert "in render" in served.log.read_text()


def test_strangers_do_not_use_up_the_files_of_a_backend(serve: Callable[..., Served]) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))
    try:
        served = serve()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    with served.connect() as backend, contextlib.ExitStack() as strangers:
        limit = re.search(r"Max open files +(\d+)", Path(f"/proc/{served.child()}/limits").read_text())
        assert limit is not None and int(limit[1]) >= min(1024, limits[1])
        port = int(read_private(served.file, Connection).control.rpartition(":")[2])
        for _ in range(200):
            strangers.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        with served.connect() as another:
            assert another.methods() and another.welcome is not None and not another.welcome.ended
        assert backend.methods() and backend.welcome is not None and not backend.welcome.ended


def has_ended(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    return not status.exists() or "Z" in status.read_text()


def test_a_child_does_not_outlive_its_parent(serve: Callable[..., Served]) -> None:
    served = serve()
    with served.connect() as backend:
        train(backend)
        child = served.child()
        served.process.kill()
        wait_for((served.workspace / "closed").exists)
        assert (served.workspace / "closed").read_text() == str(child)
        wait_for(lambda: has_ended(child))


def test_without_a_job_it_ends_soon_after_its_owner(serve: Callable[..., Served]) -> None:
    served = serve("workspace", "finish")
    with served.connect():
        assert served.process.stdin is not None
        served.process.stdin.close()
        started = time.monotonic()
        assert served.ended() == 0 and time.monotonic() - started < 10


def test_with_a_job_it_finishes_it_after_its_owner_ended(serve: Callable[..., Served]) -> None:
    served = serve("workspace", "finish")
    with served.connect() as backend:
        job = train(backend, pace=100, steps=150)
        assert served.process.stdin is not None
        served.process.stdin.close()
        assert backend.wait_for_job(job, 20).status == "finished"
        assert served.ended() == 0


def test_with_a_job_it_checkpoints_and_ends_if_preferred(serve: Callable[..., Served]) -> None:
    served = serve("workspace", "checkpoint")
    with served.connect() as backend:
        train(backend, pace=100, steps=100_000)
        assert served.process.stdin is not None
        served.process.stdin.close()
        started = time.monotonic()
        assert served.ended() == 0 and time.monotonic() - started < 10
        assert (served.workspace / "closed").exists()


def test_its_owner_may_ask_it_to_end_although_a_job_would_be_finished(serve: Callable[..., Served]) -> None:
    served = serve("workspace", "finish")
    with served.connect() as backend:
        train(backend, pace=100, steps=100_000)
        assert served.process.stdin is not None
        served.process.stdin.write("end\n")
        served.process.stdin.flush()
        started = time.monotonic()
        assert served.ended() == 0 and time.monotonic() - started < 10
        assert (served.workspace / "closed").exists()


def test_started_by_hand_it_stays_when_standard_input_closes(serve: Callable[..., Served]) -> None:
    served = serve()
    with served.connect() as backend:
        assert served.process.stdin is not None
        served.process.stdin.close()
        time.sleep(0.5)
        assert served.process.poll() is None and backend.methods()


def test_what_it_cannot_start_is_said_once(serve: Callable[..., Served]) -> None:
    served = serve("locked")
    assert served.ended() == 1
    assert served.process.stdout is not None
    assert served.process.stdout.read().strip() == "Another backend works here. End it."
    assert not served.file.exists()


def test_three_restarts_in_ten_minutes_and_then_more() -> None:
    now = 0.0
    budget = RestartBudget(lambda: now)
    assert [budget.spend() for _ in range(MOST_RESTARTS + 1)] == [True] * MOST_RESTARTS + [False]
    now = WITHIN_S + 1
    assert budget.spend()


def test_causes_of_death_are_told_apart() -> None:
    assert len({cause_of_death(code) for code in (-9, -6, -11, 1, 71)}) == 5


def test_orders_and_reports_survive_their_line() -> None:
    from backend.server.family import FromChild, FromParent, OwnerGone, Ready, line
    from backend.server.listening import Address

    ready = Ready(control="tcp://127.0.0.1:1", bulk="tcp://127.0.0.1:2", address=Address("127.0.0.1", 1, 2))
    assert msgspec.json.decode(line(ready), type=FromChild) == ready
    assert msgspec.json.decode(line(OwnerGone("finish")), type=FromParent) == OwnerGone("finish")
