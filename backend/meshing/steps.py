"""Counts the steps of a method that is made of many unlike parts."""

from __future__ import annotations

from typing import Protocol


class Report(Protocol):
    """`Job.progress`: it says how far the work is, and raises when nobody wants it any longer."""

    def __call__(self, step: int, steps: int, **figures: float) -> None: ...


class Steps:
    def __init__(self, report: Report, count: int) -> None:
        """count: how many there will be; the last `done` brings it to the end."""
        self._report, self._count, self._done = report, count, 0

    def done(self, **figures: float) -> None:
        self._done += 1
        self._report(self._done, self._count, **figures)

    def watch(self) -> None:
        """To be called often while a step takes long: this is where a cancel is heard."""
        self._report(self._done, self._count)
