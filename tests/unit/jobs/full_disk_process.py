"""Trains on a disk that is too small, frees some space, and resumes; run by test_full_disk.py.

python full_disk_process.py SMALL_DISK CAPTURE
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from backend.jobs.desk import Desk
from shared_protocol.errors import UserError
from shared_protocol.messages import Train
from shared_protocol.things import ENDED, FolderCapture, JobState

ENOUGH_TO_BEGIN = 40_000  # bytes; one checkpoint needs more


def fill(disk: Path, left: int) -> Path:
    status = os.statvfs(disk)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(status.f_bavail * status.f_frsize - left))
    return ballast


def ended(desk: Desk, job: str) -> JobState:
    while desk.job(job).status not in ENDED:
        time.sleep(0.01)
    return desk.job(job)


def main(disk: Path, capture: Path) -> None:
    wish = Train(
        name="toy",
        capture=FolderCapture(path=str(capture)),
        settings={"checkpoint_every": 0.2},
        steps=40,
        max_splats=200,
    )
    desk = Desk(disk / "workspace", device="cpu", on_event=lambda event: None, on_fatal=print)
    full = fill(disk, 0)
    try:
        desk.submit(wish)
    except UserError as error:
        assert error.kind == "disk_full", error
        print("refused:", error.message)
    full.unlink()
    assert desk.jobs() == (), desk.jobs()

    ballast = fill(disk, ENOUGH_TO_BEGIN)
    job = desk.submit(wish).job
    failed = ended(desk, job)
    assert failed.status == "failed" and failed.failure is not None and failed.failure.kind == "disk_full", failed
    print("failed:", failed.failure.message)
    assert not list(disk.rglob("*.part")), list(disk.rglob("*.part"))
    ballast.unlink()
    desk.resume(job)
    finished = ended(desk, job)
    assert finished.status == "finished" and finished.failure is None, finished
    (asset,) = desk.assets()
    print("splats:", len(desk.bake(asset.asset).means))
    desk.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
