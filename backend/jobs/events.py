"""Tells the world what happens to jobs and assets, in order, and not too often."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping

from shared_protocol.messages import Event, JobNote, JobProgress

_LEAST_PAUSE = 0.05  # seconds between two reports of one job's progress


class JobWatcher:
    """What one job reports, as events; a new stage and a stage's last step are always told."""

    def __init__(self, job: str, tell: Callable[[Event], None]) -> None:
        self._job, self._tell = job, tell
        self._lock = threading.Lock()
        self._told = 0.0
        self._silent = False
        self.latest = JobProgress(job=job, stage="", step=0, steps=0)

    def fall_silent(self) -> None:
        """The job was thrown away; what it still says while it ends is of no interest."""
        self._silent = True

    def stage(self, text: str) -> None:
        self._report(JobProgress(job=self._job, stage=text, step=0, steps=0), must=True)

    def progress(self, step: int, steps: int, figures: Mapping[str, float]) -> None:
        with self._lock:
            # Figures that are not looked at in every step, such as the PSNR, stay until the next ones.
            known = self.latest.figures if step >= self.latest.step else {}
            stage = self.latest.stage
        figures = {name: value for name, value in {**known, **figures}.items() if math.isfinite(value)}
        progress = JobProgress(job=self._job, stage=stage, step=step, steps=steps, figures=figures)
        self._report(progress, must=step == steps)

    def note(self, text: str) -> None:
        if not self._silent:
            self._tell(JobNote(job=self._job, text=text))

    def _report(self, progress: JobProgress, *, must: bool) -> None:
        now = time.monotonic()
        with self._lock:
            self.latest = progress
            if self._silent or (not must and now - self._told < _LEAST_PAUSE):
                return
            self._told = now
        self._tell(progress)
