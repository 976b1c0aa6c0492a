"""Stands for `bpy.app.timers`, which never run without a window: keeps what is registered, calls it when it is due."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import bpy

Timer = Callable[[], float | None]


@dataclass
class Waiting:
    due: float  # seconds on time.monotonic()
    persistent: bool


class TimerPump:
    """Real time passes. What a timer raises reaches the test; Blender would only print it."""

    def __init__(self) -> None:
        self.waiting: dict[Timer, Waiting] = {}

    def take_over(self) -> None:
        """From now on the extension's timers are ours."""
        bpy.app.timers.register = self._register
        bpy.app.timers.unregister = self._unregister
        bpy.app.timers.is_registered = self.waiting.__contains__

        @bpy.app.handlers.persistent
        def forget(*_arguments: object) -> None:
            for function in [function for function, entry in self.waiting.items() if not entry.persistent]:
                del self.waiting[function]

        bpy.app.handlers.load_pre.append(forget)

    def _register(self, function: Timer, *, first_interval: float = 0.0, persistent: bool = False) -> None:
        self.waiting[function] = Waiting(time.monotonic() + first_interval, persistent)

    def _unregister(self, function: Timer) -> None:
        if function not in self.waiting:
            raise ValueError("Error: function is not registered")
        del self.waiting[function]

    def run_due(self) -> None:
        """Calls, once each, the timers whose time has come."""
        for function, entry in list(self.waiting.items()):
            if function not in self.waiting or entry.due > time.monotonic():
                continue
            again = function()
            if function in self.waiting:
                if again is None:
                    del self.waiting[function]
                else:
                    entry.due = time.monotonic() + again

    def run_until(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        """Lets timers run until the condition holds; fails when it does not within so many seconds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited {seconds:g} s in vain"
            self.run_due()
            time.sleep(0.005)

    def run_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.run_due()
            time.sleep(0.005)
