"""What a method may see of the world outside its inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the command starts without torch
    from backend.splats.representation import Representation


class Cancelled(Exception):
    """Raised inside a method by `Job.progress` when the user threw the run away: there is no result.

    Where not even a checkpoint is wanted, `Job.folder` is None by then.
    """


class Job(Protocol):
    """One run of a method.

    Two ways to end before the end: `progress` raises Cancelled (no result, the checkpoint stays), or `stop_early`
    turns True (the method ends after the step it is in and returns what it has, marked as not finished).
    """

    @property
    def folder(self) -> Path | None:
        """Where checkpoints may be kept; None = keep nothing."""
        ...

    @property
    def stop_early(self) -> bool:
        """True as soon as the user wants what there is, now: a time limit, Ctrl-C. Looked at after each step."""
        ...

    def progress(self, step: int, steps: int, **figures: float) -> None:
        """Reports that `step` of `steps` is done, with figures such as loss and splats.

        Call it after every step: this is also where cancel arrives (raises Cancelled).
        """
        ...

    def note(self, text: str) -> None:
        """One plain line for the user's log."""
        ...

    def show(self, live: Representation) -> None:
        """What may be drawn from now on inside `progress`, and after the method ended: what is being learned."""
        ...

    def keep_with(self, save: Callable[[], None]) -> None:
        """How a checkpoint is written; called inside `progress` when the run comes to rest there, maybe for days."""
        ...


class QuietJob:
    """A job that nobody watches; for scripts and tests."""

    folder: Path | None = None
    stop_early: bool = False

    def progress(self, step: int, steps: int, **figures: float) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def show(self, live: Representation) -> None:
        pass

    def keep_with(self, save: Callable[[], None]) -> None:
        pass
