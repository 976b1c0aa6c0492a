"""Two queues side by side, so that an edit does not wait behind a training."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from backend.jobs.queue import JobQueue
from backend.jobs.render_lane import RenderLane
from backend.jobs.steered_job import SteeredJob
from backend.jobs.work import Ending, Work
from backend.splats.representation import Representation
from backend.store.cards import JobCard
from backend.store.workspace import Workspace
from shared_protocol.errors import UserError
from shared_protocol.messages import Event
from shared_protocol.things import ENDED, READING, JobState

LONG = frozenset({"training", "meshing", "evaluation"})
QUICK = frozenset({"editing", "rigging", "selection"})


class WorkByCategory:
    """Does each job as its method's category is done."""

    def __init__(self, works: Mapping[str, Work]) -> None:
        self._works = works

    def do(self, card: JobCard, job: SteeredJob) -> Ending:
        return self._works[card.category].do(card, job)

    def show(self, card: JobCard, live: Representation) -> None:
        self._works[card.category].show(card, live)

    def over(self, card: JobCard) -> None:
        self._works[card.category].over(card)

    def discard(self, card: JobCard) -> None:
        self._works[card.category].discard(card)


class JobLanes:
    """To everyone else it is one queue."""

    def __init__(
        self,
        workspace: Workspace,
        work: Work,
        pictures: RenderLane,
        *,
        tell: Callable[[Event], None],
        on_fatal: Callable[[str], None],
    ) -> None:
        # One lock for both: what a job's end tells asks both queues, and two locks would be taken crosswise.
        changed = threading.Condition(threading.RLock())
        self._queues = tuple(
            JobQueue(workspace, work, pictures, tell=tell, on_fatal=on_fatal, categories=categories, changed=changed)
            for categories in (LONG, QUICK)
        )

    def start(self) -> None:
        for queue in self._queues:
            queue.start()

    def close(self) -> None:
        for queue in self._queues:  # both jobs at once: one after the other they could take longer than there is
            queue.begin_to_close()
        for queue in self._queues:
            queue.close()

    @property
    def is_idle(self) -> bool:
        return all(queue.is_idle for queue in self._queues)

    def step_age(self) -> float | None:
        """Seconds since the running job was last heard of, of two the longer; None when nothing runs."""
        ages = [age for queue in self._queues if (age := queue.step_age()) is not None]
        return max(ages, default=None)

    def submit(self, card: JobCard) -> JobState:
        return self._queues[card.category in QUICK].submit(card)

    def states(self) -> tuple[JobState, ...]:
        """Oldest first."""
        found = [state for queue in self._queues for state in queue.states()]
        return tuple(sorted(found, key=lambda state: (state.submitted, state.job)))

    def state(self, job: str) -> JobState:
        return self._queue_of(job).state(job)

    def running_on(self, asset: str) -> str:
        """The job that still works on this asset; "" = none."""
        return next(filter(None, (queue.running_on(asset) for queue in self._queues)), "")

    def writing(self, asset: str) -> str:
        """The job that will still make a version of this asset; "" = none."""
        job = self.running_on(asset)
        return job if job and self.state(job).category not in READING else ""

    def training_on(self, asset: str) -> str:
        """The training that will still make a version of this asset; "" = none."""
        return next((s.job for s in self._queues[0].states() if s.asset == asset and self._trains(s)), "")

    def pause(self, job: str) -> JobState:
        return self._queue_of(job).pause(job)

    def resume(self, job: str) -> JobState:
        return self._queue_of(job).resume(job)

    def cancel(self, job: str, *, keep: bool) -> JobState:
        return self._queue_of(job).cancel(job, keep=keep)

    @staticmethod
    def _trains(state: JobState) -> bool:
        return state.category not in READING and state.status not in ENDED

    def _queue_of(self, job: str) -> JobQueue:
        for queue in self._queues:
            if queue.has(job):
                return queue
        raise UserError("not_found", f"There is no job '{job}' here.")
