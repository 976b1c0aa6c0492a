"""Makes, verifies and removes the private environment, each step in a process of its own, on a thread."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from ..core.install_plan import Plan, Progress, after_line, begin_step
from ..core.paths import Places
from ..protocol import errors
from .commands import clean_variables, kill_family, quiet_flags
from .environment import Marker

if os.name == "nt":
    import msvcrt
else:
    import fcntl

log = logging.getLogger(__name__)

_TAIL = 12  # lines kept of what a command said
OnProgress = Callable[[Progress], None]


class Cancelled(Exception):
    """The user did not want to wait."""


class Installer:
    """One run over a plan. `run` blocks and belongs to one thread; `cancel` may come from any."""

    def __init__(self, places: Places, plan: Plan, *, on_progress: OnProgress) -> None:
        self._places, self._plan, self._on_progress = places, plan, on_progress
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """At once. What was made so far is found broken, and what was downloaded stays in pip's cache."""
        with self._lock:
            self._cancelled = True
            if self._process is not None:
                kill_family(self._process)

    def install(self, version: str, *, cuda: bool) -> None:
        """Makes the environment anew, whatever was there. Raises UserError, or Cancelled."""
        folder = Path(self._places.environment)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(folder.parent).free
        except OSError as error:
            raise errors.UserError("bad_input", f"'{folder}' cannot be made: {error.strerror or error}.") from error
        if free < self._plan.disk:
            needed = f"{self._plan.disk / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free"
            raise errors.UserError("disk_full", f"The disk of '{folder.parent}' is too full: {needed}.", "Make room.")
        with _held(Path(self._places.lock)):
            Path(self._places.marker).unlink(missing_ok=True)
            self.run()
            _write_whole(Path(self._places.marker), msgspec.json.encode(Marker(version or self._version(), cuda)))

    def verify(self) -> None:
        """Runs the plan, which checks. Raises UserError, and the environment is found broken from then on."""
        with _held(Path(self._places.lock)):
            try:
                self.run()
            except errors.UserError:
                Path(self._places.marker).unlink(missing_ok=True)
                raise

    def run(self) -> None:
        for number, step in enumerate(self._plan.steps):
            progress = begin_step(self._plan, number)
            self._on_progress(progress)
            tail: deque[str] = deque(maxlen=_TAIL)
            for line in self._lines(step.command):
                tail.append(line)
                progress, before = after_line(self._plan, number, progress, line), progress
                if progress != before:
                    self._on_progress(progress)
            code = self._end()
            if code != 0 and not step.may_fail:
                raise _failure(step.sentence, tail)
            if code != 0:
                log.warning("%s It failed: %s", step.sentence, " ".join(tail))

    def _lines(self, command: tuple[str, ...]) -> Iterator[str]:
        process = self._start(command)
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                text = line.decode(errors="replace").rstrip()
                if text:
                    log.debug("%s", text)
                    yield text

    def _start(self, command: tuple[str, ...]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._cancelled:
                raise Cancelled
            try:
                self._process = subprocess.Popen(
                    command,
                    cwd=str(self._places.environment.parent),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env=clean_variables(),
                    start_new_session=True,  # so that all of it can be ended
                    creationflags=quiet_flags(),
                )
            except OSError as error:
                message = f"'{command[0]}' cannot be run: {error.strerror or error}."
                raise errors.UserError("missing_dependency", message, "Choose another Python.") from error
            return self._process

    def _end(self) -> int:
        assert self._process is not None
        code = self._process.wait()
        with self._lock:
            self._process = None
            if self._cancelled:
                raise Cancelled
        return code

    def _version(self) -> str:
        """Of the package that was installed."""
        said = [*self._lines((str(self._places.python), "-m", "backend", "--version"))]
        self._end()
        return said[-1].split()[-1] if said else ""


def remove(places: Places) -> None:
    """Takes the environment away. Raises UserError when it is in use."""
    folder = Path(places.environment)
    if not folder.exists():
        return
    doomed = folder.with_name(f"{folder.name}.removed")
    with _held(Path(places.lock)):
        try:
            shutil.rmtree(doomed, ignore_errors=True)
            folder.rename(doomed)  # at once, or not at all
        except OSError as error:
            message = f"'{folder}' cannot be removed: {error.strerror or error}."
            raise errors.UserError("refused", message, "Stop the backend first.") from error
        shutil.rmtree(doomed, ignore_errors=True)


_REASON = re.compile(r"^(?:ERROR:|Error:|Missing:|splatwright:)\s*(.+)")


def _failure(sentence: str, tail: deque[str]) -> errors.UserError:
    """The first line that says what is wrong; the last one otherwise."""
    reasons = [match[1] for line in tail if (match := _REASON.match(line))]
    reason = reasons[0] if reasons else tail[-1] if tail else "it said nothing"
    message = f"{sentence.rstrip('.')} failed: {reason.rstrip('.')}."
    if any("No space left" in line for line in tail):
        return errors.UserError("disk_full", message, "Make room, then repair the environment.")
    hint = "Look at the network, the wheel and the index, then repair the environment."
    return errors.UserError("missing_dependency", message, hint, "splatwright.backend_repair")


def _write_whole(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(content)
    os.replace(temporary, path)


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Two Blenders do not work on one environment. The system frees the lock when its holder dies."""
    with path.open("ab") as stream:
        try:
            if os.name == "nt":
                msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = "Another Blender is at work on the backend's environment."
            raise errors.UserError("refused", message, "Wait until it is done.") from error
        yield
