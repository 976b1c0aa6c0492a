"""How the jobs of a queue follow each other and are steered."""

from __future__ import annotations

import threading
import time

import pytest

from backend.jobs.steered_job import SteeredJob
from backend.jobs.work import Ending
from backend.store.cards import JobCard
from shared_protocol.messages import JobNote, JobProgress
from tests.unit.jobs.queue_bench import Bench, steps_until_told, wait_for


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


def test_a_queue_is_idle_only_when_what_a_cancelled_job_left_is_gone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    was_idle: list[bool] = []
    monkeypatch.setattr(bench.work, "discard", lambda card: was_idle.append(bench.queue.is_idle))
    job = bench.submit("a", steps_until_told)
    bench.wait(job, "running")
    bench.queue.cancel(job, keep=False)
    wait_for(lambda: bench.queue.is_idle)
    assert was_idle == [False]


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
