"""A job of a connected backend, as scripts hold it in their hands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .messages import CancelJob, Done, PauseJob, ResumeJob, WatchJob
from .things import JobState

if TYPE_CHECKING:
    from .remote import Backend


@dataclass(frozen=True)
class Job:
    """A job of the backend; it goes on when this object, or the whole client, is gone."""

    backend: Backend
    id: str

    def state(self) -> JobState:
        return self.backend.job_state(self.id)

    def wait(self, timeout_s: float | None = None) -> JobState:
        """The state when the job has ended. Raises UserError when it failed, or TimeoutError."""
        return self.backend.wait_for_job(self.id, timeout_s)

    def pause(self) -> JobState:
        return self.backend.only_job(PauseJob(job=self.id))

    def resume(self) -> JobState:
        return self.backend.only_job(ResumeJob(job=self.id))

    def cancel(self, keep: bool = False) -> JobState:
        """keep: what there is by now becomes a version of the job's asset."""
        return self.backend.only_job(CancelJob(job=self.id, keep=keep))

    def watch(self, every_s: float = 1.0) -> None:
        """Asks for previews; they come as events, and the newest one is at hand in `backend.previews`."""
        self.backend.request(WatchJob(job=self.id, every_s=every_s), Done)
