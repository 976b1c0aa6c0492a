"""What the backend remembers of each client: who it is, its credit, and what waits to be sent to it."""

from __future__ import annotations

import itertools
import secrets
from collections import deque
from collections.abc import Hashable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal

from shared_protocol.messages import Frame, JobProgress, Picture, Preview
from shared_protocol.things import Message

Lane = Literal["control", "bulk"]
MOST_SESSIONS = 32
MOST_WAITING = 1000  # messages to a client that does not read
MOST_CREDIT = 16
ASKED_AFTER_S = 5.0  # of silence; a client says something every two seconds
FORGOTTEN_AFTER_S = 60.0


@dataclass
class Watch:
    """A client's wish to see a running job."""

    every_s: float
    due: float = 0.0  # when the next preview may be taken
    future: Future[Preview] | None = None


@dataclass
class Session:
    id: str
    client: str
    control: bytes  # the connection
    heard: float  # when something last came from it
    asked: float = 0.0  # when it was last asked whether it is there
    bulk: bytes | None = None
    credit: int = 0
    said: dict[Hashable, tuple[int, Message]] = field(default_factory=dict)  # for control, oldest first
    chunks: deque[tuple[int, Message]] = field(default_factory=deque)  # for bulk
    frames: dict[str, tuple[int, Frame]] = field(default_factory=dict)  # for bulk, by stream
    drawing: dict[str, tuple[int, Future[Picture]]] = field(default_factory=dict)  # asked of the desk, by stream
    watches: dict[str, Watch] = field(default_factory=dict)  # by job
    unanswered: int = 0  # requests that are being worked on
    chunks_in_work: int = 0
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def put(self, id: int, message: Message) -> None:
        """Waits for control. Of a job's progress only the newest waits."""
        key: Hashable = ("progress", message.job) if isinstance(message, JobProgress) else next(self._numbers)
        self.said.pop(key, None)
        self.said[key] = (id, message)

    @property
    def reads_too_slowly(self) -> bool:
        return len(self.said) > MOST_WAITING

    def cancel_all(self) -> None:
        for _, future in self.drawing.values():
            future.cancel()
        for watch in self.watches.values():
            if watch.future is not None:
                watch.future.cancel()


class SessionBook:
    """All sessions, found by their connections."""

    def __init__(self) -> None:
        self._by_id: dict[str, Session] = {}
        self._by_peer: dict[tuple[Lane, bytes], Session] = {}

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def open(self, client: str, control: bytes, now: float) -> Session:
        session = Session(secrets.token_hex(16), client, control, now)
        self._by_id[session.id] = session
        self._by_peer["control", control] = session
        return session

    def of(self, lane: Lane, peer: bytes) -> Session | None:
        return self._by_peer.get((lane, peer))

    def join(self, id: str, bulk: bytes) -> Session | None:
        """Gives the session its bulk connection; None when there is no such session."""
        session = self._by_id.get(id)
        if session is not None:
            self.leave_bulk(session)
            session.bulk = bulk
            self._by_peer["bulk", bulk] = session
        return session

    def leave_bulk(self, session: Session) -> None:
        if session.bulk is not None:
            self._by_peer.pop(("bulk", session.bulk), None)
            session.bulk = None
            session.credit = 0

    def close(self, session: Session) -> None:
        self.leave_bulk(session)
        self._by_peer.pop(("control", session.control), None)
        self._by_id.pop(session.id, None)
        session.cancel_all()
