"""A connected backend before anything in particular is asked of it: its state, its events, an answer a request."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from .errors import UserError
from .messages import AddonToBackend, BackendToAddon, Event, JobChanged, Preview, Welcome
from .things import ENDED, Message

if TYPE_CHECKING:
    from typing import Self

log = logging.getLogger(__name__)

State = Literal["connecting", "connected", "busy", "lost", "absent", "refused", "closed"]
REQUEST_S = 30.0
RETURN_S = 60.0  # a restarted backend loads for some seconds
_MOST_RETURNS = 20
Reply = TypeVar("Reply", bound=Message)
Result = TypeVar("Result")


class BackendMistake(Exception):
    """The backend failed by its own mistake; its log says more."""


class Asker(Protocol):
    """A connection, as far as this file knows it."""

    def ask(self, message: AddonToBackend) -> Future[BackendToAddon]: ...
    def close(self) -> None: ...


class RemoteConnection:
    """Every call may come from any thread, and raises UserError for what the user can mend."""

    def __init__(
        self,
        link: Asker,
        on_event: Callable[[Event | Preview], None] | None = None,
        on_state: Callable[[State, str], None] | None = None,
    ) -> None:
        self._link, self._on_event, self._on_state = link, on_event, on_state
        self._changed = threading.Condition()
        self._state: State = "connecting"
        self._why = ""
        self._heard = 0  # events, so far
        self.welcome: Welcome | None = None
        self.previews: dict[str, Preview] = {}  # by job, the newest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Jobs go on."""
        self._link.close()

    @property
    def state(self) -> State:
        return self._state

    @property
    def why(self) -> str:
        """A sentence about the state: why the connection is gone, or why the backend was restarted."""
        return self._why

    def wait_until_connected(self, timeout_s: float) -> None:
        """Raises UserError when it is refused, when there is no backend, or when it takes too long."""
        with self._changed:
            done = self._changed.wait_for(
                lambda: self._state in ("connected", "busy", "absent", "refused", "closed"), timeout_s
            )
            if self._state in ("connected", "busy"):
                return
            kind = "refused" if self._state == "refused" else "connection"
            raise UserError(kind, self._why if done and self._why else "The backend does not answer.")

    def state_changed(self, state: State, why: str, welcome: Welcome | None) -> None:
        """For the link."""
        with self._changed:
            if welcome is not None:
                self.welcome = welcome
            self._state, self._why = state, why
            self._changed.notify_all()
        if self._on_state is not None:
            self._on_state(state, why)

    def happened(self, event: Event | Preview) -> None:
        """For the link."""
        with self._changed:
            if isinstance(event, Preview):
                self.previews[event.job] = event
            elif isinstance(event, JobChanged) and event.job.status in ENDED:
                self.previews.pop(event.job.job, None)
            self._heard += isinstance(event, JobChanged)
            self._changed.notify_all()
        if self._on_event is not None:
            try:
                self._on_event(event)
            except Exception:  # the listener's mistake must not end the connection
                log.exception("A listener to the backend's events failed")

    def ask(self, message: AddonToBackend) -> Future[BackendToAddon]:
        """The answer, when it comes."""
        return self._link.ask(message)

    def request(self, message: AddonToBackend, answer: type[Reply], timeout_s: float = REQUEST_S) -> Reply:
        """Waits for the answer, which must be of that kind."""
        future = self._link.ask(message)
        try:
            said = future.result(timeout_s)
        except TimeoutError as error:
            future.cancel()
            raise UserError(
                "connection", "The backend did not answer in time.", "It may be busy; try again."
            ) from error
        if not isinstance(said, answer):
            raise BackendMistake(f"The backend answered {type(said).__name__} to {type(message).__name__}.")
        return said

    def again_when_back(self, action: Callable[[], Result]) -> Result:
        """Does something that may be done again, until the connection holds. Raises UserError when it stays away."""
        for _ in range(_MOST_RETURNS):
            try:
                return action()
            except UserError as error:  # "connection" is also what a new backend says of things the old one knew
                if error.kind != "connection":
                    raise
                self._wait_for_return()
        return action()

    def _wait_for_return(self) -> None:
        """After a lost connection. Raises UserError when the backend does not come back."""
        deadline = time.monotonic() + RETURN_S
        with self._changed:
            self._changed.wait_for(lambda: self._state in ("connected", "busy", "closed", "refused"), RETURN_S)
            if self._state not in ("connected", "busy") or time.monotonic() >= deadline:
                raise UserError("connection", self._why or "The backend did not come back.", "Start it again.")
