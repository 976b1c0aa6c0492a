from __future__ import annotations

import itertools

import pytest

from blender_addon.core.curve import MOST_POINTS, Curve


def trained(*steps: int, seconds: float = 1.0, curve: Curve | None = None, begin: float = 0.0) -> Curve:
    curve = curve or Curve()
    for number, step in enumerate(steps):
        curve = curve.after("Training", step, {"loss": 1 / (step + 1)}, begin + number * seconds)
    return curve


def test_a_long_training_is_thinned_evenly() -> None:
    curve = trained(*range(100_000), seconds=0.05)
    steps = [point.step for point in curve.points]
    assert MOST_POINTS <= len(steps) < 2 * MOST_POINTS
    assert len({b - a for a, b in itertools.pairwise(steps)}) == 1
    assert steps[0] == 0 and steps[-1] > 99_000


def test_stages_that_do_not_train_draw_nothing() -> None:
    curve = Curve().after("Reading photos", 1, {}, 0.0).after("Reading photos", 2, {"photos": 2.0}, 1.0)
    assert curve.points == () and curve.stage == "Reading photos"


def test_what_a_resumed_job_has_lost_is_taken_out_of_the_curve() -> None:
    curve = trained(20, 21, curve=trained(*range(0, 50, 10)), begin=100)
    assert [point.step for point in curve.points] == [0, 10, 20, 21]


@pytest.mark.parametrize(("steps", "seconds"), [((0, 5, 10, 15), 1.0), (range(30), 0.05), ((0, 1), 60.0)])
def test_early_on_nothing_is_said_about_the_time_left(steps: tuple[int, ...], seconds: float) -> None:
    assert trained(*steps, seconds=seconds).seconds_left(steps[-1], 1000) is None


def test_time_left_follows_the_present_pace() -> None:
    curve = trained(*range(0, 1000, 10))  # 10 steps a second
    assert curve.seconds_left(990, 1990) == pytest.approx(100)
    slower = trained(*range(1000, 1030), curve=curve, begin=100)  # the splats have become many: 1 step a second
    assert slower.seconds_left(1029, 1990) == pytest.approx(961, rel=0.02)


def test_one_long_evaluation_does_not_disturb_the_time_left() -> None:
    curve = trained(*range(0, 100, 10))
    later = trained(*range(100, 150, 10), curve=curve, begin=70)  # a minute without a step
    assert later.seconds_left(140, 240) == pytest.approx(10)


def test_a_new_stage_and_a_rest_begin_anew() -> None:
    curve = trained(*range(0, 100, 10))
    assert curve.after("Evaluating", 1, {}, 20.0).seconds_left(1, 8) is None
    assert curve.rested().seconds_left(90, 100) is None
    assert trained(*range(100, 200, 10), curve=curve.rested(), begin=500).seconds_left(190, 290) == pytest.approx(10)


def test_a_job_that_is_through_has_no_time_left_to_tell() -> None:
    assert trained(*range(0, 100, 10)).seconds_left(100, 100) is None
