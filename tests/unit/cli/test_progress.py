"""Progress in words: how fast, how far, how long still."""

from __future__ import annotations

import pytest

from backend.cli.progress import Figures, MovingLine, Pace, PlainLines
from backend.cli.terminal import bytes_in_words, duration_in_words


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_pace_forgets_what_is_long_ago() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.add(0)
    assert pace.per_second() is None and pace.seconds_left(10) is None
    for second in range(1, 101):
        clock.now = second
        pace.add(second if second <= 50 else 50 + 10 * (second - 50))
    assert pace.per_second() == pytest.approx(10)
    assert pace.seconds_left(1050) == pytest.approx(50)


def test_figures_keep_the_last_value_and_have_an_order() -> None:
    figures = Figures()
    figures.update({"splats": 1234, "loss": 0.5})
    figures.update({"psnr": 27.123, "loss": 0.25, "grown": 3})
    assert figures.in_words() == "loss 0.2500  PSNR 27.12 dB  1,234 splats  grown 3.0000"


def test_plain_lines_come_every_few_seconds_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = PlainLines(clock=clock)
    lines.stage("Training")
    for step in range(1, 101):
        clock.now += 0.1
        lines.progress(step, 100, {"loss": 1 / step, "splats": 10})
    output = capsys.readouterr()
    assert output.out == ""
    shown = output.err.splitlines()
    assert shown[0] == "Training ..." and 3 <= len(shown) <= 4
    assert shown[-1].startswith("100/100  loss 0.0100  10 splats  10.0 it/s")


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = PlainLines(quiet=True, clock=clock)
    lines.stage("Training")
    clock.now = 60
    lines.progress(1, 1, {"loss": 1.0})
    lines.note("hello")
    assert capsys.readouterr().err == ""


def test_the_moving_line_shows_the_same_and_notes_stay(capsys: pytest.CaptureFixture[str]) -> None:
    with MovingLine() as line:
        line.progress(1, 2, {})
        line.stage("Reading photos")
        line.progress(1, 2, {})
        line.stage("Training")
        line.progress(7, 9, {"loss": 0.5, "psnr": 20.0, "splats": 12345})
        line.note("[not] markup")
    assert "[not] markup" in capsys.readouterr().err


@pytest.mark.parametrize(
    "seconds, words",
    [(0.4, "0 s"), (59.6, "1 min 00 s"), (75, "1 min 15 s"), (3600, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration_in_words(seconds) == words


@pytest.mark.parametrize(
    "count, words",
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (3 * 2**30, "3.0 GiB"), (2**42, "4096.0 GiB")],
)
def test_sizes(count: int, words: str) -> None:
    assert bytes_in_words(count) == words
