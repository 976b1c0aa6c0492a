"""A running job that other threads pause, end or throw away, and that lets pictures be drawn between its steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

from backend.jobs.render_lane import RenderLane
from backend.jobs.running import RunningJob, Watcher
from backend.methods.job import Cancelled
from backend.splats.representation import Representation

Order = Literal["throw away", "set aside"]


class SetAside(Exception):
    """Raised inside a job that is to go on another time, from what is on the disk by then."""


class SteeredJob(RunningJob):
    """Orders come from any thread and are obeyed on the job's own, whenever it reports something."""

    def __init__(
        self,
        watcher: Watcher,
        lane: RenderLane,
        *,
        on_live: Callable[[Representation], None],
        on_rest: Callable[[bool], None],
    ) -> None:
        """on_live: told what may be drawn. on_rest: told when the job comes to rest in a pause, and when it goes on."""
        super().__init__(watcher)
        self._lane = lane
        self._on_live, self._on_rest = on_live, on_rest
        self._changed = threading.Condition()
        self._order: Order | None = None
        self._paused = False
        self._stepping = False
        self._save: Callable[[], None] | None = None
        self.heard = time.monotonic()  # when the job last reported something

    # ---- from any thread

    def pause(self) -> None:
        self._tell(paused=True)

    def go_on(self) -> None:
        self._tell(paused=False)

    def interrupt(self) -> None:
        """Ends after the present step and keeps what there is; before there is anything, throws the job away."""
        if not self.has_result:
            self.throw_away()
            return
        super().interrupt()
        self._tell()

    def interrupt_at_once(self) -> None:
        """Before the job begins: it only takes up what is on the disk and makes a result of that."""
        super().interrupt()

    def throw_away(self) -> None:
        self._tell(order="throw away")

    def set_aside(self) -> None:
        self._tell(order="set aside")

    @property
    def is_set_aside(self) -> bool:
        """It will end as soon as it hears of it, and go on another time."""
        return self._order == "set aside"

    def _tell(self, *, order: Order | None = None, paused: bool | None = None) -> None:
        with self._changed:
            self._order = order or self._order
            self._paused = self._paused if paused is None else paused
            self._changed.notify_all()

    # ---- from the job

    def stage(self, text: str) -> None:
        self._steps_are_over()
        self._obey()
        super().stage(text)

    def part_done(self, done: int, total: int) -> None:
        self._steps_are_over()
        self._obey()
        super().part_done(done, total)

    def progress(self, step: int, steps: int, **figures: float) -> None:
        super().progress(step, steps, **figures)
        if self._stepping:
            self._lane.serve()
        self._obey()

    def note(self, text: str) -> None:
        self.heard = time.monotonic()
        super().note(text)

    def warn(self, text: str) -> None:
        self.note(text)

    def show(self, live: Representation) -> None:
        self._on_live(live)
        self._stepping = True
        self._lane.begin_steps()

    def keep_with(self, save: Callable[[], None]) -> None:
        self._save = save

    def ended(self) -> None:
        """The method is done, in whatever way."""
        self._steps_are_over()

    def _steps_are_over(self) -> None:
        self._save = None
        if self._stepping:
            self._stepping = False
            self._lane.end_steps()

    def _obey(self) -> None:
        """Raises Cancelled or SetAside, or rests while the job is paused."""
        with self._changed:
            self._raise_order()
            resting = self._paused and self.stopped is None
        if resting:
            self._rest()
        self.heard = time.monotonic()

    def _rest(self) -> None:
        self._on_rest(True)
        if self._stepping:
            self._lane.end_steps()  # nothing changes now, so pictures need not wait for us
        try:
            if self._save is not None and self._order is None:
                self._save()  # a pause may last for days; it was told already, so nobody waits for the disk
            with self._changed:
                while self._paused and self.stopped is None and self._order is None:
                    self._changed.wait()
        finally:
            if self._stepping:
                self._lane.begin_steps()
        with self._changed:
            self._raise_order()
        self._on_rest(False)

    def _raise_order(self) -> None:
        match self._order:
            case "throw away":
                self.folder = None  # not even a checkpoint is wanted
                raise Cancelled
            case "set aside":
                raise SetAside
