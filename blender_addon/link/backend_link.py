"""A connection to the backend on a thread of its own, with a queue to the main thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ..core.events import Heard, LinkChanged
from ..protocol import connection, errors, messages, things

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ..protocol import client, remote

Answer = TypeVar("Answer", bound=things.Message)
CLIENT = "Blender"


class GoneError(errors.UserError):
    """There is no backend, and none will come back by itself. why: it ended; "" = nobody knows."""

    def __init__(self, why: str = "") -> None:
        super().__init__("connection", why or "No backend is running.", "Start it.", "splatwright.backend_start")
        self.why = why


class BackendLink:
    """Connects, and connects again, until it is closed. Only `drain` belongs to the main thread."""

    def __init__(self, find: Callable[[], connection.Target]) -> None:
        """find: asked before each attempt to connect, on the link's thread.

        It raises UserError when there is nothing to connect to yet, and GoneError when there will be nothing.
        """
        self._find = find
        self._queue: deque[Heard | LinkChanged] = deque()
        self._came = threading.Event()
        self._is_gone = False
        self._backend: remote.Backend | None = None
        self._last: LinkChanged | None = None

    def start(self) -> None:
        """Returns at once; `drain` tells what came of it."""
        # zmq comes with the client, and Blender starts without it.
        from ..protocol import client, remote

        link = client.Link(self._target, CLIENT)
        self._backend = remote.Backend(link, self._on_event, self._on_state)
        link.start(self._backend.happened, self._backend.state_changed)

    def close(self) -> None:
        """Jobs go on."""
        if self._backend is not None:
            self._backend.close()

    @property
    def backend(self) -> remote.Backend:
        """Its calls may come from any thread. Raises UserError before `start`."""
        if self._backend is None:
            raise errors.UserError("connection", "The backend is not connected.", "Connect it first.")
        return self._backend

    @property
    def is_connected(self) -> bool:
        return self._backend is not None and self._backend.state in ("connected", "busy")

    def drain(self) -> list[Heard | LinkChanged]:
        """What came since the last call, oldest first."""
        self._came.clear()
        events: list[Heard | LinkChanged] = []
        while self._queue:
            events.append(self._queue.popleft())
        return events

    def wait(self, seconds: float) -> None:
        """Until there is something to drain, or so many seconds."""
        self._came.wait(seconds)

    def ask(self, message: messages.AddonToBackend) -> Future[messages.BackendToAddon]:
        """The answer, when it comes. Raises UserError when the link is closed."""
        return self.backend.ask(message)

    def request(self, message: messages.AddonToBackend, answer: type[Answer], timeout_s: float = 30.0) -> Answer:
        """Waits for the answer, without any help of the main thread. Raises UserError."""
        return self.backend.request(message, answer, timeout_s)

    # ---- on the link's thread

    def _target(self) -> connection.Target:
        try:
            target = self._find()
        except GoneError:
            self._is_gone = True
            raise
        self._is_gone = False
        return target

    def _on_event(self, event: messages.Event | messages.Preview) -> None:
        self._put(Heard(event, time.monotonic()))

    def _on_state(self, state: client.State, why: str) -> None:
        gone = state == "absent" and self._is_gone
        welcome = self._backend.welcome if self._backend is not None else None
        changed = LinkChanged(state, why, gone)
        if state in ("connected", "busy") and welcome is not None:
            changed = LinkChanged(state, why, False, welcome.device, welcome.local, welcome.ended)
        if changed != self._last or state == "connected":  # "absent" is said at each attempt
            self._last = changed
            self._put(changed)

    def _put(self, event: Heard | LinkChanged) -> None:
        self._queue.append(event)
        self._came.set()
