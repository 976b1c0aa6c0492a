"""The report of a training: what was done, on what, how long it took, and how good it is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from backend import machine
from backend.jobs.running import StopReason
from backend.splats.io.atomic import write_bytes


class ViewFigures(msgspec.Struct, frozen=True):
    """How much a render looks like the photo of one held-out view."""

    name: str
    psnr: float  # dB; higher is better
    ssim: float  # at most 1; higher is better


class TrainReport(msgspec.Struct, frozen=True, kw_only=True):
    capture: str
    output: str
    psnr: float | None  # mean over the held-out views; None when the capture has none
    ssim: float | None
    splats: int
    seconds: float  # of this command, reading and evaluation included
    cpu_seconds: float  # of all threads
    load_average: float | None  # at the start: what else the machine was doing
    steps: int  # done, those before --resume included
    width: int  # of the photos as trained on
    height: int
    device: str
    seed: int | None
    finished: bool  # False when it was stopped before its last step
    stopped: StopReason | None
    method: str
    settings: dict[str, object]
    quality: str
    masks: str
    plan: dict[str, object]
    dialect: str
    train_views: int
    test_views: int
    points: int  # that training started from; 0 = random
    background: tuple[float, float, float]  # behind the splats when they were measured
    views: tuple[ViewFigures, ...]
    resumed: bool
    warnings: tuple[str, ...]
    threads: int
    versions: dict[str, str | None]

    def write(self, path: Path) -> None:
        """Writes the report as JSON, whole or not at all."""
        write_bytes(path, msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


class Stopwatch:
    """Time by the clock and time on the processor since it was made."""

    def __init__(self) -> None:
        self.load_average = machine.load_average()
        self._clock = time.monotonic()
        self._processor = _processor_seconds()

    def seconds(self) -> float:
        return round(time.monotonic() - self._clock, 3)

    def cpu_seconds(self) -> float:
        return round(_processor_seconds() - self._processor, 3)


def _processor_seconds() -> float:
    """Of all threads of this process and of the processes it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
