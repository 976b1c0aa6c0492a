"""Starts and ends the backend that belongs to this Blender: `splatwright serve --owned`."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from .commands import clean_variables, quiet_flags

log = logging.getLogger(__name__)

_TAIL_BYTES = 20_000
_LOOK_S, _JOIN_S = 0.1, 2.0


class BackendProcess:
    """Owned by its standard input: when that closes, also because Blender died, the backend ends as it was told to."""

    def __init__(
        self,
        command: Sequence[str],
        log_file: Path,
        *,
        on_end: Callable[[BackendProcess], None],
        after: BackendProcess | None = None,
    ) -> None:
        """command: without `serve`'s standard input it is nothing special. on_end: called on a thread of ours.

        after: a process that is still ending; this one starts when it is gone.
        """
        self._command, self._log_file, self._on_end = tuple(command), log_file, on_end
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._unwanted = threading.Event()
        self._ended = threading.Event()
        self._left = threading.Event()
        self.reason = ""  # why it ended; "" = as it was asked to
        self._thread = threading.Thread(target=self._live, args=(after,), name="backend process", daemon=True)

    def start(self) -> None:
        """Returns at once."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return not self._ended.is_set()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended by then, or nobody watches it any more."""
        return self._ended.wait(seconds)

    def stop(self) -> None:
        """Asks it to checkpoint what runs and to end, which takes up to 15 s. Returns at once."""
        self._unwanted.set()
        with self._lock:
            self._say(b"end\n")
            self._close_input()

    def let_go(self) -> None:
        """Blender ends: the backend finishes its job, or checkpoints it, as it was told at its start.

        Nobody watches it any more: a thread that wakes up while Blender 4.5 is taken down makes it hang.
        """
        self._unwanted.set()
        with self._lock:
            self._close_input()
        self._left.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def _say(self, text: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):  # it is dead, or its input is closed already
                self._process.stdin.write(text)
                self._process.stdin.flush()

    def _close_input(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    # ---- on its own thread

    def _live(self, after: BackendProcess | None) -> None:
        self._wait_while(lambda: after is not None and after.is_alive)
        try:
            process = self._open()
            self._wait_while(lambda: process is not None and process.poll() is None)
            if process is not None and process.returncode and not self._unwanted.is_set():
                self.reason = last_words(self._log_file) or f"The backend ended with exit code {process.returncode}."
        except OSError as error:
            self.reason = f"'{self._command[0]}' cannot be run: {error.strerror or error}."
        self._ended.set()
        if not self._left.is_set():
            self._on_end(self)

    def _wait_while(self, condition: Callable[[], bool]) -> None:
        while condition() and not self._left.wait(_LOOK_S):
            pass

    def _open(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._unwanted.is_set():
                return None
            self._log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(OSError):  # there is none, or on Windows somebody looks at it
                os.replace(self._log_file, self._log_file.with_suffix(".previous.log"))
            return self._popen()

    def _popen(self) -> subprocess.Popen[bytes]:
        with self._log_file.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=str(self._log_file.parent),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=clean_variables(),
                start_new_session=True,  # Ctrl-C in Blender's terminal is not for the backend
                creationflags=quiet_flags(),
            )
        return self._process


def log_tail(log_file: Path, lines: int = 20) -> list[str]:
    """The last lines of a log, without empty ones."""
    try:
        with log_file.open("rb") as stream:
            stream.seek(max(stream.seek(0, os.SEEK_END) - _TAIL_BYTES, 0))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]


def last_words(log_file: Path) -> str:
    """The sentence with which the backend ended; "" = it said nothing."""
    tail = log_tail(log_file, 1)
    return tail[0].removeprefix("splatwright: ").removeprefix("Error: ") if tail else ""
