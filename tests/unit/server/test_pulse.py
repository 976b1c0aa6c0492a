"""A child that hangs is told from one that is busy, one that loads, and a computer that slept; with a clock by hand."""

from __future__ import annotations

import pytest

from backend.server.family import Patience
from backend.server.pulse import Pulse

PATIENCE = Patience(starting_s=180, working_s=60)


class Hours:
    """A parent that looks every two seconds, as long as it is awake."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pulse = Pulse(PATIENCE, lambda: self.now)

    def pass_by(self, seconds: float, *, asleep: bool = False) -> bool:
        """Whether the child was found to hang."""
        looks = 1 if asleep else int(seconds / self.pulse.look_every_s)
        hangs = False
        for _ in range(looks):
            self.now += seconds / looks
            hangs = self.pulse.look() or hangs
        return hangs


@pytest.fixture
def hours() -> Hours:
    return Hours()


def test_a_child_may_load_for_longer_than_it_may_be_silent_later(hours: Hours) -> None:
    assert not hours.pass_by(170)
    hours.pulse.heard()
    assert not hours.pass_by(58)
    assert hours.pass_by(4)


def test_a_child_that_never_becomes_ready_hangs(hours: Hours) -> None:
    assert hours.pass_by(184)
    hours.pulse.begin()
    assert not hours.pass_by(170), "the next one has its own time"


def test_every_answer_gives_new_time(hours: Hours) -> None:
    for _ in range(20):
        hours.pulse.heard()
        assert not hours.pass_by(50)


@pytest.mark.parametrize("seconds", [100, 100_000])
def test_time_that_the_parent_slept_itself_does_not_count(hours: Hours, seconds: float) -> None:
    hours.pulse.heard()
    assert not hours.pass_by(40)
    assert not hours.pass_by(seconds, asleep=True)
    assert not hours.pass_by(10), "the child slept as well, and gets its time to answer"
    assert hours.pass_by(20), "it had its time"


def test_one_question_at_a_time(hours: Hours) -> None:
    assert not hours.pulse.asks_now(), "a child that loads tells by itself when it is ready"
    hours.pulse.heard()
    assert [hours.pulse.asks_now() for _ in range(3)] == [True, False, False]
    hours.pulse.heard()
    assert hours.pulse.asks_now()
