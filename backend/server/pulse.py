"""Tells a child that hangs from one that is busy, and from a computer that slept."""

from __future__ import annotations

import time
from collections.abc import Callable

from backend.server.family import Patience

LOOK_EVERY_S = 2.0
_LOOKS_IN_TIME = 10  # the least within the time that a child may be silent


class Pulse:
    """How long the child has been silent, counted in time in which we ourselves were awake.

    A suspended computer and a stopped process group look like one long pause between two of our own looks, of which
    only a little is counted: the child, which slept as well, gets its time to answer.
    """

    def __init__(self, patience: Patience, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience, self._clock = patience, clock
        self.look_every_s = min(LOOK_EVERY_S, patience.working_s / _LOOKS_IN_TIME)
        self.begin()

    def begin(self) -> None:
        """A child was started, which loads for a while."""
        self._start_over(self._patience.starting_s)
        self._is_asked = True  # it tells by itself when it is ready

    def heard(self) -> None:
        """It said something."""
        self._start_over(self._patience.working_s)
        self._is_asked = False

    def look(self) -> bool:
        """Whether it was silent for too long. Call it every `look_every_s`."""
        now = self._clock()
        self._silent_s += min(now - self._looked, 2 * self.look_every_s)
        self._looked = now
        return self._silent_s > self.limit_s

    def asks_now(self) -> bool:
        """Whether it is to be asked for an answer: one question at a time, so that they cannot heap up."""
        asks, self._is_asked = not self._is_asked, True
        return asks

    def _start_over(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._silent_s = 0.0
        self._looked = self._clock()
