"""A working child with the real desk. A job's name says how its first run ends: "FATE in STAGE from step NUMBER".

FATE is "held" (there until somebody kills the process), "aborted" or "poisoned" (the next picture that the training
draws aborts the process as a library would, or fails as on a GPU after an illegal access).
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from backend.jobs.desk import Desk
from backend.server import child
from backend.server.family import Orders
from backend.splats.kernels import set_thread_count
from backend.training import loop
from shared_protocol.messages import Event, JobChanged, JobProgress

_NAME = re.compile(r"(?P<fate>held|aborted|poisoned) in (?P<stage>.+) from step (?P<step>\d+)")


class Fates:
    def __init__(self) -> None:
        self._first_runs: dict[str, re.Match[str]] = {}  # by job
        self._rasterization, loop.rasterization = loop.rasterization, self._draw
        self._next_picture = ""

    def look_at(self, event: Event) -> None:
        """Called on the thread that the job reports on, so the job gets no further while this does not return."""
        match event:
            case JobChanged(job=job):
                name = _NAME.fullmatch(job.name)
                self._first_runs.pop(job.job, None)
                if name is not None and not job.resumed:
                    self._first_runs[job.job] = name
            case JobProgress(job=job) if job in self._first_runs:
                name = self._first_runs[job]
                if event.stage.startswith(name["stage"]) and event.step >= int(name["step"]):
                    self._next_picture = name["fate"]
                    if name["fate"] == "held":
                        threading.Event().wait()

    def _draw(self, *arguments: Any, **options: Any) -> Any:
        if self._next_picture == "aborted":
            os.abort()
        if self._next_picture == "poisoned":
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        return self._rasterization(*arguments, **options)


def make_desk(orders: Orders, on_event: Callable[[Event], None], on_fatal: Callable[[str], None]) -> Desk:
    fates = Fates()

    def tell(event: Event) -> None:
        on_event(event)
        fates.look_at(event)

    set_thread_count(orders.threads or 1)
    return Desk(Path(orders.workspace), device="cpu", on_event=tell, on_fatal=on_fatal)


if __name__ == "__main__":
    sys.exit(child.run(make_desk))
