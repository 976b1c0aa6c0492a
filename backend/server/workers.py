"""Keeps the server's loop free: calls run on threads, and what comes of them returns to the loop through a mailbox."""

from __future__ import annotations

import contextlib
import errno
import logging
import queue
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from shared_protocol.errors import UserError
from shared_protocol.messages import Failed

log = logging.getLogger(__name__)

Result = TypeVar("Result")
DISK_FULL = UserError("disk_full", "The backend's disk is full.", "Free some space there, then try again.")


def attempt(call: Callable[[], Result]) -> Result | Failed:
    """What the call returns, or in words why it could not."""
    try:
        return call()
    except UserError as error:
        return Failed.of(error)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return Failed.of(DISK_FULL)
        log.exception("A request failed")
        return Failed(kind="bad_input", message=f"A file could not be used: {error.strerror or error}.")
    except MemoryError:
        return Failed(kind="out_of_memory", message="The backend's memory is used up.", hint="Close other programs.")
    except Exception as error:  # the border of message dispatch: one request's mistake is nobody else's
        log.exception("A request failed by our mistake")
        return Failed(kind="mistake", message=f"The backend made a mistake ({type(error).__name__}); see its log.")


class Mailbox:
    """Calls from any thread, made by the loop. Its socket can be polled."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        return self._reader.fileno()

    def post(self, call: Callable[[], None]) -> None:
        self._calls.put(call)
        # A full pipe wakes the loop as well as one byte does; a closed one has nobody to wake.
        with contextlib.suppress(OSError):
            self._writer.send(b"!")

    def make_calls(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._reader.recv(4096):
                pass
        while True:
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                return
            call()

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


class Worker:
    """One thread that makes calls in the order they were asked for."""

    def __init__(self, name: str, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._work: queue.SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def ask(self, call: Callable[[], Result], then: Callable[[Result | Failed], None]) -> None:
        """Makes the call on the thread, then hands what came of it to `then` on the loop."""
        self._work.put((call, then))

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            call, then = work
            outcome = attempt(call)
            self._mailbox.post(lambda then=then, outcome=outcome: then(outcome))

    def end(self, timeout_s: float) -> None:
        """Finishes what was asked for, as far as the time allows."""
        self._work.put(None)
        self._thread.join(timeout_s)
