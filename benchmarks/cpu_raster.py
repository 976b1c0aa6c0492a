"""CPU rasterizer, forward and backward, against the fastest experiment of before: at most 1.0 times its time.

Both sort, bin, blend and return gradients for the same projected splats; projection and colours are left out on both
sides. Runs alternate, so that other work on the machine hits both. Run as `python build.py bench cpu_raster`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from backend import machine
from backend.splats.kernels import set_thread_count
from backend.splats.raster.cpu import rasterize
from backend.splats.raster.cpu.projection import camera_rows
from backend.splats.raster.cpu.tiles import bin_splats
from benchmarks.probes import load
from benchmarks.record import record

SCENES = [(30_000, 480, 270, 3.2), (30_000, 480, 270, 5.6), (30_000, 480, 270, 8.1), (100_000, 512, 512, 5.6)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="timed runs of each, alternating")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    load_before = machine.load_average()
    common, probe = load("raster_common"), load("numba_raster")
    rows = []
    for threads in arguments.threads:
        set_thread_count(threads)
        for scene in SCENES:
            rows.append(_compare(common, probe, scene, threads, arguments.runs))
    claim = "forward + backward takes at most 1.0 x the experiment's time"
    record("cpu_raster", claim, rows, device="cpu", settings={"runs": arguments.runs}, load_before=load_before)


def _compare(common: Any, probe: Any, scene: tuple[int, int, int, float], threads: int, runs: int) -> dict[str, Any]:
    count, width, height, radius = scene
    means, quats, scales, opacities, colors, _, view, k = common.make_scene(count, width, height, radius, seed=0)
    weights = torch.rand(height, width, 3, generator=torch.Generator().manual_seed(1))
    theirs = _experiment(common, probe, means, quats, scales, opacities, colors, view, k, weights)
    ours = _ours(means, quats, scales, opacities, colors, view, k, weights)
    for draw in (theirs, ours, theirs, ours):
        draw()
    wall: tuple[list[float], list[float]] = ([], [])
    cpu: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for side, action in enumerate((theirs, ours)):
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            action()
            wall[side].append(1e3 * (time.perf_counter() - wall_start))
            cpu[side].append(1e3 * (time.process_time() - cpu_start))
    ratios = [o / t for o, t in zip(wall[1], wall[0], strict=True)]
    return {
        "splats": count,
        "size": f"{width}x{height}",
        "radius_px": radius,
        "threads": threads,
        "experiment_ms": statistics.median(wall[0]),
        "ours_ms": statistics.median(wall[1]),
        "ratio_median": statistics.median(ratios),
        "ratio_of_minima": min(wall[1]) / min(wall[0]),
        "cpu_ratio_of_minima": min(cpu[1]) / min(cpu[0]),
    }


def _experiment(common: Any, probe: Any, *scene: torch.Tensor) -> Callable[[], None]:
    means, quats, scales, opacities, colors, view, k, weights = scene
    height, width, _ = weights.shape
    with torch.no_grad():
        means2d, conics, depths, a, c = common.project(means, quats, scales, view, k, width, height)
    valid, background = (depths > 0.05).to(torch.uint8), torch.zeros(3)

    def run() -> None:
        leaves = [t.detach().requires_grad_() for t in (means2d, conics, opacities, colors)]
        picture, _ = probe.Ras.apply(*leaves, depths, a, c, valid, width, height, background)
        picture.backward(weights)

    return run


def _ours(*scene: torch.Tensor) -> Callable[[], None]:
    means, quats, scales, opacities, colors, view, k, weights = scene
    height, width, _ = weights.shape
    options = rasterize.Options(width, height, 0.01, 1e10, 0.0, 0.3, None, "pinhole", "classic")
    cameras = camera_rows(view[None].numpy(), k[None].numpy(), width, height)
    with torch.no_grad():
        projected = rasterize.Project.apply(means, quats, scales, None, opacities, None, None, cameras, options)
    means2d, depths, conics, effective, _, radii, ellipses, _ = projected
    distances, features, background = depths.numpy(), colors[None], np.zeros((1, 3), np.float32)

    def run() -> None:
        leaves = [t.detach().requires_grad_() for t in (means2d, conics, effective, features)]
        boxes, centres, nearness, outlines = (t[0].numpy() for t in (radii, means2d, depths, ellipses))
        tiles = bin_splats(boxes, centres, nearness, outlines, width, height)
        pictures, _ = rasterize.Blend.apply(
            *leaves, ellipses.numpy(), [tiles], background, options, None, distances, None
        )
        pictures.backward(weights[None])

    return run


if __name__ == "__main__":
    main()
