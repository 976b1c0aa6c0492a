"""What one client can make the backend hold, and who is forgotten when: the conversation with hand-made threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from backend.server import conversation as conversation_module
from backend.server.allowed_folders import AllowedFolders
from backend.server.conversation import Conversation, PeerGoneError, Terms, Threads
from backend.server.sessions import FORGOTTEN_AFTER_S, MOST_SESSIONS, MOST_WAITING, Lane
from shared_protocol.codec import client_codec
from shared_protocol.messages import (
    WINDOW,
    Beat,
    Failed,
    GrantFrames,
    Hello,
    JobNote,
    JobProgress,
    JoinBulk,
    ListJobs,
    Preview,
    Render,
    UploadChunk,
    WatchJob,
    Welcome,
)
from shared_protocol.things import IDENTITY, JobState, Message, ViewCamera

from .fake_desk import FakeDesk


class Later:
    """A thread that works when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[Callable[[], Any], Callable[[Any], None]]] = []

    def ask(self, call: Callable[[], Any], then: Callable[[Any], None]) -> None:
        self.asked.append((call, then))

    def work(self) -> None:
        while self.asked:
            call, then = self.asked.pop(0)
            then(conversation_module.attempt(call))


class Room:
    """A conversation, its clients, and everything that was sent to them."""

    def __init__(self, workspace: Path) -> None:
        self.desk = FakeDesk(workspace, lambda _event: None)
        self.said: dict[tuple[Lane, bytes], list[tuple[int, Message]]] = {}
        self.full: set[bytes] = set()
        self.gone: set[bytes] = set()
        self.later, self.codec = Later(), client_codec()
        self.conversation = Conversation(
            self.desk,
            self,
            Threads(self.later, self.later, self.later),
            AllowedFolders([workspace], may_grow=True),
            Terms(local=True),
            post=lambda call: call(),
        )
        self.later.work()

    def send(self, lane: Lane, peer: bytes, frames: Sequence[Any]) -> bool:
        if peer in self.gone:
            raise PeerGoneError
        if peer in self.full:
            return False
        self.said.setdefault((lane, peer), []).append(self.codec.unpack([bytes(frame) for frame in frames]))
        return True

    def tell(self, lane: Lane, peer: bytes, id: int, message: Message) -> None:
        self.conversation.receive(lane, peer, [bytes(frame) for frame in self.codec.pack(id, message)])

    def heard(self, lane: Lane, peer: bytes) -> list[Message]:
        return [message for _, message in self.said.get((lane, peer), [])]

    def join(self, peer: bytes) -> None:
        self.tell("control", peer, 1, Hello(version=1))
        (welcome,) = self.heard("control", peer)
        assert isinstance(welcome, Welcome)
        self.tell("bulk", peer + b" bulk", 1, JoinBulk(session=welcome.session))


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_more_chunks_than_may_be_on_their_way_are_refused_at_once(room: Room) -> None:
    room.join(b"a")
    chunk = UploadChunk(upload="0" * 64, offset=0, data=np.zeros(4, np.uint8))
    for id in range(2, 100):
        room.tell("bulk", b"a bulk", id, chunk)
    assert len(room.later.asked) == 2 * WINDOW
    refused = [m for m in room.heard("control", b"a") if isinstance(m, Failed)]
    assert len(refused) == 98 - 2 * WINDOW and all(f"{WINDOW} chunks" in failed.hint for failed in refused)
    room.later.work()
    assert len(room.heard("control", b"a")) == 1 + 98, "every request is answered exactly once"


def test_more_requests_than_can_be_answered_are_refused_and_all_are_answered(room: Room) -> None:
    room.join(b"a")
    for id in range(2, 1002):
        room.tell("control", b"a", id, ListJobs())
    assert len(room.later.asked) == 256
    room.later.work()
    assert sorted(id for id, _ in room.said["control", b"a"]) == list(range(1, 1002))


def test_many_pictures_at_once_are_refused(room: Room) -> None:
    room.join(b"a")
    camera = ViewCamera(camera_from_world=IDENTITY, fx=9, fy=9, cx=4, cy=2, width=8, height=4)
    for id in range(2, 200):
        room.tell("control", b"a", id, Render(objects=(), camera=camera))
    assert len(room.desk.drawn) == 64, "without credit no more are drawn than may wait"
    assert room.heard("bulk", b"a bulk")[1:] == []
    room.tell("bulk", b"a bulk", 0, GrantFrames(count=3))
    assert len(room.heard("bulk", b"a bulk")) == 1 + 3


def test_who_does_not_read_loses_old_progress_first_and_the_session_last(room: Room) -> None:
    room.join(b"a")
    room.full.add(b"a")
    for step in range(5000):
        room.conversation.happened(JobProgress(job="j", stage="", step=step, steps=5000))
    assert room.conversation.sessions == 1
    room.full.clear()
    room.conversation.tick()
    assert [m.step for m in room.heard("control", b"a")[1:] if isinstance(m, JobProgress)] == [4999]
    room.full.add(b"a")
    for number in range(MOST_WAITING + 1):
        room.conversation.happened(JobNote(job="j", text=str(number)))
    assert room.conversation.sessions == 0


def test_a_gone_client_is_forgotten_as_soon_as_something_is_said_to_it(room: Room) -> None:
    room.join(b"a")
    room.join(b"b")
    room.gone.add(b"a")
    room.conversation.happened(JobNote(job="j", text="hello"))
    assert room.conversation.sessions == 1
    assert isinstance(room.heard("control", b"b")[-1], JobNote)


def test_a_silent_client_is_asked_and_in_the_end_forgotten(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(conversation_module.time, "monotonic", lambda: now)
    room.join(b"a")
    now += 6
    room.conversation.tick()
    room.conversation.tick()
    assert [type(m).__name__ for m in room.heard("control", b"a")] == ["Welcome", "Alive"]
    now += FORGOTTEN_AFTER_S
    room.conversation.tick()
    assert room.conversation.sessions == 0
    room.tell("control", b"a", 9, Beat())
    assert room.said["control", b"a"][-1] == (9, Failed(kind="refused", message="Say hello first."))


def test_the_dead_make_room_for_the_living(room: Room) -> None:
    for number in range(MOST_SESSIONS):
        room.join(b"%d" % number)
    room.tell("control", b"late", 1, Hello(version=1))
    assert isinstance(room.heard("control", b"late")[-1], Failed)
    room.gone.add(b"5")
    room.tell("control", b"late", 2, Hello(version=1))
    assert isinstance(room.heard("control", b"late")[-1], Welcome)


def test_a_preview_is_only_taken_when_it_could_be_sent(room: Room) -> None:
    room.join(b"a")
    room.desk._jobs["j"] = JobState(job="j", name="j", method="m", status="running")
    taken: list[str] = []
    snapshot = room.desk.snapshot
    room.desk.snapshot = lambda job: taken.append(job) or snapshot(job)  # type: ignore[method-assign]
    room.tell("control", b"a", 2, WatchJob(job="j", every_s=1e-6))
    for _ in range(5):
        room.conversation.tick()
    assert taken == []
    room.tell("bulk", b"a bulk", 0, GrantFrames(count=2))
    for _ in range(5):
        room.conversation.tick()
    assert len(taken) == 2 + 0
    assert sum(isinstance(m, Preview) for m in room.heard("bulk", b"a bulk")) == 2


def test_fields_of_welcome_are_what_the_client_needs(room: Room) -> None:
    room.join(b"a")
    (welcome,) = room.heard("control", b"a")
    assert msgspec.structs.asdict(welcome)["window"] == WINDOW  # type: ignore[arg-type]
