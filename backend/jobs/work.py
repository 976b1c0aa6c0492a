"""What a queue has done for it: one call a job, and how it came out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from backend.jobs.steered_job import SteeredJob
from backend.splats.representation import Representation
from backend.store.cards import JobCard


@dataclass(frozen=True)
class Ending:
    """How a job's work came out."""

    finished: bool  # False: it was ended early, and what there was is kept
    step: int
    steps: int
    figures: dict[str, float]
    version: str = ""  # that was made
    apart: str = ""  # an asset of its own that was made of a part
    selection: str = ""  # of the version: what is selected in it
    hidden: str = ""  # of the version: what is hidden in it


class Work(Protocol):
    """What the jobs of a queue do."""

    def do(self, card: JobCard, job: SteeredJob) -> Ending: ...

    def show(self, card: JobCard, live: Representation) -> None:
        """What may be drawn of the running job."""
        ...

    def over(self, card: JobCard) -> None:
        """The job does not run any more, however it ended; there is nothing live to draw."""
        ...

    def discard(self, card: JobCard) -> None:
        """Removes all that the job left."""
        ...
