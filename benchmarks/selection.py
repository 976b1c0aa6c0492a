"""How long the tools of selection take on a million splats, and telling objects apart on a hundred thousand.

Each tool is run once before it is timed, so that compiling does not count; the median of the repetitions is written.
Run as `python build.py bench selection`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import cast

import numpy as np
import trimesh

from backend import machine
from backend.jobs.selecting import find_splats
from backend.selection import by_value, neighbourhood, on_screen
from backend.selection.flash_splat import Masked, label_sums
from backend.selection.in_picture import Look, contributions
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.enclosed import enclosed_by
from backend.splats.rendering import SceneObject, draw_scene
from backend.splats.representation import CloudRepresentation
from backend.splats.triangle_mesh import TriangleMesh
from benchmarks.record import record
from shared_protocol.selecting import InOutline
from shared_protocol.things import Matrix, ViewCamera


def _wire(matrix: np.ndarray) -> Matrix:
    return cast(Matrix, tuple(matrix.ravel().tolist()))


def _camera(pixels: int, angle: float = 0.0) -> Camera:
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    pose[2, 3] = 4.0
    return Camera(pose, pixels, pixels, pixels / 2, pixels / 2, pixels, pixels)


_LASSO = np.array([(100 + 8 * i, 500 + 300 * np.sin(i / 3)) for i in range(100)], np.float32)
_VIEW = ViewCamera(
    camera_from_world=_wire(_camera(1024).camera_from_world),
    fx=1024.0, fy=1024.0, cx=512.0, cy=512.0, width=1024, height=1024,
)  # fmt: skip
_LABELLED, _VIEWS = 100_000, 12
_BEYOND_RENDER_MS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splats", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    load_before = machine.load_average()
    cloud, look = shell(arguments.splats), Look(_camera(1024), np.eye(4), 0.01, 1e10)
    start = time.perf_counter()
    around = neighbourhood.find_neighbours(cloud.means)
    index_s = time.perf_counter() - start
    scene = [SceneObject(CloudRepresentation(cloud, "cpu"), np.eye(4))]
    render_ms = _median_ms(lambda: draw_scene(scene, look.camera, device="cpu"), arguments.repeat)
    limits = {
        "screen, volume, value": 150,
        "neighbours": 300,
        "mesh": 1500,
        "view": round(render_ms + _BEYOND_RENDER_MS, 1),
        "labels": 10_000,
    }
    rows = [
        {"tool": "neighbour index, once", "ms": round(1000 * index_s), "limit_ms": None, "met": None},
        {"tool": "a render of the view of 1024 x 1024", "ms": round(render_ms, 1), "limit_ms": None, "met": None},
    ]
    for kind, tool, call in (*_simple(cloud, look), *_near(cloud, around), *_large(cloud, look)):
        ms, limit = round(_median_ms(call, arguments.repeat if kind != "labels" else 1), 1), limits[kind]
        rows.append({"tool": tool, "ms": ms, "limit_ms": limit, "met": ms < limit})
    settings = {"splats": arguments.splats, "labelled splats": _LABELLED, "views of 256 x 256": _VIEWS}
    record(
        "selection",
        "Tools of selection answer while one watches: none takes longer than its limit.",
        rows,
        device="cpu",
        settings=settings,
        load_before=load_before,
    )


Tool = tuple[str, str, Callable[[], object]]


def _simple(cloud: SplatCloud, look: Look) -> list[Tool]:
    kind, box = "screen, volume, value", np.diag([0.5, 0.5, 0.5, 1.0])
    chosen, others = cloud.means[:, 0] > 0, cloud.means[:, 1] > 0

    def view() -> on_screen.Seen:
        return on_screen.seen(cloud.means, look.camera, np.eye(4), near=0.01, far=1e10)

    return [
        (kind, "lasso of 100 corners", lambda: on_screen.in_outline(view(), _LASSO)),
        (kind, "brush of 100 places", lambda: on_screen.under_brush(view(), _LASSO, 40)),
        (kind, "box", lambda: by_value.in_box(cloud.means, box)),
        (kind, "sphere", lambda: by_value.in_sphere(cloud.means, box)),
        (kind, "colour", lambda: by_value.of_color(cloud, (0.5, 0.5, 0.5), 0.3)),
        (kind, "range of opacity", lambda: by_value.in_range(by_value.values_of(cloud, "opacity"), 0.2, 0.6)),
        (kind, "range of elongation", lambda: by_value.in_range(by_value.values_of(cloud, "elongation"), 1, 2)),
        (kind, "histogram of size", lambda: np.histogram(by_value.values_of(cloud, "size"), bins=64)),
        (kind, "subtract", lambda: chosen & ~others),
    ]


def _near(cloud: SplatCloud, around: neighbourhood.Neighbours) -> list[Tool]:
    start = cloud.means[:, 0] > 0.9

    def alike() -> np.ndarray:
        return by_value.of_color(cloud, (0.5, 0.5, 0.5), 0.5)

    return [
        ("neighbours", "grow", lambda: neighbourhood.grown(start, around, 1)),
        ("neighbours", "shrink", lambda: neighbourhood.grown(start, around, -1)),
        ("neighbours", "flood", lambda: neighbourhood.connected(cloud, start, around)),
        ("neighbours", "flood of a colour", lambda: neighbourhood.connected(cloud, start, around, alike=alike())),
        ("neighbours", "floaters", lambda: neighbourhood.floating(cloud, around, most=50)),
    ]


def _large(cloud: SplatCloud, look: Look) -> list[Tool]:
    ball = trimesh.creation.uv_sphere(radius=1.0, count=(86, 88))
    mesh = TriangleMesh(np.array(ball.vertices, np.float32), np.array(ball.faces, np.int32))
    some = shell(_LABELLED)
    mask = np.zeros((256, 256), np.uint8)
    mask[64:192, 64:192] = 1
    views = [
        Masked(Look(_camera(256, angle), np.eye(4), 0.01, 1e10), mask)
        for angle in np.linspace(0, 2 * np.pi, _VIEWS, endpoint=False)
    ]
    outline = InOutline(camera=_VIEW, world_from_object=_wire(np.eye(4)), points=_LASSO, surface_only=True)
    nothing = np.zeros(len(cloud), bool)
    return [
        ("mesh", f"inside a mesh of {len(mesh.faces):,} faces", lambda: enclosed_by(mesh, cloud.means)),
        ("view", "contribution to the view", lambda: contributions(cloud, look, "cpu")),
        ("view", "lasso, what is on the surface only", lambda: find_splats(cloud, nothing, outline)),
        ("labels", "telling two objects apart (FlashSplat)", lambda: label_sums(some, views, "cpu")),
    ]


def shell(count: int) -> SplatCloud:
    """A ball's surface with some thickness, of splats that overlap."""
    random = np.random.default_rng(0)
    means = random.normal(size=(count, 3))
    means *= (1 + 0.05 * random.normal(size=(count, 1))) / np.linalg.norm(means, axis=1, keepdims=True)
    return SplatCloud(
        means.astype(np.float32),
        random.normal(size=(count, 4)).astype(np.float32),
        np.log(random.uniform(1, 4, (count, 3)) / np.sqrt(count)).astype(np.float32),
        random.normal(size=count).astype(np.float32),
        random.normal(scale=0.5, size=(count, 1, 3)).astype(np.float32),
    )


def _median_ms(call: Callable[[], object], repeat: int) -> float:
    call()
    times: list[float] = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


if __name__ == "__main__":
    main()
