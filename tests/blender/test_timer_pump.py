"""The timers that stand for Blender's behave like them where tests lean on it."""

from __future__ import annotations

from typing import Any

import bpy
import pytest


@pytest.fixture
def calls(timers: Any) -> Any:
    made: list[str] = []
    yield made
    for timer in [timer for timer in timers.waiting if timer.__module__ == __name__]:
        bpy.app.timers.unregister(timer)


def test_a_timer_comes_again_as_long_as_it_says_when(timers: Any, calls: list[str]) -> None:
    def tick() -> float | None:
        calls.append("tick")
        return 0.01 if len(calls) < 3 else None

    bpy.app.timers.register(tick)
    timers.run_until(lambda: len(calls) == 3, seconds=10)
    assert not bpy.app.timers.is_registered(tick)


def test_a_timer_waits_for_its_first_interval(timers: Any, calls: list[str]) -> None:
    def later() -> None:
        calls.append("later")

    bpy.app.timers.register(later, first_interval=1000)
    timers.run_for(0.02)
    assert calls == [] and bpy.app.timers.is_registered(later)


def test_another_file_ends_the_timers_that_are_not_persistent(timers: Any, calls: list[str]) -> None:
    def passing() -> float:
        return 1000

    def staying() -> float:
        return 1000

    bpy.app.timers.register(passing)
    bpy.app.timers.register(staying, persistent=True)
    bpy.ops.wm.read_homefile(use_empty=True)
    assert not bpy.app.timers.is_registered(passing) and bpy.app.timers.is_registered(staying)


def test_what_a_timer_raises_reaches_the_test(timers: Any, calls: list[str]) -> None:
    def broken() -> None:
        raise RuntimeError("broken timer")

    bpy.app.timers.register(broken)
    with pytest.raises(RuntimeError, match="broken timer"):
        timers.run_for(1)


def test_what_is_not_registered_cannot_be_taken_away(timers: Any) -> None:
    with pytest.raises(ValueError, match="not registered"):
        bpy.app.timers.unregister(lambda: None)
