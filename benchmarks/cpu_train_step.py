"""One whole training step on the CPU against the experiment's: at most 0.65 times its time.

Ours is the real training (method mcmc, everything that happens between two progress reports); theirs is the body of the
experiment's loop. Same 30,000 splats, 480x270 photos, SH degree 3, same number of threads; steps alternate.
Run as `python build.py bench cpu_train_step`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np

from backend import machine
from backend.captures.capture import Photo, PointCloud
from backend.methods.job import QuietJob
from backend.methods.registry import find
from backend.splats.cameras import Camera
from backend.splats.kernels import set_thread_count
from backend.training.density_settings import McmcSettings
from backend.training.inputs import TrainingInputs
from backend.training.plan import TrainingPlan
from benchmarks.probes import load
from benchmarks.record import record

WARM_UP = 10


class AlternatingJob(QuietJob):
    """After each of our steps, runs and times one of theirs."""

    def __init__(self, their_step: Any) -> None:
        self.their_step = their_step
        self.ours: list[tuple[float, float]] = []  # wall and CPU seconds
        self.theirs: list[tuple[float, float]] = []
        self.since = _clocks()

    def progress(self, step: int, steps: int, **figures: float) -> None:
        self.ours.append(_since(self.since))
        start = _clocks()
        self.their_step()
        self.theirs.append(_since(start))
        self.since = _clocks()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    load_before = machine.load_average()
    sketch = load("trainer_sketch", "numba_raster", "2", "3")
    rows = [_compare(sketch, threads, arguments.steps) for threads in arguments.threads]
    claim = "a whole training step takes at most 0.65 x the experiment's time"
    record("cpu_train_step", claim, rows, device="cpu", settings={"steps": arguments.steps}, load_before=load_before)


def _compare(sketch: Any, threads: int, steps: int) -> dict[str, Any]:
    set_thread_count(threads)
    job = AlternatingJob(_their_step(sketch))
    splats = len(sketch.P["m"])
    settings = McmcSettings(
        start_fraction=1.0, coarse_until=0.0, sh_every=0.0, sh_every_longest=1, evaluate_every=1.0, checkpoint_every=1.0
    )
    size = sketch.W * sketch.H
    plan = TrainingPlan(device="cpu", quality="normal", max_pixels=size, steps=steps + WARM_UP, max_splats=splats)
    points = PointCloud(sketch.pts.astype(np.float32), np.full((splats, 3), 128, np.uint8))
    find("mcmc").run(settings, TrainingInputs(_photos(sketch), (), points, plan), job)
    ours, theirs = job.ours[WARM_UP:], job.theirs[WARM_UP:]
    ratios = [o[0] / t[0] for o, t in zip(ours, theirs, strict=True)]
    return {
        "splats": splats,
        "size": f"{sketch.W}x{sketch.H}",
        "threads": threads,
        "experiment_ms": 1e3 * statistics.median(t[0] for t in theirs),
        "ours_ms": 1e3 * statistics.median(o[0] for o in ours),
        "ratio_median": statistics.median(ratios),
        "ratio_of_minima": min(o[0] for o in ours) / min(t[0] for t in theirs),
        "cpu_ratio_of_medians": statistics.median(o[1] for o in ours) / statistics.median(t[1] for t in theirs),
    }


def _their_step(sketch: Any) -> Any:
    views, turn = sketch.tr, iter(range(10**9))

    def step() -> None:
        target, view = views[next(turn) % len(views)]
        image, _ = sketch.render(view)
        loss = 0.8 * (image - target).abs().mean() + 0.2 * (1 - sketch.ssim(image, target))
        loss.backward()
        sketch.opt.step()
        sketch.opt.zero_grad(set_to_none=True)

    return step


def _photos(sketch: Any) -> list[Photo]:
    k = sketch.K.numpy().astype(float)
    photos = []
    for number, (image, view) in enumerate(sketch.tr):
        matrix = view.numpy().astype(np.float64)
        camera = Camera(matrix, k[0, 0], k[1, 1], k[0, 2], k[1, 2], sketch.W, sketch.H)
        rgb = (image.numpy() * 255).round().astype(np.uint8)
        photos.append(Photo(f"{number:03}", camera, rgb, None, None))
    return photos


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(start: tuple[float, float]) -> tuple[float, float]:
    now = _clocks()
    return now[0] - start[0], now[1] - start[1]


if __name__ == "__main__":
    main()
