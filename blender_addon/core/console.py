"""What a console shows of a job while a script waits for it: a line at each new stage, then one every few seconds."""

from __future__ import annotations

from . import wording
from .session import JobView

EVERY_S = 5.0


class ConsoleLines:
    """Keeps what was said already, so that each thing is said once."""

    def __init__(self) -> None:
        self._stage = ""
        self._notes = 0
        self._step = -1
        self._said = 0.0

    def after(self, job: JobView, now: float) -> list[str]:
        """The lines that are due. now: seconds on a clock that never goes back."""
        notes, state = job.notes[self._notes :], job.state
        self._notes = len(job.notes)
        lines = [f"{state.name}: {note}" for note in notes]
        is_new = state.status == "running" and state.stage != self._stage
        is_due = now - self._said >= EVERY_S and state.step != self._step
        if is_new or (is_due and not job.is_over):
            self._stage, self._step, self._said = state.stage, state.step, now
            lines.append(wording.progress(job))
        return lines
