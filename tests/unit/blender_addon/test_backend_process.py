"""The process, the link and the targets together, with a real `serve` whose desk is the fake one (no torch)."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from blender_addon.core.events import Heard, LinkChanged
from blender_addon.link import targets
from blender_addon.link.backend_link import BackendLink, GoneError
from blender_addon.link.backend_process import BackendProcess, last_words, log_tail
from shared_protocol.connection import ClientKeys, Connection, read_private, write_private
from shared_protocol.errors import UserError
from shared_protocol.messages import Catalog, JobChanged, JobList, ListJobs, ListMethods, RenameAsset
from shared_protocol.things import AssetInfo

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the fake backend is killed the POSIX way")
REPOSITORY = Path(__file__).resolve().parents[3]
FAKE_SERVE = REPOSITORY / "tests" / "loopback" / "fake_serve.py"


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


class Blender:
    """What the main thread would see."""

    def __init__(self, home: Path) -> None:
        self.home, self.file, self.log = home, home / "backend.json", home / "backend.log"
        self.ended: list[BackendProcess] = []
        self.events: list[Heard | LinkChanged] = []
        self._started: list[BackendProcess] = []
        self._links: list[BackendLink] = []

    def process(self, workspace: str = "workspace", after: BackendProcess | None = None) -> BackendProcess:
        command = (sys.executable, str(FAKE_SERVE), str(self.home), workspace, "finish")
        process = BackendProcess(command, self.log, on_end=self.ended.append, after=after)
        self._started.append(process)
        process.start()
        return process

    def link(self, find: targets.Find | None = None) -> BackendLink:
        link = BackendLink(find or targets.local(self.file))
        self._links.append(link)
        link.start()
        return link

    def drained(self, link: BackendLink) -> list[Heard | LinkChanged]:
        self.events += link.drain()
        return self.events

    def states(self, link: BackendLink) -> list[str]:
        return [event.state for event in self.drained(link) if isinstance(event, LinkChanged)]

    def close(self) -> None:
        for link in self._links:
            link.close()
        for process in self._started:
            process.stop()
        assert all(process.wait(30) for process in self._started)


@pytest.fixture
def blender(tmp_path: Path) -> Iterator[Blender]:
    blender = Blender(tmp_path)
    yield blender
    blender.close()


def test_a_backend_of_ours_starts_speaks_and_ends_when_asked(blender: Blender) -> None:
    process = blender.process()
    link = blender.link(targets.local(blender.file, not_token=""))
    wait_for(lambda: link.is_connected)
    assert blender.states(link)[-1] == "connected"
    connected = [event for event in blender.events if isinstance(event, LinkChanged)][-1]
    assert connected.is_local and connected.device == "cpu" and connected.ended == ()
    assert link.request(ListMethods(), Catalog).methods[0].id == "counting"
    process.stop()
    assert process.wait(20) and process.reason == "" and blender.ended == [process]
    assert not blender.file.exists()


def test_events_come_by_the_queue_and_futures_by_themselves(blender: Blender, tmp_path: Path) -> None:
    blender.process()
    link = blender.link(targets.local(blender.file, not_token=""))
    wait_for(lambda: link.is_connected)
    (tmp_path / "capture").mkdir()
    job = link.backend.train(tmp_path / "capture", steps=3, settings={"pace": 100.0})
    answer = link.ask(ListJobs()).result(10)
    assert isinstance(answer, JobList) and [state.job for state in answer.jobs] == [job.id]

    def is_finished() -> bool:
        heard = [event.message for event in blender.drained(link) if isinstance(event, Heard)]
        return any(isinstance(m, JobChanged) and m.job.status == "finished" for m in heard)

    wait_for(is_finished)
    clock = [event.at for event in blender.events if isinstance(event, Heard)]
    assert clock == sorted(clock)
    assert link.drain() == []


def test_when_blender_dies_the_backend_ends_by_its_closed_input(blender: Blender) -> None:
    process = blender.process()
    wait_for(blender.file.exists)
    process.let_go()
    assert process.wait(0) and blender.ended == []  # nobody watches it, so that no thread wakes up in a dying Blender
    wait_for(lambda: not blender.file.exists())


def test_an_early_death_is_told_with_its_reason(blender: Blender) -> None:
    process = blender.process("locked")
    assert process.wait(20)
    assert process.reason == "Another backend works here. End it." and blender.ended == [process]
    assert last_words(blender.log) == process.reason and log_tail(blender.log) == [process.reason]


def test_a_command_that_is_not_there_is_told_too(tmp_path: Path) -> None:
    process = BackendProcess(("/nowhere/splatwright",), tmp_path / "backend.log", on_end=lambda _: None)
    process.start()
    assert process.wait(20) and "'/nowhere/splatwright' cannot be run" in process.reason


def test_stopped_before_it_began_it_never_runs(blender: Blender) -> None:
    first = blender.process()
    wait_for(blender.file.exists)
    second = blender.process(after=first)
    second.stop()
    first.stop()
    assert first.wait(20) and second.wait(20) and second.reason == ""
    assert not blender.log.with_suffix(".previous.log").exists()


def test_the_next_one_waits_until_the_last_one_has_ended(blender: Blender) -> None:
    first = blender.process()
    wait_for(blender.file.exists)
    old = targets.token(blender.file)
    first.stop()
    blender.process(after=first)
    link = blender.link(targets.local(blender.file, not_token=old))
    wait_for(lambda: link.is_connected)
    assert not first.is_alive and targets.token(blender.file) != old
    assert blender.log.with_suffix(".previous.log").exists()  # why the last one ended can still be read


def test_a_killed_child_costs_a_reconnect_and_its_end_is_told(blender: Blender) -> None:
    blender.process()
    link = blender.link(targets.local(blender.file, not_token=""))
    wait_for(lambda: link.is_connected)
    blender.drained(link)
    with pytest.raises(UserError):
        link.request(RenameAsset(asset="SIGKILL", name="x"), AssetInfo)  # type: ignore[type-var]
    wait_for(lambda: blender.states(link)[-1] == "connected" and "lost" in blender.states(link))
    reconnected = [event for event in blender.events if isinstance(event, LinkChanged)][-1]
    assert len(reconnected.ended) == 1 and "killed" in reconnected.ended[0]


def test_a_second_blender_attaches_to_the_running_backend(blender: Blender) -> None:
    assert not targets.is_running(blender.file)
    blender.process()
    wait_for(lambda: targets.is_running(blender.file))
    one, other = blender.link(), blender.link()
    wait_for(lambda: one.is_connected and other.is_connected)


def test_a_backend_that_is_gone_is_told_from_one_that_is_silent(blender: Blender) -> None:
    link = blender.link()
    wait_for(lambda: blender.states(link))
    assert [event for event in blender.events if isinstance(event, LinkChanged) and event.gone]
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    silent = Connection(control=f"tcp://127.0.0.1:{port}", bulk=f"tcp://127.0.0.1:{port}", token="t", process=1)
    write_private(blender.file, silent)  # what a power cut leaves
    assert not targets.is_running(blender.file)
    with pytest.raises(UserError, match="does not answer"):
        targets.local(blender.file)()
    write_private(blender.file, Connection(control="", bulk="", token="t", process=1, ended="It died 4 times."))
    with pytest.raises(GoneError, match="It died 4 times") as gone:
        targets.local(blender.file)()
    assert gone.value.why == "It died 4 times."


def test_the_file_of_the_backend_before_is_not_taken_for_the_new_one(blender: Blender) -> None:
    write_private(blender.file, Connection(control="tcp://127.0.0.1:1", bulk="", token="old", process=1))
    with pytest.raises(UserError, match="is starting") as starting:
        targets.local(blender.file, not_token="old")()
    assert not isinstance(starting.value, GoneError)


def test_another_machine_that_does_not_answer_is_named(tmp_path: Path) -> None:
    key = tmp_path / "laptop.key"
    write_private(
        key, ClientKeys(name="laptop", server_public="s" * 40, client_public="c" * 40, client_secret="k" * 40)
    )
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(UserError, match=f"Nothing answers at 127.0.0.1:{port}"):
        targets.remote(f"127.0.0.1:{port}", key)()
    with pytest.raises(UserError, match="is no address"):
        targets.remote("somewhere", key)
    with pytest.raises(UserError, match="There is no file"):
        targets.remote("127.0.0.1:7000", tmp_path / "lost.key")


def test_a_closed_link_answers_with_one_sentence(blender: Blender) -> None:
    link = BackendLink(targets.local(blender.file))
    with pytest.raises(UserError, match="not connected"):
        link.ask(ListJobs())
    link.close()  # one that was never started, too


def test_interrupts_in_blenders_terminal_do_not_reach_the_backend(blender: Blender) -> None:
    blender.process()
    wait_for(blender.file.exists)
    process = read_private(blender.file, Connection).process
    assert os.getpgid(process) != os.getpgid(0)  # a terminal interrupts the whole group in front
