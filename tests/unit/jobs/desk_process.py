"""Opens a desk, submits a training, and kills its own process in the phase that it is told; run by test_desk_killed.py.

python desk_process.py WORKSPACE CAPTURE PHASE
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from backend.jobs.desk import Desk
from shared_protocol.messages import AssetChanged, Event, JobChanged, JobProgress, Train
from shared_protocol.things import FolderCapture

STEPS = 60


def wish(capture: Path) -> Train:
    settings = {"checkpoint_every": 0.1, "coarse_until": 0.0}
    source = FolderCapture(path=str(capture))
    return Train(name="toy", capture=source, settings=settings, steps=STEPS, max_splats=200, seed=5)


def is_in_phase(event: Event, phase: str) -> bool:
    """phase: a status, a stage, "step N" for N or the next one that is told, or "stored"."""
    match event:
        case JobChanged(job=job):
            return job.status == phase
        case JobProgress(stage=stage, step=step):
            if phase.startswith("step "):
                return stage == "Training" and step >= int(phase.removeprefix("step "))
            return stage.startswith(phase)
        case AssetChanged(asset=asset):
            return phase == "stored" and bool(asset.head)
    return False


def main(workspace: Path, capture: Path, phase: str) -> None:
    def on_event(event: Event) -> None:
        if is_in_phase(event, phase):
            os.kill(os.getpid(), signal.SIGKILL)

    desk = Desk(workspace, device="cpu", on_event=on_event, on_fatal=print)
    job = desk.submit(wish(capture)).job
    while desk.job(job).status != "finished":
        time.sleep(0.01)
    desk.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
