"""Does jobs one at a time on a thread of its own, and keeps what became of them on the disk."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from backend.jobs.events import JobWatcher
from backend.jobs.fatal import fatal_reason
from backend.jobs.render_lane import RenderLane
from backend.jobs.steered_job import SetAside, SteeredJob
from backend.jobs.training_folder import TrainingFolder
from backend.jobs.work import Work
from backend.methods.job import Cancelled
from backend.store.cards import JobCard
from backend.store.workspace import Workspace
from shared_protocol.errors import UserError
from shared_protocol.messages import Event, JobChanged, JobNote
from shared_protocol.things import ENDED, Failed, JobState, JobStatus

_MOST_STARTS = 3  # that end with the death of the process, without a newer checkpoint in between
_PATIENCE = 8.0  # seconds for the running job to come to an end when everything ends

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Running:
    card: JobCard
    job: SteeredJob
    watcher: JobWatcher


class JobQueue:
    """Calls come from any thread; events are told while the lock is held, so that they are in order.

    What there is can be asked without the lock: it is held while cards are written, and the server's loop must not wait
    for a disk.
    """

    def __init__(
        self,
        workspace: Workspace,
        work: Work,
        lane: RenderLane,
        *,
        tell: Callable[[Event], None],
        on_fatal: Callable[[str], None],
        categories: Container[str] | None = None,
        changed: threading.Condition | None = None,
    ) -> None:
        """categories: of the jobs that are this queue's, where there are several; None = all are.

        changed: the lock of all queues that ask each other, on a lock that a thread may take twice.
        """
        self._workspace, self._work, self._lane = workspace, work, lane
        self._categories = categories
        self._tell, self._on_fatal = tell, on_fatal
        self._changed = changed or threading.Condition(threading.RLock())
        self._cards: dict[str, JobCard] = {}  # never changed, only followed by another one
        self._waiting: list[str] = []
        self._running: _Running | None = None
        self._closing = False
        self._take_up()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Lets the running job write a checkpoint; it goes on when the workspace is opened again."""
        self.begin_to_close()
        if self._thread.is_alive():
            self._thread.join(timeout=_PATIENCE)

    def begin_to_close(self) -> None:
        """Asks the running job to come to an end, and does not wait for it."""
        with self._changed:
            self._closing = True
            if self._running is not None:
                self._running.job.set_aside()
            self._changed.notify_all()

    # ---- what there is

    @property
    def is_idle(self) -> bool:
        running, cards = self._running, self._cards  # in this order: a job that begins is in the second at the latest
        if running is not None and cards[running.card.id].status != "paused":
            return False
        return not any(card.status in ("queued", "running") for card in cards.values())

    def step_age(self) -> float | None:
        """Seconds since the running job was last heard of; None when nothing runs."""
        running = self._running
        return None if running is None else time.monotonic() - running.job.heard

    def has(self, job: str) -> bool:
        return job in self._cards

    def states(self) -> tuple[JobState, ...]:
        """Oldest first."""
        return tuple(self._state(card) for card in self._cards.values())

    def state(self, job: str) -> JobState:
        return self._state(self._card(job))

    def running_on(self, asset: str) -> str:
        """The job that will still write this asset; "" = none."""
        found = (c.id for c in self._cards.values() if c.asset == asset and c.status not in ENDED)
        return next(found, "")

    # ---- what may be asked of it

    def submit(self, card: JobCard) -> JobState:
        with self._changed:
            self._workspace.keep(card)  # a job that is lost with the next crash must not be accepted
            self._put(card)
            self._queue(card.id)
            return self._state(card)

    def pause(self, job: str) -> JobState:
        """A running job rests after its present step; one that waits does not begin."""
        with self._changed:
            card = self._card(job)
            if card.status in ENDED:
                raise UserError("refused", f"The job '{card.name}' is over.")
            if self._runs(job) is not None:
                self._runs(job).job.pause()
            elif card.status == "queued":
                self._waiting.remove(job)
                card = self._put(card, status="paused")
            return self._state(card)

    def resume(self, job: str) -> JobState:
        """Goes on with a job that rests, failed, or was ended early."""
        with self._changed:
            card = self._card(job)
            if card.status in ("finished", "cancelled"):
                raise UserError("refused", f"The job '{card.name}' is over.", "Start a new one.")
            running = self._runs(job)
            if running is not None:
                running.job.go_on()
                if card.status == "paused" and running.job.is_set_aside:
                    card = self._put(card, status="queued")  # it was asked to make way, and now waits for its turn
            elif card.status in ("paused", "failed", "stopped"):
                card = self._put(card, status="queued", failure=None, starts=0)
                self._queue(job)
            return self._state(card)

    def cancel(self, job: str, *, keep: bool) -> JobState:
        """Throws the job away, or ends it and keeps what there is by now."""
        with self._changed:
            card, running = self._card(job), self._runs(job)
            if card.status in ENDED:
                return self._state(card)
            if running is not None and keep and running.job.has_result:
                running.job.interrupt()
            elif running is not None:
                running.watcher.fall_silent()
                running.job.throw_away()
                card = self._put(card, status="cancelled")  # for everyone else; its thread ends within a step
            elif keep and TrainingFolder(self.checkpoints_of(card)).has_checkpoint:
                card = self._put(card, status="queued", keep_now=True)
                self._queue(job)
            else:
                if job in self._waiting:
                    self._waiting.remove(job)
                card = self._put(card, status="cancelled")
                self._discard(card)
            return self._state(card)

    def checkpoints_of(self, card: JobCard) -> Path:
        return self._workspace.job_folder(card.id) / "training"

    # ---- the thread

    def _run(self) -> None:
        while (card := self._next()) is not None:
            if not self._do(card):
                return

    def _next(self) -> JobCard | None:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            if self._closing:
                return None
            card = self._cards[self._waiting.pop(0)]
            watcher = JobWatcher(card.id, self._tell_in_order)
            job = SteeredJob(
                watcher, self._lane, on_live=partial(self._work.show, card), on_rest=partial(self._rested, card.id)
            )
            if card.keep_now:
                job.interrupt_at_once()
            self._running = _Running(card, job, watcher)
            reached = _newest(self.checkpoints_of(card))
            return self._put(card, status="running", starts=card.starts + 1, reached=reached, failure=None)

    def _do(self, card: JobCard) -> bool:
        """Returns False when the process can do nothing more."""
        running = self._running
        assert running is not None
        changes = self._attempt(card, running.job)
        if changes is None:
            return False
        running.job.ended()
        with self._changed:
            latest, card = running.watcher.latest, self._cards[card.id]
            if "cancelled" in (card.status, changes.get("status")):
                self._discard(card)  # while it still runs: who sees that nothing runs finds nothing left of it
                changes = {} if card.status == "cancelled" else changes
            self._running = None
            if changes:
                told = {"stage": latest.stage, "step": latest.step, "steps": latest.steps, "figures": latest.figures}
                self._put(card, **{**told, **changes}, keep_now=False)
            elif not self._closing and card.status == "queued":
                self._queue(card.id)
            self._work.over(card)  # last, so that what it tells of the asset does not name this job any more
        return True

    def _attempt(self, card: JobCard, job: SteeredJob) -> dict[str, Any] | None:
        """How the job's card changes; nothing for a job that is set aside. None = the process is broken."""
        try:
            ending = self._work.do(card, job)
        except Cancelled:
            return {"status": "cancelled"}
        except SetAside:
            return {}
        except UserError as error:
            return _failed(Failed.of(error))
        except Exception as error:  # noqa: BLE001  the border of the job: whatever it is, the others go on
            fatal = fatal_reason(error)
            if fatal is not None:
                self._on_fatal(fatal)
                return None
            return _failed(self._mistake(card, error))
        return {
            "status": "finished" if ending.finished else "stopped",
            "step": ending.step,
            "steps": ending.steps,
            "figures": ending.figures,
            "version": ending.version,
            "apart": ending.apart,
            "selection": ending.selection,
            "hidden": ending.hidden,
        }

    def _mistake(self, card: JobCard, error: Exception) -> Failed:
        log.error("The job %s failed", card.id, exc_info=error)
        path = self._workspace.job_folder(card.id) / "traceback.txt"
        try:
            path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        except OSError as cannot:
            log.error("'%s' could not be written: %s", path, cannot)
        if isinstance(error, MemoryError):
            return Failed(
                kind="out_of_memory", message="The computer's memory is used up.", hint="Close other programs."
            )
        message = f"Splatwright made a mistake ({type(error).__name__})."
        return Failed(kind="mistake", message=message, hint=f"Please report it with the file '{path}'.")

    def _rested(self, job: str, resting: bool) -> None:
        """Called on the job's thread."""
        with self._changed:
            card = self._cards[job]
            if card.status in ("running", "paused"):
                self._put(card, status="paused" if resting else "running")
            self._make_way()

    # ---- with the lock held

    def _runs(self, job: str) -> Any:
        return self._running if self._running is not None and self._running.card.id == job else None

    def _queue(self, job: str) -> None:
        self._waiting.append(job)
        self._make_way()
        self._changed.notify_all()

    def _make_way(self) -> None:
        """A job that rests does not keep the others waiting."""
        running = self._running
        if running is not None and self._waiting and self._cards[running.card.id].status == "paused":
            running.job.set_aside()

    def _put(self, card: JobCard, **changes: Any) -> JobCard:
        """Remembers the card as changed, and tells. A full disk does not stop the work: the memory still knows."""
        card = msgspec.structs.replace(card, **changes)
        try:
            self._workspace.keep(card)
        except UserError as error:
            log.error("%s", error)
        self._cards = {**self._cards, card.id: card}
        self._tell(JobChanged(job=self._state(card)))
        return card

    def _discard(self, card: JobCard) -> None:
        """What cannot be removed now is left for the next collection; it must not stop the other jobs."""
        try:
            self._work.discard(card)
        except (OSError, UserError) as error:
            log.error("What the job %s left could not be removed: %s", card.id, error)

    def _tell_in_order(self, event: Event) -> None:
        with self._changed:
            self._tell(event)

    def _card(self, job: str) -> JobCard:
        card = self._cards.get(job)
        if card is None:
            raise UserError("not_found", f"There is no job '{job}' here.")
        return card

    def _state(self, card: JobCard) -> JobState:
        running = self._runs(card.id)
        latest = card if running is None else running.watcher.latest
        status: JobStatus = card.status  # type: ignore[assignment]
        return JobState(
            job=card.id,
            name=card.name,
            method=card.method,
            status=status,
            category=card.category,
            asset=card.asset,
            version=card.version,
            apart=card.apart,
            selection=card.selection,
            hidden=card.hidden,
            stage=latest.stage,
            step=latest.step,
            steps=latest.steps,
            figures=latest.figures,
            submitted=card.created,
            resumed=card.resumed,
            failure=None if card.failure is None else msgspec.convert(card.failure, Failed),
        )

    # ---- after a death

    def _take_up(self) -> None:
        """Jobs that ran when the process died come first; those that waited wait again, those that rested rest."""
        cards = self._workspace.catalogue.all(JobCard)
        if self._categories is not None:
            cards = [card for card in cards if card.category in self._categories]
        self._cards = {card.id: card for card in cards}
        interrupted = [card for card in cards if card.status == "running"]
        for card in interrupted:
            reached = _newest(self.checkpoints_of(card))
            starts = card.starts if reached == card.reached else 0
            if starts >= _MOST_STARTS:
                self._put(card, **_failed(_killer(starts)))
                continue
            self._put(card, status="queued", starts=starts, resumed=card.resumed + 1)
            self._tell(JobNote(job=card.id, text="The backend had ended while this job ran; it goes on."))
            self._waiting.append(card.id)
        self._waiting += [card.id for card in cards if card.status == "queued"]


def _failed(failure: Failed) -> dict[str, Any]:
    return {"status": "failed", "failure": msgspec.to_builtins(failure)}


def _killer(starts: int) -> Failed:
    message = f"The backend died {starts} times while it did this job, most likely because memory ran out."
    return Failed(kind="out_of_memory", message=message, hint="Lower the resolution or the number of splats.")


def _newest(checkpoints: Path) -> str:
    """The name of the newest checkpoint; "" = none."""
    return max((path.name for path in checkpoints.glob("step_*.json")), default="")
