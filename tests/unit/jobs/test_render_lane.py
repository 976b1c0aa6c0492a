"""Pictures are drawn between steps while a training runs, and at once when none does."""

from __future__ import annotations

import threading
import time

import pytest

from backend.jobs.render_lane import RenderLane


@pytest.fixture
def errors() -> list[BaseException]:
    return []


@pytest.fixture
def lane(errors: list[BaseException]):
    made = RenderLane(on_error=errors.append)
    yield made
    made.close()


def name_of_thread() -> str:
    return threading.current_thread().name


def test_without_a_training_the_lane_works_by_itself(lane: RenderLane) -> None:
    assert lane.submit(name_of_thread).result(5) == "pictures"


def test_while_stepping_work_waits_for_the_end_of_the_step(lane: RenderLane) -> None:
    lane.begin_steps()
    futures = [lane.submit(name_of_thread) for _ in range(3)]
    time.sleep(0.05)
    assert not any(future.done() for future in futures)
    lane.serve()
    assert [future.result(0) for future in futures] == [name_of_thread()] * 3
    late = lane.submit(name_of_thread)
    lane.end_steps()
    assert late.result(5) == "pictures"


def test_the_first_step_waits_for_the_work_being_done(lane: RenderLane) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        may_end.wait(5)

    future = lane.submit(work)
    begun.wait(5)
    threading.Timer(0.1, may_end.set).start()
    lane.begin_steps()
    assert may_end.is_set() and future.result(1) is None


def test_a_cancelled_future_costs_nothing(lane: RenderLane) -> None:
    done: list[str] = []
    lane.begin_steps()
    overtaken, newest = lane.submit(lambda: done.append("old")), lane.submit(lambda: done.append("new"))
    assert overtaken.cancel()
    lane.serve()
    assert done == ["new"] and newest.done()


def test_errors_go_to_whoever_asked_and_the_lane_goes_on(lane: RenderLane, errors: list[BaseException]) -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        lane.submit(fail).result(5)
    lane.begin_steps()
    failed = lane.submit(fail)
    lane.serve()
    assert isinstance(failed.exception(0), ValueError)
    assert [str(error) for error in errors] == ["no", "no"]
    lane.end_steps()
    assert lane.submit(name_of_thread).result(5) == "pictures"


def test_closing_cancels_what_waits(errors: list[BaseException]) -> None:
    lane = RenderLane(on_error=errors.append)
    lane.begin_steps()
    waiting = lane.submit(name_of_thread)
    lane.close()
    assert waiting.cancelled() and lane.submit(name_of_thread).cancelled() and not errors
