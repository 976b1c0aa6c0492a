"""Every way a job can go, with work that does only what the test wants; no training."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import torch

from backend.jobs.queue import Ending, JobQueue
from backend.jobs.render_lane import RenderLane
from backend.jobs.steered_job import SteeredJob
from backend.splats.representation import Representation
from backend.store.cards import JobCard
from backend.store.workspace import Workspace
from shared_protocol.errors import UserError
from shared_protocol.messages import Event, JobChanged, JobNote, JobProgress
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


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "workspace")
    yield made
    made.close()


def test_jobs_are_done_one_after_another(bench: Bench) -> None:
    at_once: list[int] = []
    busy = threading.Semaphore(1)

    def alone(card: JobCard, job: SteeredJob) -> Ending:
        at_once.append(busy.acquire(blocking=False))
        time.sleep(0.01)
        busy.release()
        return Ending(True, 1, 1, {})

    jobs = [bench.submit(name, alone) for name in "abc"]
    for job in jobs:
        bench.wait(job, "finished")
    assert bench.work.begun == ["a", "b", "c"] and at_once == [True] * 3
    assert bench.told(jobs[2]) == ["queued", "running", "finished"]
    wait_for(lambda: bench.queue.is_idle)
    assert bench.queue.step_age() is None


def test_progress_is_told_but_not_at_every_step(bench: Bench) -> None:
    job = bench.submit("a", lambda card, steered: steps_until_told(card, steered, 150))
    bench.wait(job, "finished")
    told = [event for event in bench.events if isinstance(event, JobProgress)]
    assert told[-1].step == 150 and told[-1].stage == "Training" and 3 <= len(told) < 30
    state = bench.queue.state(job)
    assert (state.step, state.steps) == (150, 150) and state.figures["loss"] == pytest.approx(1 / 150)


def test_figures_that_are_no_numbers_are_left_out(bench: Bench) -> None:
    def play(card: JobCard, job: SteeredJob) -> Ending:
        job.progress(1, 2, loss=float("nan"), psnr=20.0)
        job.progress(2, 2, loss=float("inf"))
        return Ending(True, 2, 2, {})

    job = bench.submit("a", play)
    bench.wait(job, "finished")
    assert [e.figures for e in bench.events if isinstance(e, JobProgress)][-1] == {"psnr": 20.0}


def test_pause_and_resume(bench: Bench) -> None:
    job = bench.submit("a", steps_until_told)
    wait_for(lambda: bench.queue.state(job).step > 3)
    bench.queue.pause(job)
    bench.wait(job, "paused")
    step = bench.queue.state(job).step
    time.sleep(0.05)
    assert bench.queue.state(job).step == step and bench.queue.is_idle
    assert bench.queue.pause(job).status == "paused"
    bench.queue.resume(job)
    bench.wait(job, "running")
    wait_for(lambda: bench.queue.state(job).step > step)
    assert not bench.queue.is_idle and bench.work.begun == ["a"]
    bench.queue.cancel(job, keep=False)


def test_a_pause_is_told_at_once_and_writes_one_checkpoint(bench: Bench) -> None:
    begun, may_write = threading.Semaphore(0), threading.Semaphore(0)
    written: list[int] = []

    def play(card: JobCard, job: SteeredJob) -> Ending:
        def save() -> None:
            begun.release()
            assert may_write.acquire(timeout=10)
            written.append(bench.queue.state(card.id).step)

        return steps_until_told(card, job, save=save)

    job = bench.submit("a", play)
    for pauses in (1, 2):
        step = bench.queue.state(job).step
        wait_for(lambda step=step: bench.queue.state(job).step > step + 3)
        bench.queue.pause(job)
        assert begun.acquire(timeout=10)
        assert bench.queue.state(job).status == "paused" and len(written) == pauses - 1, "told before it is written"
        may_write.release()
        wait_for(lambda pauses=pauses: len(written) == pauses)
        bench.queue.pause(job)
        assert written[-1] == bench.queue.state(job).step
        bench.queue.resume(job)
        bench.wait(job, "running")
    bench.queue.pause(job)
    assert begun.acquire(timeout=10)
    may_write.release()
    bench.queue.cancel(job, keep=False)
    wait_for(lambda: bench.queue.is_idle and bool(bench.work.discarded))
    assert len(written) == 3 and not begun.acquire(blocking=False)


def test_cancel_is_obeyed_at_the_next_report(bench: Bench) -> None:
    steps: list[int] = []

    def play(card: JobCard, job: SteeredJob) -> Ending:
        for step in range(1, 100):
            if step == 5:
                assert bench.queue.cancel(card.id, keep=False).status == "cancelled", "answered before it is obeyed"
            job.progress(step, 100)
            steps.append(step)
        return Ending(True, 100, 100, {})

    job = bench.submit("a", play)
    wait_for(lambda: bench.work.discarded == ["a"])
    wait_for(lambda: bench.queue.is_idle)
    assert steps == [1, 2, 3, 4]
    assert bench.told(job)[-1] == "cancelled" and bench.told(job).count("cancelled") == 1


def test_a_job_that_rests_can_be_cancelled(bench: Bench) -> None:
    job = bench.submit("a", steps_until_told)
    wait_for(lambda: bench.queue.state(job).step > 3)
    bench.queue.pause(job)
    bench.wait(job, "paused")
    assert bench.queue.cancel(job, keep=False).status == "cancelled"
    wait_for(lambda: bench.work.discarded == ["a"])


@pytest.mark.parametrize("paused", [False, True])
def test_ending_early_keeps_what_there_is(bench: Bench, paused: bool) -> None:
    job = bench.submit("a", steps_until_told)
    wait_for(lambda: bench.queue.state(job).step > 3)
    if paused:
        bench.queue.pause(job)
        bench.wait(job, "paused")
    bench.queue.cancel(job, keep=True)
    bench.wait(job, "stopped")
    assert bench.queue.state(job).step > 3 and not bench.work.discarded


def test_before_there_is_anything_to_keep_ending_early_is_cancelling(bench: Bench) -> None:
    def reads_photos(card: JobCard, job: SteeredJob) -> Ending:
        while True:
            time.sleep(0.001)
            job.part_done(1, 2)

    job = bench.submit("a", reads_photos)
    bench.wait(job, "running")
    assert bench.queue.cancel(job, keep=True).status == "cancelled"
    wait_for(lambda: bench.queue.is_idle)


def test_a_cancelled_job_is_gone_at_once_even_while_it_cannot_hear(bench: Bench) -> None:
    may_end = threading.Event()

    def deaf(card: JobCard, job: SteeredJob) -> Ending:
        may_end.wait(5)
        job.note("still here")
        return Ending(True, 1, 1, {})

    job, following = bench.submit("deaf", deaf), bench.submit("next")
    bench.wait(job, "running")
    assert bench.queue.cancel(job, keep=False).status == "cancelled"
    assert bench.told(job)[-1] == "cancelled"
    assert bench.queue.state(following).status == "queued"
    may_end.set()
    bench.wait(following, "finished")
    assert bench.work.discarded == ["deaf"] and bench.queue.state(job).status == "cancelled"
    assert not [event for event in bench.events if isinstance(event, JobNote)]


def test_a_waiting_job_can_be_paused_resumed_and_cancelled(bench: Bench) -> None:
    first = bench.submit("first", steps_until_told)
    second, third = bench.submit("second"), bench.submit("third")
    assert bench.queue.pause(second).status == "paused"
    assert bench.queue.cancel(third, keep=True).status == "cancelled"
    bench.queue.cancel(first, keep=False)
    wait_for(lambda: bench.queue.is_idle)
    assert bench.work.begun in (["first"], [])
    bench.queue.resume(second)
    bench.wait(second, "finished")
    assert "third" not in bench.work.begun and "third" in bench.work.discarded


def test_a_job_that_rests_lets_the_others_pass(bench: Bench) -> None:
    resting = bench.submit("resting", steps_until_told)
    wait_for(lambda: bench.queue.state(resting).step > 3)
    bench.queue.pause(resting)
    bench.wait(resting, "paused")
    passing = bench.submit("passing")
    bench.wait(passing, "finished")
    assert bench.queue.state(resting).status == "paused"
    bench.queue.resume(resting)
    bench.wait(resting, "running")
    assert bench.work.begun == ["resting", "passing", "resting"] and not bench.work.discarded
    bench.queue.cancel(resting, keep=False)


def test_a_job_that_is_making_way_is_resumed_although_the_other_is_gone_by_then(bench: Bench) -> None:
    may_save, saving = threading.Event(), threading.Event()

    def save() -> None:
        saving.set()
        assert may_save.wait(10)

    first = bench.submit("first", lambda card, job: steps_until_told(card, job, save=save))
    bench.wait(first, "running")
    bench.queue.pause(first)
    bench.wait(first, "paused")
    assert saving.wait(10)
    second = bench.submit("second")  # the first one is told to make way, and still writes its checkpoint
    bench.queue.cancel(second, keep=False)
    assert bench.queue.resume(first).status == "queued"
    may_save.set()
    bench.wait(first, "running")
    assert bench.work.begun == ["first", "first"]


def test_what_the_user_can_mend_is_told_with_its_hint_and_can_be_resumed(bench: Bench) -> None:
    def fails(card: JobCard, job: SteeredJob) -> Ending:
        raise UserError("disk_full", "The disk is full.", "Free some space.", fix="open_folder")

    job = bench.submit("a", fails)
    bench.wait(job, "failed")
    failure = bench.queue.state(job).failure
    assert failure is not None
    assert (failure.kind, failure.message, failure.hint, failure.fix) == (
        "disk_full", "The disk is full.", "Free some space.", "open_folder",
    )  # fmt: skip
    bench.work.plays["a"] = ends_at_once
    bench.queue.resume(job)
    bench.wait(job, "finished")
    assert bench.queue.state(job).failure is None


def test_our_mistakes_are_failures_with_a_traceback_and_the_others_go_on(bench: Bench) -> None:
    def fails(card: JobCard, job: SteeredJob) -> Ending:
        raise ZeroDivisionError("secret details")

    job, following = bench.submit("a", fails), bench.submit("b")
    bench.wait(following, "finished")
    failure = bench.queue.state(job).failure
    assert failure is not None and failure.kind == "mistake" and "secret" not in failure.message
    assert "secret details" in (bench.workspace.job_folder(job) / "traceback.txt").read_text()


def test_full_memory_is_said_so(bench: Bench) -> None:
    def fails(card: JobCard, job: SteeredJob) -> Ending:
        raise MemoryError

    job = bench.submit("a", fails)
    bench.wait(job, "failed")
    failure = bench.queue.state(job).failure
    assert failure is not None and failure.kind == "out_of_memory"


def test_a_poisoned_gpu_ends_everything_and_writes_nothing(bench: Bench) -> None:
    def fails(card: JobCard, job: SteeredJob) -> Ending:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nmore")

    job, following = bench.submit("a", fails), bench.submit("b")
    wait_for(lambda: bool(bench.fatal))
    assert bench.fatal == ["The GPU stopped working (CUDA error: an illegal memory access was encountered)."]
    time.sleep(0.05)
    assert bench.queue.state(job).status == "running" and bench.queue.state(following).status == "queued"
    card = bench.workspace.catalogue.find(JobCard, job)
    assert card is not None and card.status == "running"  # so that the next process goes on with it


def test_jobs_of_the_other_kinds_of_end_cannot_be_resumed(bench: Bench) -> None:
    job = bench.submit("a")
    bench.wait(job, "finished")
    with pytest.raises(UserError, match="over"):
        bench.queue.resume(job)
    with pytest.raises(UserError, match="over"):
        bench.queue.pause(job)
    assert bench.queue.cancel(job, keep=False).status == "finished"
    with pytest.raises(UserError, match="no job 'x'"):
        bench.queue.state("x")


def test_closing_sets_the_running_job_aside_and_opening_goes_on(bench: Bench) -> None:
    running, waiting = bench.submit("running", steps_until_told), bench.submit("waiting")
    wait_for(lambda: bench.queue.state(running).step > 3)
    bench.close()
    assert not bench.work.discarded
    bench.work.plays["running"] = ends_at_once
    bench.open()
    bench.wait(waiting, "finished")
    assert bench.work.begun == ["running", "running", "waiting"]
    state = bench.queue.state(running)
    assert state.status == "finished" and state.resumed == 1
    assert any(isinstance(event, JobNote) and "goes on" in event.text for event in bench.events)


def test_a_job_that_rested_still_rests_after_reopening(bench: Bench) -> None:
    job = bench.submit("a", steps_until_told)
    wait_for(lambda: bench.queue.state(job).step > 3)
    bench.queue.pause(job)
    bench.wait(job, "paused")
    bench.close()
    bench.open()
    assert bench.queue.state(job).status == "paused" and bench.queue.is_idle
    bench.work.plays["a"] = ends_at_once
    bench.queue.resume(job)
    bench.wait(job, "finished")


def test_a_job_that_kills_its_process_again_and_again_fails(bench: Bench) -> None:
    job = bench.submit("a")
    bench.wait(job, "finished")
    bench.close()

    def dies(starts: int, reached: str) -> None:
        """Leaves behind what a process that was killed at its work leaves."""
        workspace = Workspace(bench.folder)
        card = workspace.catalogue.find(JobCard, job)
        assert card is not None
        workspace.keep(msgspec.structs.replace(card, status="running", starts=starts, reached=reached))
        workspace.close()

    dies(2, "")
    bench.open()
    bench.wait(job, "finished")
    bench.close()
    dies(3, "")
    bench.open()
    state = bench.queue.state(job)
    assert state.status == "failed" and state.failure is not None and "died 3 times" in state.failure.message
    bench.close()
    # A newer checkpoint than at the last start means that it gets on, however slowly.
    folder = bench.folder / "jobs" / job / "training"
    folder.mkdir(parents=True)
    (folder / "step_00000020.json").write_text("{}")
    dies(3, "step_00000010.json")
    bench.open()
    bench.wait(job, "finished")


def test_ending_a_set_aside_job_early_takes_up_its_checkpoint(bench: Bench) -> None:
    seen: list[bool] = []

    def play(card: JobCard, job: SteeredJob) -> Ending:
        seen.append(job.stop_early)
        return steps_until_told(card, job)

    job = bench.submit("a", play)
    wait_for(lambda: bench.queue.state(job).step > 3)
    bench.queue.pause(job)
    bench.wait(job, "paused")
    bench.wait(bench.submit("b"), "finished")
    folder = bench.workspace.job_folder(job) / "training"
    folder.mkdir(parents=True)
    (folder / "step_00000004.json").write_text("{}")
    bench.queue.cancel(job, keep=True)
    bench.wait(job, "stopped")
    assert seen == [False, True]
