"""One run of a method as the rest of the program sees it: stages, progress, and how it is asked to stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:  # the command starts without torch
    from backend.splats.representation import Representation

log = logging.getLogger(__name__)

StopReason = Literal["interrupted", "minutes"]


class Watcher(Protocol):
    """Whoever looks at a run: a terminal, a log, a viewport."""

    def stage(self, text: str) -> None:
        """The run begins a new part of its work, such as "Reading photos"."""
        ...

    def progress(self, step: int, steps: int, figures: Mapping[str, float]) -> None:
        """`step` of `steps` of the present stage is done."""
        ...

    def note(self, text: str) -> None:
        """One plain line that stays."""
        ...


class NobodyWatches:
    """For scripts and tests."""

    def stage(self, text: str) -> None:
        pass

    def progress(self, step: int, steps: int, figures: Mapping[str, float]) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class RunningJob:
    """A `backend.methods.job.Job` that can be stopped from another thread or from a signal handler."""

    def __init__(self, watcher: Watcher | None = None, *, minutes: float | None = None) -> None:
        """minutes: from now on; after them the method is asked for what it has."""
        self.folder: Path | None = None
        self.has_result = False  # stopping keeps what there is; before that, there is nothing to keep
        self._watcher = watcher or NobodyWatches()
        self._deadline = None if minutes is None else time.monotonic() + 60 * minutes
        self._stopped: StopReason | None = None

    @property
    def stopped(self) -> StopReason | None:
        """Why the method was asked to stop, or None."""
        return self._stopped

    @property
    def stop_early(self) -> bool:
        if self._stopped is None and self._deadline is not None and time.monotonic() >= self._deadline:
            self._stopped = "minutes"
        return self._stopped is not None

    def interrupt(self) -> None:
        """Asks the method to end after the step it is in and to return what it has."""
        self._stopped = "interrupted"

    def stage(self, text: str) -> None:
        self._watcher.stage(text)

    def progress(self, step: int, steps: int, **figures: float) -> None:
        self._watcher.progress(step, steps, figures)

    def part_done(self, done: int, total: int) -> None:
        """Progress of a stage that has no figures."""
        self._watcher.progress(done, total, {})

    def note(self, text: str) -> None:
        self._watcher.note(text)

    def warn(self, text: str) -> None:
        """Something that does not hinder the run but that the user should know."""
        log.warning("%s", text)

    def show(self, live: Representation) -> None:
        """Nobody looks at the splats of a run that has no renderer beside it."""

    def keep_with(self, save: Callable[[], None]) -> None:
        """A run that nobody can pause never rests."""
