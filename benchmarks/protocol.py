"""The conversation itself: how prompt it stays beside a training and its previews, what a picture costs beside drawing,
how fast files go.

The first two with `splatwright serve` and a real training; files with a desk that only copies them, in a process of its
own. Run as `python build.py bench protocol`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from backend import machine
from backend.captures import make_capture
from backend.splats.cloud import SplatCloud
from backend.splats.io import write_cloud
from benchmarks.record import REPOSITORY, record
from shared_protocol.client import connect_to
from shared_protocol.connection import CONNECTION_FILE, HOME_VARIABLE, local_target
from shared_protocol.messages import Alive, AssetList, Beat, Event, GetJob, ImportUpload, JobList, Preview, Render
from shared_protocol.remote import Backend, Job
from shared_protocol.things import ENDED, IDENTITY, SceneObject, ViewCamera

POINTS = 300_000  # a training begins with two thirds of what it may grow to
SPLATS = 200_000
MEMORY = Path("/dev/shm")  # leaves the disk out, which may be slower than what is measured here
BLOCK = 2**24
CLAIMS = {
    "cancel answered beside a 47 MB preview each second": 200.0,  # ms
    "small message beside a 47 MB preview each second, median": 20.0,
    "picture 1280x720 with depth, round trip without drawing, median": 10.0,
    "file sent with hash": 500.0,  # MB/s
    "file sent with hash, after another that names it": 500.0,
    "file fetched with hash": 500.0,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of the file that is sent and fetched")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long small messages are said beside previews")
    parser.add_argument("--cancels", type=int, default=6, help="how many trainings are cancelled")
    parser.add_argument("--folder", type=Path, default=MEMORY if MEMORY.is_dir() else None, help="for the files")
    parser.add_argument("--repeats", type=int, default=5, help="of sending and fetching the file; the median counts")
    arguments = parser.parse_args()
    load_before = machine.load_average()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        serve = ("-m", "backend", "serve", "--workspace", str(folder / "workspace"), "--device", "cpu")
        with served(folder, serve) as (backend, previews):
            rows = _beside_previews(backend, previews, folder, arguments.seconds, arguments.cancels)
            rows.append(_pictures(backend, folder))
    with tempfile.TemporaryDirectory(dir=arguments.folder) as text:
        folder = Path(text)
        with served(folder, (str(REPOSITORY / "tests/loopback/fake_serve.py"), text)) as (backend, _):
            rows += _files(backend, folder, int(arguments.gigabytes * 1e9), arguments.repeats)
    files = "memory" if arguments.folder == MEMORY else "disk"
    settings = {"gigabytes": arguments.gigabytes, "splats": SPLATS, "files": files, "repeats": arguments.repeats}
    settings["niceness"] = os.nice(0)  # other programs may have run, too
    claim = "control stays prompt beside a training and its previews, and files go at 500 MB/s"
    record("protocol", claim, rows, device="cpu", settings=settings, load_before=load_before)


class Previews:
    """Counts what arrives."""

    def __init__(self) -> None:
        self.count, self.bytes = 0, 0

    def happened(self, event: Event | Preview) -> None:
        if isinstance(event, Preview) and len(event.splats.means) >= SPLATS:
            splats = event.splats
            self.count += 1
            self.bytes = sum(
                part.nbytes
                for part in (splats.means, splats.quats, splats.log_scales, splats.opacity_logits, splats.sh)
            )


@contextmanager
def served(folder: Path, command: Sequence[str]) -> Iterator[tuple[Backend, Previews]]:
    """A backend in a process of its own, and what it shows."""
    file, previews = folder / CONNECTION_FILE, Previews()
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), HOME_VARIABLE: str(folder)}
    with subprocess.Popen([sys.executable, *command], env=environment, stdout=subprocess.DEVNULL) as served:
        try:
            while not file.exists():
                if served.poll() is not None:
                    raise SystemExit("The backend did not start.")
                time.sleep(0.05)
            with connect_to(lambda: local_target(file), on_event=previews.happened) as backend:
                yield backend, previews
        finally:
            served.terminate()


def _row(what: str, unit: str, value: float, detail: str, ratio: float | None = None) -> dict[str, Any]:
    wanted = CLAIMS[what]
    good = value >= wanted if unit == "MB/s" else value <= wanted
    row: dict[str, Any] = {"what": what, "unit": unit, "value": value, "wanted": wanted, "good": good, "detail": detail}
    return row if ratio is None else {**row, "of copying and hashing": ratio}


def _train(backend: Backend, previews: Previews, capture: Path) -> Job:
    """A training whose previews arrive."""
    job = backend.train(capture, name="garden", steps=1_000_000, max_splats=POINTS)
    job.watch(1.0)
    seen, deadline = previews.count, time.monotonic() + 300
    while previews.count < seen + 2:
        if time.monotonic() > deadline or job.state().status in ENDED:
            raise SystemExit(f"There are no previews of {SPLATS} splats: {job.state()}")
        time.sleep(0.02)
    return job


def _beside_previews(
    backend: Backend, previews: Previews, folder: Path, seconds: float, cancels: int
) -> list[dict[str, Any]]:
    capture = make_capture(folder / "capture", views=9, width=96, height=64, points=POINTS)
    job = _train(backend, previews, capture)
    waits: list[float] = []
    before, steps, deadline = previews.count, job.state().step, time.monotonic() + seconds
    while time.monotonic() < deadline:
        waits.append(_milliseconds(lambda: backend.request(Beat(), Alive)))
        waits.append(_milliseconds(lambda job=job: backend.request(GetJob(job=job.id), JobList)))
        time.sleep(0.005)
    shown, steps = previews.count - before, job.state().step - steps
    answers: list[float] = []
    ends: list[float] = []
    for number in range(cancels):
        if number:
            job = _train(backend, previews, capture)
            time.sleep(number / cancels)  # each in another moment of the preview's second
        started = time.perf_counter()
        answers.append(_milliseconds(job.cancel))
        while backend.request(Beat(), Alive).busy:  # the card says so at once, its thread ends within a step
            time.sleep(0.002)
        ends.append(1e3 * (time.perf_counter() - started))
    few = f"{shown} previews of {previews.bytes / 1e6:.0f} MB and {steps} steps in {seconds:g} s"
    cancel, small = list(CLAIMS)[:2]
    return [
        _row(cancel, "ms", max(answers), f"slowest of {cancels}; the training had ended after {max(ends):.0f} ms"),
        _row(small, "ms", statistics.median(waits), f"{len(waits)} messages, slowest {max(waits):.0f} ms; {few}"),
    ]


def _pictures(backend: Backend, folder: Path) -> dict[str, Any]:
    write_cloud(folder / "few.ply", _few_splats())
    asset = backend.import_file(folder / "few.ply").asset
    camera = ViewCamera(camera_from_world=IDENTITY, fx=900, fy=900, cx=640, cy=360, width=1280, height=720)
    request = Render(objects=(SceneObject(asset=asset),), camera=camera)
    waits: list[float] = []
    drawing: list[float] = []
    for _ in range(110):
        started = time.perf_counter()
        picture = backend.render(request)
        waits.append(1e3 * (time.perf_counter() - started))
        assert picture is not None and picture.depth is not None and picture.color.any()
        drawing.append(1e3 * picture.seconds)
    beside = [wait - drawn for wait, drawn in zip(waits[10:], drawing[10:], strict=True)]
    drawn = statistics.median(drawing[10:])
    detail = f"uint8 colour and float32 depth, 7.4 MB; slowest {max(beside):.1f} ms; drawing takes {drawn:.0f} ms more"
    return _row(list(CLAIMS)[2], "ms", statistics.median(beside), detail)


def _few_splats(count: int = 2000) -> SplatCloud:
    numbers = np.random.default_rng(0)
    return SplatCloud(
        means=numbers.normal(size=(count, 3)).astype(np.float32) + np.array([0, 0, 5], np.float32),
        quats=numbers.normal(size=(count, 4)).astype(np.float32),
        log_scales=np.full((count, 3), -3, np.float32),
        opacity_logits=np.zeros(count, np.float32),
        sh=numbers.normal(size=(count, 16, 3)).astype(np.float32) / 4,
    )


def _files(backend: Backend, folder: Path, size: int, repeats: int) -> list[dict[str, Any]]:
    """The first of the rounds is not counted."""
    path, back = folder / "large.ply", folder / "back.ply"
    block = np.random.default_rng(0).bytes(BLOCK)
    with path.open("wb") as stream:
        for start in range(0, size, len(block)):
            stream.write(block[: size - start])
    rounds = [_round(backend, path, back) for _ in range(repeats + 1)][1:]
    speeds = {what: [size / 1e6 / seconds[what] for seconds in rounds] for what in rounds[0]}
    copying = statistics.median(speeds["copying"])
    detail = f"copying and hashing it in one process: {copying:.0f} MB/s"
    return [
        _row(
            what,
            "MB/s",
            statistics.median(speeds[what]),
            f"{min(speeds[what]):.0f} to {max(speeds[what]):.0f}; {detail}",
            statistics.median(seconds["copying"] / seconds[what] for seconds in rounds),
        )
        for what in list(CLAIMS)[3:]
    ]


def _round(backend: Backend, path: Path, back: Path) -> dict[str, float]:
    """Seconds of each way, and of what both ways consist of without a server."""
    sent, named, fetched = list(CLAIMS)[3:]
    size, seconds = path.stat().st_size, dict[str, float]()
    _touch(back, size)
    moments = [time.perf_counter()]

    def told(_done: int, _all: int) -> None:
        moments.append(time.perf_counter())

    digest = backend.send_file(path, told)
    seconds[named], seconds[sent] = moments[-1] - moments[0], moments[-1] - moments[1]
    asset = backend.request(ImportUpload(upload=digest, file_name=path.name), AssetList, 600).assets[0].asset
    moments = []
    _touch(back, 2 * size)
    backend.fetch_file(asset, "v1", back, on_progress=told)  # the backend writes the file before the first chunk
    seconds[fetched] = moments[-1] - moments[0]
    backend.delete(asset)
    _touch(back, size)
    started = time.perf_counter()
    whole, block = hashlib.sha256(), bytearray(BLOCK)
    with path.open("rb") as source, back.open("wb") as copy:
        while count := source.readinto(block):
            copy.write(memoryview(block)[:count])
            whole.update(memoryview(block)[:count])
    seconds["copying"] = time.perf_counter() - started
    assert whole.hexdigest() == digest
    return seconds


def _touch(path: Path, size: int) -> None:
    """Has that much memory at hand for files: a virtual machine gets it at first use, which is four times slower."""
    with path.open("wb") as stream:
        for _ in range(0, size, BLOCK):
            stream.write(bytes(BLOCK))
    path.unlink()


def _milliseconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return 1e3 * (time.perf_counter() - started)


if __name__ == "__main__":
    main()
