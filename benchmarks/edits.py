"""Fifty edits of a million splats: what they take of the disk and of memory, and how long undo and redo wait.

Everything that undo can reach stays under three times the cloud's memory: on the disk all versions together, and in
memory what the backend holds after the last edit, beyond what it held before the first. Undo is reading an older
version, redo a newer one; for each the backend is started again, which then knows nothing but its files. Every fifth
version is read, so that the one with the most edits since the last that is stored whole is among them.
Run as `python build.py bench edits`.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from backend import machine
from backend.jobs.desk import Desk
from backend.splats.cloud import SplatCloud
from backend.store.assets import AssetStore
from backend.store.payload import cloud_to_arrays
from backend.store.workspace import Workspace
from benchmarks.record import record
from shared_protocol.messages import RunMethod
from shared_protocol.things import ENDED, Matrix

_LIMIT = 3.0  # times the cloud's memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splats", type=int, default=1_000_000)
    parser.add_argument("--edits", type=int, default=50)
    arguments = parser.parse_args()
    load_before = machine.load_average()
    with tempfile.TemporaryDirectory(prefix="splatwright-bench-") as folder:
        row = measure(Path(folder), arguments.splats, arguments.edits)
    record(
        "edits",
        "50 edits of 1 M splats stay under 3 times the cloud's memory, on the disk and in memory.",
        [row],
        device="cpu",
        settings={"splats": arguments.splats, "edits": arguments.edits},
        load_before=load_before,
    )


def measure(folder: Path, splats: int, edits: int) -> dict[str, Any]:
    cloud = _cloud(splats)
    whole = sum(array.nbytes for array in cloud_to_arrays(cloud).values())
    workspace = Workspace(folder / "workspace")
    store = AssetStore(workspace)
    asset = store.create("scene", frame="z_up", up=(0.0, 0.0, 1.0)).id
    versions = [store.add(asset, cloud, label="made").id]
    workspace.close()
    del cloud
    desk = _desk(folder)
    _run(desk, RunMethod(method="opacity", asset=asset, version=versions[0]))  # whatever is loaded at a first time
    gc.collect()
    held_before, times, highest = _resident(), [], 0
    for number in range(edits):
        method, options = _edit(number)
        start = time.perf_counter()
        versions.append(_run(desk, RunMethod(method=method, asset=asset, version=versions[-1], **options)))
        times.append(time.perf_counter() - start)
        highest = max(highest, _resident())
    gc.collect()
    held = _resident() - held_before
    desk.close()
    waits = [_wait_for(folder, asset, version) for version in versions[::-5]]
    desk = _desk(folder)
    left = sum(version.bytes for version in desk.versions(asset))
    desk.close()
    assert left < _LIMIT * whole and held < _LIMIT * whole, "the claim does not hold"
    return {
        "splats": splats,
        "edits": edits,
        "cloud_mib": round(whole / 2**20, 1),
        "disk_mib": round(left / 2**20, 1),
        "disk_over_cloud": round(left / whole, 2),
        "held_over_cloud": round(held / whole, 2),
        "highest_over_cloud": round((highest - held_before) / whole, 2),
        "edit_s_median": round(float(np.median(times)), 2),
        "edit_s_most": round(max(times), 2),
        "undo_s_median": round(float(np.median(waits)), 2),
        "undo_s_most": round(max(waits), 2),
    }


def _edit(number: int) -> tuple[str, dict[str, Any]]:
    """Of all and of parts in turn, as one cleans up a scene."""
    at = 0.9 * np.array([np.cos(number), np.sin(number), np.sin(2.0 * number)])
    small, large = _box(at, 0.15), _box(0.3 * at, 0.5)
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("delete", {"box": small}),
        ("color", {"settings": {"exposure": 0.1, "contrast": 1.02, "red": 1.01}}),
        ("transform", {"box": large, "settings": {"turn_z": 5.0, "move_x": 0.05}}),
        ("opacity", {"box": large, "settings": {"value": 0.9}}),
        ("duplicate", {"box": small, "settings": {"move_z": 0.4}}),
        ("size", {"settings": {"factor": 0.98}}),
        ("mirror", {"box": small, "settings": {"axis": "y"}}),
        ("color", {"box": large, "settings": {"saturation": 0.8, "gamma": 1.1}}),
        ("sh_degree", {"box": small, "settings": {"degree": 1}}),
        ("transform", {"settings": {"turn_x": 3.0, "scale_y": 1.02}}),
    ]
    return kinds[number % len(kinds)]


def _box(centre: np.ndarray, size: float) -> Matrix:
    x, y, z = centre.tolist()
    return (size, 0.0, 0.0, x, 0.0, size, 0.0, y, 0.0, 0.0, size, z, 0.0, 0.0, 0.0, 1.0)


def _cloud(count: int) -> SplatCloud:
    generator = np.random.default_rng(0)

    def numbers(*shape: int, scale: float = 1.0) -> np.ndarray:
        return generator.normal(scale=scale, size=shape).astype(np.float32)

    return SplatCloud(
        generator.uniform(-1, 1, (count, 3)).astype(np.float32),
        numbers(count, 4),
        numbers(count, 3, scale=0.5) - np.float32(5),
        numbers(count),
        numbers(count, 16, 3, scale=0.2),
    )


def _desk(folder: Path) -> Desk:
    return Desk(folder / "workspace", device="cpu", on_event=lambda _: None, on_fatal=print)


def _run(desk: Desk, wish: RunMethod) -> str:
    state = desk.run_method(wish)
    while desk.job(state.job).status not in ENDED:
        time.sleep(0.005)
    state = desk.job(state.job)
    assert state.status == "finished", state.failure
    return state.version


def _wait_for(folder: Path, asset: str, version: str) -> float:
    """Seconds that a backend which was just started needs to have a version's splats."""
    desk = _desk(folder)
    start = time.perf_counter()
    desk.bake(asset, version, 1)
    seconds = time.perf_counter() - start
    desk.close()
    return seconds


def _resident() -> int:
    """Bytes of main memory that the process holds now; Linux says so."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1])


if __name__ == "__main__":
    main()
