"""The conversation itself: how prompt it stays beside previews, how fast files go, what a picture costs beside drawing.

The server runs in a process of its own, with a desk that only pretends to work.
Run as `python build.py bench protocol`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from backend import machine
from benchmarks.record import REPOSITORY, record
from shared_protocol.client import connect_to
from shared_protocol.connection import local_target
from shared_protocol.messages import (
    Alive,
    AllowFolder,
    AssetList,
    Beat,
    Done,
    Event,
    ImportUpload,
    JobAccepted,
    Preview,
    Render,
    Train,
)
from shared_protocol.remote import Backend
from shared_protocol.things import IDENTITY, FolderCapture, ViewCamera

SPLATS = 200_000
MEMORY = Path("/dev/shm")  # leaves the disk out, which may be slower than what is measured here
CLAIMS = {
    "cancel answered beside a 47 MB preview each second": 200.0,  # ms
    "small message beside a 47 MB preview each second, median": 20.0,
    "picture 1280x720 with depth, round trip without drawing, median": 10.0,
    "file sent with hash": 500.0,  # MB/s
    "file fetched with hash": 500.0,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of the file that is sent and fetched")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long previews run")
    parser.add_argument("--folder", type=Path, default=MEMORY if MEMORY.is_dir() else None, help="for the files")
    parser.add_argument("--repeats", type=int, default=3, help="of sending and fetching the file; the median counts")
    arguments = parser.parse_args()
    load_before = machine.load_average()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as text:
        folder = Path(text)
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "FAKE_DESK_SPLATS": str(SPLATS)}
        command = [sys.executable, str(REPOSITORY / "tests/loopback/fake_serve.py"), text]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as served:
            try:
                rows = _measure(folder, arguments.seconds, int(arguments.gigabytes * 1e9), arguments.repeats)
            finally:
                served.terminate()
    settings = {"gigabytes": arguments.gigabytes, "splats": SPLATS, "folder": str(arguments.folder or "")}
    claim = "control stays prompt beside bulk, and files go at 500 MB/s"
    record("protocol", claim, rows, device="cpu", settings=settings, load_before=load_before)


def _measure(folder: Path, seconds: float, size: int, repeats: int) -> list[dict[str, Any]]:
    file, previews = folder / "backend.json", Previews()
    while not file.exists():
        time.sleep(0.05)
    with connect_to(lambda: local_target(file), on_event=previews.happened) as backend:
        beside = _beside_previews(backend, previews, folder, seconds)
        return [*beside, _pictures(backend), *_files(backend, folder, size, repeats)]


class Previews:
    """Counts what arrives."""

    def __init__(self) -> None:
        self.count = 0

    def happened(self, event: Event | Preview) -> None:
        self.count += isinstance(event, Preview) and len(event.splats.means) == SPLATS


def _row(what: str, unit: str, value: float, detail: str, is_good: bool | None = None) -> dict[str, Any]:
    wanted = CLAIMS[what]
    good = (value >= wanted if unit == "MB/s" else value <= wanted) if is_good is None else is_good
    return {"what": what, "unit": unit, "value": value, "wanted": wanted, "good": good, "detail": detail}


def _train(backend: Backend, folder: Path) -> str:
    backend.request(AllowFolder(path=str(folder)), Done)
    request = Train(name="counting", capture=FolderCapture(path=str(folder)), steps=1_000_000, settings={"pace": 50})
    return backend.request(request, JobAccepted).job.job


def _beside_previews(backend: Backend, previews: Previews, folder: Path, seconds: float) -> list[dict[str, Any]]:
    job = backend.job(_train(backend, folder))
    job.watch(1.0)
    waits, cancels, deadline = [], [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        waits.append(_milliseconds(lambda: backend.request(Beat(), Alive)))
        time.sleep(0.002)
    for _ in range(5):
        cancels.append(_milliseconds(job.cancel))
        job = backend.job(_train(backend, folder))
        job.watch(1.0)
        time.sleep(1.0 + 0.13 * len(cancels))  # each in another moment of the preview's second
    cancels.append(_milliseconds(job.cancel))
    detail = f"{previews.count} previews, {len(waits)} messages, slowest {max(waits):.1f} ms"
    cancel, small = list(CLAIMS)[:2]
    return [
        _row(cancel, "ms", max(cancels), f"slowest of {len(cancels)}"),
        _row(small, "ms", statistics.median(waits), detail),
    ]


def _pictures(backend: Backend) -> dict[str, Any]:
    camera = ViewCamera(camera_from_world=IDENTITY, fx=900, fy=900, cx=640, cy=360, width=1280, height=720)
    waits = [_milliseconds(lambda: backend.render(Render(objects=(), camera=camera))) for _ in range(60)][10:]
    here = statistics.median(_milliseconds(lambda: np.full((720, 1280, 4), 128, np.uint8)) for _ in range(20))
    detail = f"uint8 colour and float32 depth, 7.4 MB; slowest {max(waits):.1f} ms; making the picture {here:.1f} ms"
    return _row(list(CLAIMS)[2], "ms", statistics.median(waits), detail)


def _files(backend: Backend, folder: Path, size: int, repeats: int) -> list[dict[str, Any]]:
    path, back = folder / "large.ply", folder / "back.ply"
    block = np.random.default_rng(0).bytes(2**24)
    with path.open("wb") as stream:
        for start in range(0, size, len(block)):
            stream.write(block[: size - start])
    sent, sent_whole, fetched = [], [], []
    for _ in range(repeats):
        started = time.perf_counter()
        moments: list[float] = []
        digest = backend.send_file(path, lambda _done, _all, moments=moments: moments.append(time.perf_counter()))
        sent_whole.append(size / 1e6 / (time.perf_counter() - started))
        sent.append(size / 1e6 / (moments[-1] - moments[0]))
        request = ImportUpload(upload=digest, file_name="large.ply")
        asset = backend.request(request, AssetList, 600).assets[0]
        moments = []
        told = lambda _done, _all, moments=moments: moments.append(time.perf_counter())  # noqa: E731
        backend.fetch_file(asset.asset, "v1", back, on_progress=told)
        fetched.append(size / 1e6 / (moments[-1] - moments[0]))
    beforehand = f"{statistics.median(sent_whole):.0f} with the client's reading and hashing beforehand"
    return [
        _row("file sent with hash", "MB/s", statistics.median(sent), f"best {max(sent):.0f}; {beforehand}"),
        _row("file fetched with hash", "MB/s", statistics.median(fetched), f"best {max(fetched):.0f}"),
    ]


def _milliseconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return 1e3 * (time.perf_counter() - started)


if __name__ == "__main__":
    main()
