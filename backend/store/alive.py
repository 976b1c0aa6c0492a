"""Clouds that somebody still holds, by the versions they are of: what is in memory need not be read again."""

from __future__ import annotations

import threading
import weakref

from backend.splats.cloud import SplatCloud


class AliveClouds:
    """Holds none itself but the one that was made or read last, which is what is drawn or edited next.

    Nobody may change a cloud's arrays.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alive: weakref.WeakValueDictionary[str, SplatCloud] = weakref.WeakValueDictionary()
        self._last: SplatCloud | None = None

    def find(self, version: str) -> SplatCloud | None:
        with self._lock:
            return self._alive.get(version)

    def put(self, version: str, cloud: SplatCloud) -> None:
        with self._lock:
            self._alive[version] = self._last = cloud

    def forget(self, version: str) -> None:
        with self._lock:
            if self._alive.pop(version, None) is self._last:
                self._last = None
