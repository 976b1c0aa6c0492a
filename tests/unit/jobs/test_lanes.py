"""Two queues that look like one: each category in its lane, and no lock taken crosswise."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from backend.jobs.lanes import LONG, QUICK, JobLanes, WorkByCategory
from backend.jobs.render_lane import RenderLane
from backend.jobs.steered_job import SetAside, SteeredJob
from backend.jobs.work import Ending
from backend.methods import registry
from backend.store.cards import JobCard
from backend.store.workspace import Workspace
from shared_protocol.errors import UserError
from tests.unit.jobs.queue_bench import PlayedWork, ends_at_once, steps_until_told, wait_for


class AskingWork(PlayedWork):
    """Asks both queues about an asset when a job is over, as the desk does to tell of it."""

    lanes: JobLanes

    def over(self, card: JobCard) -> None:
        super().over(card)
        time.sleep(0.1)  # so that both are here, where each holds its own lock if there are two
        self.lanes.running_on("of nobody")
        self.lanes.state(card.id)


@pytest.fixture
def work() -> AskingWork:
    return AskingWork()


@pytest.fixture
def lanes(tmp_path: Path, work: AskingWork) -> Iterator[JobLanes]:
    workspace, pictures = Workspace(tmp_path / "workspace"), RenderLane(on_error=lambda error: None)
    by_category = WorkByCategory(dict.fromkeys(LONG | QUICK, work))
    made = JobLanes(workspace, by_category, pictures, tell=lambda event: None, on_fatal=lambda reason: None)
    work.lanes = made
    made.start()
    yield made
    pictures.close()
    made.close()
    workspace.close()


def card(number: int, category: str, name: str = "") -> JobCard:
    return JobCard(
        id=f"job{number}", created=float(number), name=name or category, method="m", status="queued",
        asset=f"asset{number}", category=category, request=msgspec.Raw(b"{}"),
    )  # fmt: skip


def ended(lanes: JobLanes, number: int) -> bool:
    return lanes.state(f"job{number}").status == "finished"


def test_every_category_of_methods_has_a_lane() -> None:
    assert {method.category for method in registry.all_methods()} <= LONG | QUICK
    assert not LONG & QUICK


def test_quick_jobs_pass_a_long_one_and_long_ones_wait(lanes: JobLanes, work: AskingWork) -> None:
    work.plays["training"] = steps_until_told
    for number, category in enumerate(("training", "meshing", "editing", "rigging", "evaluation")):
        lanes.submit(card(number, category))
    wait_for(lambda: lanes.state("job0").status == "running" and ended(lanes, 2) and ended(lanes, 3))
    assert [lanes.state(f"job{n}").status for n in (0, 1, 4)] == ["running", "queued", "queued"]
    assert [state.job for state in lanes.states()] == ["job0", "job1", "job2", "job3", "job4"]
    assert not lanes.is_idle and lanes.step_age() is not None
    assert lanes.writing("asset0") == "job0"
    for asset in ("asset1", "asset4"):
        assert lanes.writing(asset) == "" != lanes.running_on(asset)
    lanes.cancel("job0", keep=False)
    wait_for(lambda: ended(lanes, 1) and ended(lanes, 4) and lanes.is_idle)
    assert lanes.running_on("asset1") == "" and lanes.step_age() is None


def test_jobs_that_end_at_the_same_time_do_not_lock_each_other_out(lanes: JobLanes, work: AskingWork) -> None:
    both = threading.Barrier(2)

    def meets(given: JobCard, job: object):  # type: ignore[no-untyped-def]
        both.wait(10)
        return ends_at_once(given, job)  # type: ignore[arg-type]

    work.plays["training"] = work.plays["editing"] = meets
    lanes.submit(card(1, "training"))
    lanes.submit(card(2, "editing"))
    wait_for(lambda: len(work.ended) == 2)
    finished = threading.Event()
    threading.Thread(target=lambda: (lanes.states(), finished.set()), daemon=True).start()
    assert finished.wait(10), "the queues wait for each other"
    wait_for(lambda: ended(lanes, 1) and ended(lanes, 2))


def test_at_the_end_both_lanes_are_asked_before_either_is_waited_for(lanes: JobLanes, work: AskingWork) -> None:
    asked = threading.Barrier(2)
    met: list[str] = []

    def ends_with_the_other(given: JobCard, job: SteeredJob) -> Ending:
        try:
            return steps_until_told(given, job)
        except SetAside:
            asked.wait(5)
            met.append(given.id)
            raise

    work.plays["training"] = work.plays["editing"] = ends_with_the_other
    lanes.submit(card(1, "training"))
    lanes.submit(card(2, "editing"))
    wait_for(lambda: all(lanes.state(job).status == "running" for job in ("job1", "job2")))
    lanes.close()
    assert sorted(met) == ["job1", "job2"]


def test_a_job_that_nobody_has_is_named(lanes: JobLanes) -> None:
    for ask in (lanes.state, lanes.pause, lanes.resume):
        with pytest.raises(UserError, match="no job 'job9'"):
            ask("job9")
