"""One timer does all that comes from outside, a few milliseconds at a time, until Blender or the extension ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import pytest
from extension_rooms import Extension, program

OPERATORS: Any = bpy.ops.splatwright


def test_in_a_window_start_returns_at_once_and_the_tick_goes_on(
    addon: Extension, window: None, timers: Any, command: str
) -> None:
    addon.chosen.command = command
    addon.chosen.device = "cpu"
    assert OPERATORS.backend_start() == {"FINISHED"} and addon.state == "starting"
    timers.run_until(lambda: addon.state == "running" and addon.session.is_listed)
    assert addon.tick.tick() == addon.tick.LIVE_S
    assert OPERATORS.backend_stop() == {"FINISHED"} and addon.state == "stopped"
    assert OPERATORS.backend_start() == {"FINISHED"} and addon.state == "starting"  # while the first one still ends
    timers.run_until(lambda: addon.state == "running")
    assert addon.session.life.owned


def test_the_tick_outlives_a_file_and_whatever_a_listener_does(
    addon: Extension, room: Callable[[str], ModuleType], timers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert addon.tick.tick in timers.waiting
    bpy.ops.wm.read_homefile(use_empty=True)
    assert addon.tick.tick in timers.waiting, "loading a file took the timer away"

    def broken(_event: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(room("host.eyes"), "by_region", {})  # no picture is on its way
    monkeypatch.setattr(addon.current, "_listeners", [broken])
    addon.current.post(lambda: addon.current.dispatch(addon.events.CatalogCame(())))
    assert addon.tick.tick() == addon.tick.IDLE_S
    monkeypatch.undo()
    addon.current.post(lambda: 1 / 0)
    assert addon.tick.tick() == addon.tick.IDLE_S
    assert addon.session.failure.kind == "mistake" and addon.session.failure.fix == "splatwright.copy_report"
    assert "ZeroDivisionError" in addon.current.report()


def test_a_tick_takes_no_longer_than_a_few_milliseconds_however_much_came(addon: Extension) -> None:
    def slow() -> None:
        time.sleep(0.003)

    for _ in range(50):
        addon.current.post(slow)
    addon.current.drain()
    assert addon.current._calls.qsize() >= 45, "it went on although its time was up"
    assert addon.current.wait_until(addon.current._calls.empty, 10)


def test_a_blender_that_comes_back_finds_the_backend_that_still_runs(addon: Extension, backend: Any) -> None:
    addon.life_of.look_for_backend()
    assert addon.current.wait_until(lambda: addon.state == "running", 30) and not addon.session.life.owned


def test_disabled_the_extension_ends_its_backend_and_leaves_no_timer(
    addon: Extension, timers: Any, command: str, extension: ModuleType
) -> None:
    assert OPERATORS.backend_start(command=command, device="cpu") == {"FINISHED"}
    file = Path(os.environ["SPLATWRIGHT_HOME"], "backend.json")
    assert file.exists()
    bpy.ops.preferences.addon_disable(module=extension.__name__)
    assert addon.tick.tick not in timers.waiting and addon.current.open_link() is None
    deadline = time.monotonic() + 20
    while file.exists():
        assert time.monotonic() < deadline, "the backend did not end when its owner was gone"
        time.sleep(0.05)
    bpy.ops.preferences.addon_enable(module=extension.__name__)
    assert addon.state == "not_installed"


def test_blender_ends_although_its_backend_still_does_its_job(addon: Extension, tmp_path: Path) -> None:
    told = tmp_path / "ended.txt"
    slow = f"import sys, time; sys.stdin.read(); time.sleep(3); open({str(told)!r}, 'w').write('by itself')"
    script = (
        "import bpy\n"
        f"bpy.ops.preferences.addon_enable(module={addon.preferences.ROOT!r})\n"
        f"try: bpy.ops.splatwright.backend_start(command={program(tmp_path / 'splatwright', slow)!r}, timeout=1)\n"
        "except RuntimeError as error: print(error)\n"
    )
    # Blender 4.5 hung for ever in its own end when a thread of ours woke up meanwhile.
    ended = subprocess.run([sys.executable, "-c", script], timeout=60, capture_output=True, text=True, check=False)
    assert ended.returncode == 0 and "did not answer within 1 s" in ended.stdout, ended.stdout + ended.stderr
    deadline = time.monotonic() + 20
    while not told.exists():
        assert time.monotonic() < deadline, "its input was not closed"
        time.sleep(0.05)
