"""The assets that jobs are writing right now, as far as they can be drawn."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from backend.splats.representation import Representation


@dataclass(frozen=True)
class LiveAsset:
    job: str
    representation: Representation


class LiveAssets:
    """By asset id; calls come from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: dict[str, LiveAsset] = {}

    def begin(self, asset: str, job: str, representation: Representation) -> None:
        with self._lock:
            self._live[asset] = LiveAsset(job, representation)

    def end(self, asset: str) -> None:
        with self._lock:
            self._live.pop(asset, None)

    def find(self, asset: str) -> LiveAsset | None:
        with self._lock:
            return self._live.get(asset)

    def of_job(self, job: str) -> LiveAsset | None:
        with self._lock:
            return next((live for live in self._live.values() if live.job == job), None)
