"""A queue whose work does only what a test wants; no training."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from backend.jobs.queue import JobQueue
from backend.jobs.render_lane import RenderLane
from backend.jobs.steered_job import SteeredJob
from backend.jobs.work import Ending
from backend.splats.representation import Representation
from backend.store.cards import JobCard
from backend.store.workspace import Workspace
from shared_protocol.messages import Event, JobChanged
from shared_protocol.things import JobStatus

Play = Callable[[JobCard, SteeredJob], Ending]


def steps_until_told(
    card: JobCard, job: SteeredJob, steps: int = 10**9, save: Callable[[], None] = lambda: None
) -> Ending:
    """Like a training: steps of a millisecond, and a result when it is asked for what there is."""
    job.stage("Training")
    job.has_result = True
    job.keep_with(save)
    done = 0
    while done < steps and not job.stop_early:
        time.sleep(0.001)
        done += 1
        job.progress(done, steps, loss=1.0 / done)
    return Ending(done == steps, done, steps, {"loss": 1.0 / max(1, done)})


def ends_at_once(card: JobCard, job: SteeredJob) -> Ending:
    return Ending(True, 1, 1, {})


class PlayedWork:
    """Does what `plays` says, by the job's name."""

    def __init__(self) -> None:
        self.plays: dict[str, Play] = {}
        self.begun: list[str] = []
        self.discarded: list[str] = []
        self.ended: list[str] = []

    def do(self, card: JobCard, job: SteeredJob) -> Ending:
        self.begun.append(card.name)
        return self.plays.get(card.name, ends_at_once)(card, job)

    def show(self, card: JobCard, live: Representation) -> None:
        pass

    def over(self, card: JobCard) -> None:
        self.ended.append(card.name)

    def discard(self, card: JobCard) -> None:
        self.discarded.append(card.name)


class Bench:
    """A queue in a workspace, that can be closed and opened again, or left behind as a dying process leaves it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = PlayedWork()
        self.events: list[Event] = []
        self.fatal: list[str] = []
        self.made = 0
        self.open()

    def open(self) -> None:
        self.workspace = Workspace(self.folder)
        self.lane = RenderLane(on_error=lambda error: None)
        self.queue = JobQueue(self.workspace, self.work, self.lane, tell=self.events.append, on_fatal=self.fatal.append)
        self.queue.start()

    def close(self) -> None:
        self.lane.close()
        self.queue.close()
        self.workspace.close()

    def submit(self, name: str, play: Play | None = None) -> str:
        if play is not None:
            self.work.plays[name] = play
        self.made += 1
        card = JobCard(
            id=f"job{self.made}", created=float(self.made), name=name, method="m", status="queued", asset="a",
            request=msgspec.Raw(b"{}"),
        )  # fmt: skip
        return self.queue.submit(card).job

    def wait(self, job: str, *statuses: JobStatus) -> None:
        wait_for(lambda: self.queue.state(job).status in statuses, f"{statuses}, not {self.queue.state(job)}")

    def told(self, job: str) -> list[JobStatus]:
        return [event.job.status for event in self.events if isinstance(event, JobChanged) and event.job.job == job]


def wait_for(condition: Callable[[], bool], what: str = "") -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.002)
