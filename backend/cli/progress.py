"""Shows a run's progress: one moving line in a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from backend.cli.terminal import duration_in_words, say
from backend.jobs.running import Watcher

if TYPE_CHECKING:
    from rich.progress import TaskID

PLAIN_LINE_EVERY = 5.0  # seconds
RATE_OVER = 15.0  # seconds


class Display(Watcher, Protocol):
    """A watcher with a screen to tidy up."""

    def __enter__(self) -> Display: ...

    def __exit__(self, *error: object) -> None: ...

    def let_go(self) -> None:
        """Leaves the terminal usable when the process is about to end at once."""
        ...


def display(*, quiet: bool = False) -> Display:
    """What suits the place that standard error goes to."""
    if quiet or not sys.stderr.isatty():
        return PlainLines(quiet=quiet)
    return MovingLine()


class Pace:
    """Steps per second over the last seconds, and the time left at that pace."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, step: int) -> None:
        now = self._clock()
        self._seen.append((now, step))
        while len(self._seen) > 2 and now - self._seen[0][0] > RATE_OVER:
            self._seen.popleft()

    def per_second(self) -> float | None:
        if len(self._seen) < 2:
            return None
        (start, first), (end, last) = self._seen[0], self._seen[-1]
        return (last - first) / (end - start) if end > start else None

    def seconds_left(self, steps: int) -> float | None:
        rate = self.per_second()
        return (steps - self._seen[-1][1]) / rate if rate else None


class Figures:
    """The newest value of every figure; some are reported at some steps only."""

    def __init__(self) -> None:
        self.known: dict[str, float] = {}

    def update(self, figures: Mapping[str, float]) -> None:
        self.known.update(figures)

    def in_words(self) -> str:
        return "  ".join(_figure(name, value) for name, value in sorted(self.known.items(), key=_order))


def _order(item: tuple[str, float]) -> int:
    names = ("loss", "psnr", "splats")
    return names.index(item[0]) if item[0] in names else len(names)


def _figure(name: str, value: float) -> str:
    if name == "psnr":
        return f"PSNR {value:.2f} dB"
    if name == "splats":
        return f"{value:,.0f} splats"
    return f"{name} {value:.4f}"


class PlainLines:
    """For logs, pipes and tests."""

    def __init__(self, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._quiet = quiet
        self._clock = clock
        self._name = ""
        self._last_line = clock()
        self._pace = Pace(clock)
        self._figures = Figures()

    def __enter__(self) -> PlainLines:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def stage(self, text: str) -> None:
        self._name, self._pace, self._figures = text, Pace(self._clock), Figures()
        self._last_line = self._clock()
        self.note(f"{text} ...")

    def progress(self, step: int, steps: int, figures: Mapping[str, float]) -> None:
        self._pace.add(step)
        self._figures.update(figures)
        last_of_training = step == steps and bool(figures)
        if self._clock() - self._last_line < PLAIN_LINE_EVERY and not last_of_training:
            return
        self._last_line = self._clock()
        parts = (f"{step:,}/{steps:,}", self._figures.in_words(), _pace_in_words(self._pace, steps, self._figures))
        self.note("  ".join(filter(None, parts)))

    def note(self, text: str) -> None:
        if not self._quiet:
            say(text)

    def let_go(self) -> None:
        pass


def _pace_in_words(pace: Pace, steps: int, figures: Figures) -> str:
    """Steps of different weight, which have no figures, go at no speed worth telling."""
    rate, left = pace.per_second(), pace.seconds_left(steps)
    if rate is None or left is None:
        return ""
    time_left = f"{duration_in_words(left)} left"
    return f"{rate:.1f} it/s  {time_left}" if figures.known else time_left


class MovingLine:
    """For people at a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task: TaskID | None = None
        self._pace = Pace()
        self._figures = Figures()

    def __enter__(self) -> MovingLine:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def stage(self, text: str) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._pace, self._figures = Pace(), Figures()
        self._task = self._progress.add_task(text, total=None, figures="")

    def progress(self, step: int, steps: int, figures: Mapping[str, float]) -> None:
        if self._task is None:
            return
        self._pace.add(step)
        self._figures.update(figures)
        words = "  ".join(filter(None, [self._figures.in_words(), _pace_in_words(self._pace, steps, self._figures)]))
        self._progress.update(self._task, completed=step, total=steps, figures=words)

    def note(self, text: str) -> None:
        self._progress.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def let_go(self) -> None:
        sys.stderr.write("\x1b[?25h\n")  # the cursor is hidden while the line moves
        sys.stderr.flush()
