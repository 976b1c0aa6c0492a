from __future__ import annotations

import pytest

from backend.training.schedule import Schedule
from backend.training.settings import TrainingSettings, background_color
from shared_protocol.errors import UserError

SETTINGS = TrainingSettings()


def test_a_full_run_has_the_rates_of_the_paper() -> None:
    schedule = Schedule(SETTINGS, 30_000)
    assert schedule.first_rates() == {
        "means": 1.6e-4,
        "scales": 5e-3,
        "quats": 1e-3,
        "opacities": 5e-2,
        "sh0": 2.5e-3,
        "shN": 2.5e-3 / 20,
    }
    assert schedule.means_rate(0) == 1.6e-4
    assert schedule.means_rate(15_000) == pytest.approx(1.6e-5)
    assert schedule.means_rate(30_000) == pytest.approx(1.6e-6)


def test_a_longer_run_is_not_slower_and_a_short_one_is_faster() -> None:
    assert Schedule(SETTINGS, 100_000).first_rates() == Schedule(SETTINGS, 30_000).first_rates()
    short = Schedule(SETTINGS, 3_000)
    assert short.first_rates()["means"] == pytest.approx(4e-4, rel=0.01)
    assert short.first_rates()["sh0"] == pytest.approx(5e-3, rel=0.01)
    assert short.first_rates()["scales"] == 5e-3
    assert short.means_rate(3_000) == pytest.approx(0.01 * short.means_rate(0))


def test_sh_degrees_come_one_by_one() -> None:
    short = Schedule(SETTINGS, 3_000)
    assert [short.sh_degree(step) for step in (0, 239, 240, 480, 720, 2999)] == [0, 0, 1, 2, 3, 3]
    long = Schedule(SETTINGS, 30_000)
    assert [long.sh_degree(step) for step in (999, 1000, 3000)] == [0, 1, 3]
    assert Schedule(TrainingSettings(sh_degree=1), 3_000).sh_degree(2999) == 1


def test_half_size_comes_first_and_full_size_last() -> None:
    schedule = Schedule(SETTINGS, 1000)
    assert [schedule.is_coarse(step) for step in (0, 119, 120, 999)] == [True, True, False, False]
    assert not Schedule(TrainingSettings(coarse_until=0), 1000).is_coarse(0)


@pytest.mark.parametrize(("steps", "start", "every", "stop"), [(3_000, 200, 50, 2_550), (30_000, 500, 100, 25_500)])
def test_refinement_follows_the_length_of_the_run(steps: int, start: int, every: int, stop: int) -> None:
    refinement = Schedule(SETTINGS, steps).refinement()
    assert (refinement.start, refinement.every, refinement.stop) == (start, every, stop)
    assert refinement.is_due(start) and not refinement.is_due(start + 1) and not refinement.is_due(stop)
    assert not refinement.is_due(start - every)


def test_refinement_can_be_told_how_often() -> None:
    assert Schedule(TrainingSettings(refine_every=33), 3_000).refinement().every == 33


@pytest.mark.parametrize("steps", [1, 3, 30, 999])
def test_the_end_is_always_judged_and_saved(steps: int) -> None:
    schedule = Schedule(SETTINGS, steps)
    assert schedule.evaluates_after(steps) and schedule.saves_after(steps)
    saved = sum(schedule.saves_after(done) for done in range(1, steps + 1))
    assert saved <= 12


def test_backgrounds_are_names_or_colours() -> None:
    assert background_color("black") == (0, 0, 0) and background_color("white") == (1, 1, 1)
    assert background_color("#ff0080") == pytest.approx((1, 0, 128 / 255))
    assert background_color("auto") is None and background_color("random") is None
    for wrong in ("#ff00", "pink", "#gg0000", ""):
        with pytest.raises(UserError, match="not a colour"):
            background_color(wrong)
