"""What becomes of jobs that fail, and of those that a closing queue finds."""

from __future__ import annotations

import time

import msgspec
import pytest
import torch

from backend.jobs.steered_job import SteeredJob
from backend.jobs.work import Ending
from backend.store.cards import JobCard
from backend.store.workspace import Workspace
from shared_protocol.errors import UserError
from shared_protocol.messages import JobNote
from tests.unit.jobs.queue_bench import Bench, ends_at_once, steps_until_told, wait_for


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
