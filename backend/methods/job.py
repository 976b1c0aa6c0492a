"""What a method may see of the world outside its inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Cancelled(Exception):
    """Raised inside a method by `Job.progress` when the user asked it to stop."""


class Job(Protocol):
    """One run of a method."""

    folder: Path | None  # where checkpoints may be kept; None = keep nothing

    def progress(self, step: int, steps: int, **figures: float) -> None:
        """Reports that `step` of `steps` is done, with figures such as loss and splats.

        Call it after every step: this is also where cancel arrives (raises Cancelled).
        """
        ...

    def note(self, text: str) -> None:
        """One plain line for the user's log."""
        ...


class QuietJob:
    """A job that nobody watches; for scripts and tests."""

    folder: Path | None = None

    def progress(self, step: int, steps: int, **figures: float) -> None:
        pass

    def note(self, text: str) -> None:
        pass
