"""The parent: starts the working child, restarts it when it dies, and tells clients where it is. Knows no torch."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from backend.server.family import (
    FATAL,
    AreYouThere,
    AtEnd,
    Dying,
    EndNow,
    FromChild,
    FromParent,
    Here,
    Orders,
    OwnerGone,
    Ready,
    Unable,
    line,
)
from backend.server.pulse import Pulse
from shared_protocol.connection import Connection, write_private
from shared_protocol.errors import UserError

CHILD = (sys.executable, "-m", "backend.server")
END = b"end\n"  # said by the owner; Windows knows no signal that would do
MOST_RESTARTS, WITHIN_S = 3, 600.0
_TRACE_S = 1.0  # for a child that hangs to write where it stands; then it is killed
_ENDED_KEPT = 5


class RestartBudget:
    """At most three restarts in ten minutes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._restarts: deque[float] = deque()

    def spend(self) -> bool:
        """False when there were too many."""
        now = self._clock()
        while self._restarts and now - self._restarts[0] > WITHIN_S:
            self._restarts.popleft()
        if len(self._restarts) >= MOST_RESTARTS:
            return False
        self._restarts.append(now)
        return True


@dataclass(frozen=True)
class _ChildEnded:
    number: int
    exit_code: int


@dataclass(frozen=True)
class _ChildSaid:
    number: int
    message: FromChild


class Parent:
    """One run of `serve`."""

    def __init__(
        self,
        orders: Orders,
        connection: Path | None,
        *,
        at_end: AtEnd = "finish",
        say: Callable[[str], None],
        command: Sequence[str] = CHILD,
    ) -> None:
        """connection: the file that tells clients of this machine where to connect; None = there is none."""
        self._orders, self._connection = orders, connection
        self._at_end: AtEnd = at_end
        self._say, self._command = say, command
        self._happened: queue.SimpleQueue[_ChildEnded | _ChildSaid | OwnerGone | EndNow] = queue.SimpleQueue()
        self._budget = RestartBudget()
        self._pulse = Pulse(orders.patience)
        self._child: subprocess.Popen[bytes] | None = None
        self._children = 0
        self._last_words = ""
        self._unable: UserError | None = None
        self._owner_gone = self._ending = False

    def end(self) -> None:
        """From any thread, and from a signal handler."""
        self._happened.put(EndNow())

    def watch_owner(self, stream: int) -> None:
        """From now on whoever holds the other end of this file descriptor owns us, and may ask us to end."""

        def wait() -> None:
            with open(stream, "rb", buffering=0, closefd=False) as pipe:
                while said := pipe.read(4096):
                    if END in said:
                        self.end()
            self._happened.put(OwnerGone(self._at_end))

        threading.Thread(target=wait, name="owner", daemon=True).start()

    def run(self) -> None:
        """Returns when the backend ended as wished. Raises UserError when it cannot start, or dies too often."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.end())
        try:
            self._start()
            while not self._has_ended(self._next()):
                pass
        except UserError as error:
            if self._child is not None:
                self._child.kill()
            self._note_the_end(str(error))
            raise
        self._remove_connection()

    def _next(self) -> _ChildEnded | _ChildSaid | OwnerGone | EndNow:
        while True:
            try:
                return self._happened.get(timeout=self._pulse.look_every_s)
            except queue.Empty:
                self._look_after_child()

    def _look_after_child(self) -> None:
        if self._pulse.look():
            self._stop_hanging_child()
        elif self._pulse.asks_now():
            self._tell_child(AreYouThere())

    def _stop_hanging_child(self) -> None:
        assert self._child is not None
        seconds = self._pulse.limit_s
        self._last_words = f"The working process hung: it gave no answer for {seconds:.0f} s and was stopped."
        if sys.platform != "win32":
            self._child.send_signal(signal.SIGUSR1)
            time.sleep(_TRACE_S)
        self._child.kill()
        self._pulse.begin()  # for its end, which is heard of like any other

    def _has_ended(self, happened: _ChildEnded | _ChildSaid | OwnerGone | EndNow) -> bool:
        match happened:
            case _ChildSaid(number, message) if number == self._children:
                self._heard(message)
            case _ChildEnded(number, exit_code) if number == self._children:
                return self._child_ended(exit_code)
            case OwnerGone():
                self._owner_gone = True
                self._tell_child(happened)
                if self._at_end == "checkpoint":
                    self._end_soon()
            case EndNow():
                self._tell_child(happened)
                self._end_soon()
            case _:  # of a child that is dead already
                pass
        return False

    def _heard(self, message: FromChild) -> None:
        self._pulse.heard()
        match message:
            case Ready():
                # A restarted child is found where the first one was.
                self._orders = msgspec.structs.replace(self._orders, address=message.address)
                if self._connection is not None:
                    write_private(self._connection, self._how_to_connect(message.control, message.bulk))
                self._say(f"Ready at {message.control} (bulk: {message.bulk}).")
                if self._owner_gone:
                    self._tell_child(OwnerGone(self._at_end))
            case Here():
                pass
            case Dying():
                self._last_words = message.reason
            case Unable():
                self._unable = UserError(message.kind, message.message, message.hint)

    def _child_ended(self, exit_code: int) -> bool:
        """True when that was wished for; else there is a new child. Raises UserError when there cannot be one."""
        if self._unable is not None:
            raise self._unable
        if exit_code == 0 or self._ending:
            return True
        reason = self._last_words or cause_of_death(exit_code)
        self._last_words = ""
        ended = (*self._orders.ended, reason)[-_ENDED_KEPT:]
        self._orders = msgspec.structs.replace(self._orders, ended=ended)
        if not self._budget.spend():
            message = f"The backend died {MOST_RESTARTS + 1} times within {WITHIN_S / 60:.0f} minutes. Last: {reason}"
            raise UserError("connection", message, "Lower the settings of the job, or look into the log.")
        self._say(f"{reason} Starting again.")
        self._start()
        return False

    def _start(self) -> None:
        self._children += 1
        self._pulse.begin()
        self._child = child = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._write(child, line(self._orders))
        threading.Thread(target=self._listen, args=(child, self._children), name="child", daemon=True).start()

    def _listen(self, child: subprocess.Popen[bytes], number: int) -> None:
        assert child.stdout is not None
        with child.stdout:
            for text in child.stdout:
                self._happened.put(_ChildSaid(number, msgspec.json.decode(text, type=FromChild)))
        self._happened.put(_ChildEnded(number, child.wait()))

    def _tell_child(self, message: FromParent) -> None:
        if self._child is not None:
            self._write(self._child, line(message))

    def _write(self, child: subprocess.Popen[bytes], text: bytes) -> None:
        assert child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is dead, which its listener will tell
            child.stdin.write(text)
            child.stdin.flush()

    def _end_soon(self) -> None:
        if not self._ending and self._child is not None:
            self._ending = True
            timer = threading.Timer(self._orders.patience.ending_s, self._child.kill)
            timer.daemon = True
            timer.start()

    def _how_to_connect(self, control: str, bulk: str, ended: str = "") -> Connection:
        return Connection(control=control, bulk=bulk, token=self._orders.token, process=os.getpid(), ended=ended)

    def _note_the_end(self, reason: str) -> None:
        if self._connection is not None and self._unable is None:
            write_private(self._connection, self._how_to_connect("", "", reason))

    def _remove_connection(self) -> None:
        if self._connection is not None:
            self._connection.unlink(missing_ok=True)


def cause_of_death(exit_code: int) -> str:
    """One sentence about a process that ended unasked."""
    if exit_code == -signal.SIGABRT:
        return "The working process aborted."
    if sys.platform != "win32" and exit_code == -signal.SIGKILL:
        return "The working process was killed; most likely the computer's memory was used up."
    if exit_code < 0:
        return f"The working process crashed ({signal.Signals(-exit_code).name})."
    if exit_code == FATAL:
        return "The working process broke."
    return f"The working process ended by a mistake of ours (exit code {exit_code}); the log says more."
