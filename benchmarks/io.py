"""Reading and writing splat files, against numpy's bare files, splat-transform and gsply, in one run.

PLY takes at most twice the time of numpy.fromfile and tofile for the same bytes; SPZ, SOG and compressed PLY no longer
than splat-transform (on the CPU) or gsply; no more memory than 2.5 times the cloud. Every figure comes from a process
of its own. splat-transform is a command: from its times that of doing nothing with the same input is taken away.
gsply compiles itself with numba at its first call, which `gsply_s` leaves out, and `..._first_s`, the time from the
start of a program to the cloud, holds. Of ours `ours_s` is the time in a process that has loaded numba, as the
backend's has, and `ours_without_numba_s` that in one that has not. The memory of libraries does not count.
Run as `python build.py bench io`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from backend import machine
from backend.splats.cloud import SplatCloud
from backend.splats.io.atomic import atomic_file
from backend.splats.io.content import SplatContent
from backend.splats.io.formats import format_by_name, read_splats, write_splats
from benchmarks.record import REPOSITORY, Figure, record
from building.oracles import FOLDER, PACKAGES, has_node_packages, node_program

_FORMATS = ("ply", "compressed.ply", "spz", "sog", "glb", "usdc", "splat")
_BY_GSPLY = {"read": ("ply", "compressed.ply", "spz", "sog"), "write": ("compressed.ply", "spz")}
_BY_SPLAT_TRANSFORM = {"read": ("compressed.ply", "spz", "sog"), "write": ("compressed.ply", "spz", "sog", "glb")}
_COMPILED = ("compressed.ply", "spz")  # in part, where numba is loaded
_LONGEST_S = 900
_ENOUGH_S = 30  # of one figure: what takes as long is not repeated
_FEW = 4000  # splats whose palette splat-transform finds on a processor in a moment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splats", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3, help="the best of so many counts")
    parser.add_argument("--formats", nargs="+", default=_FORMATS, choices=_FORMATS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _child(**json.loads(arguments.child))
        return
    load_before = machine.load_average()
    rows = []
    with tempfile.TemporaryDirectory(prefix="splatwright-bench-") as scratch:
        for count, degree, kinds in (
            (arguments.splats, 3, arguments.formats),
            (arguments.splats, 0, [kind for kind in arguments.formats if kind == "sog"]),
            (_FEW, 3, [kind for kind in arguments.formats if kind == "sog"]),
        ):
            folder = Path(scratch, f"{count}-{degree}")
            folder.mkdir()
            source = folder / "source.ply"
            write_splats(source, SplatContent(made_cloud(count, degree)))
            for kind in kinds:
                print(f"{kind}, {count:,} splats, SH {degree}", flush=True)
                rows += _compare(folder, source, kind, count, degree, arguments.runs)
    claim = "PLY within 2 x numpy's time; SPZ, SOG, compressed.ply within others' time; memory within 2.5 clouds"
    settings = {"splats": arguments.splats, "runs": arguments.runs}
    record("io", claim, rows, device="cpu", settings=settings, load_before=load_before)


def made_cloud(count: int, degree: int) -> SplatCloud:
    """Splats of 2,000 kinds, each a little different: in captures, too, many are alike."""
    random = np.random.default_rng(0)
    k = (degree + 1) ** 2
    kinds = random.integers(0, 2000, count)

    def spread(width: int, scale: float, noise: float) -> np.ndarray:
        values = random.normal(scale=scale, size=(2000, width)).astype(np.float32)[kinds]
        values += random.standard_normal(values.shape, np.float32) * np.float32(noise)
        return values

    return SplatCloud(
        spread(3, 2, 0.05),
        spread(4, 1, 0.05),
        spread(3, 1, 0.2) - 5,
        spread(1, 2, 0.3)[:, 0],
        np.concatenate([spread(3, 0.7, 0.1), spread(3 * (k - 1), 0.1, 0.03)], axis=1).reshape(count, k, 3),
    )


def _compare(folder: Path, source: Path, kind: str, count: int, degree: int, runs: int) -> list[dict[str, Figure]]:
    """A row for writing and one for reading what was written."""
    target, rows = folder / f"ours.{kind}", []
    cloud_bytes = count * 4 * (11 + 3 * (degree + 1) ** 2)
    for direction in ("write", "read"):
        about = {"kind": kind, "direction": direction, "source": str(source), "target": str(target), "runs": runs}
        ours = _measured("ours", about)
        plain = _measured("ours without numba", about)["seconds"] if kind in _COMPILED else None
        others: dict[str, float | None] = {"gsply_s": None, "splat_transform_s": None, "numpy_s": None}
        if kind == "ply":
            others["numpy_s"] = _measured("numpy", about)["seconds"]
        if kind in _BY_GSPLY[direction] and count > _FEW and (PACKAGES / "gsply").is_dir():
            other = {**about, "target": str(target if direction == "read" else folder / f"gsply.{kind}")}
            others["gsply_s"] = _measured("gsply", other)["seconds"]
        # On a processor it would search a palette for many splats for hours.
        too_long = kind == "sog" and direction == "write" and degree > 0 and count > _FEW
        if kind in _BY_SPLAT_TRANSFORM[direction] and not too_long:
            others["splat_transform_s"] = _splat_transform(folder, source, target, kind, direction)
        peak = ours["peak_bytes"]
        times = [seconds for seconds in (others["gsply_s"], others["splat_transform_s"]) if seconds is not None]
        if others["numpy_s"] is not None:
            times = [2 * others["numpy_s"]]
        rows.append(
            {
                "format": kind,
                "direction": direction,
                "splats": count,
                "sh_degree": degree,
                "bytes": target.stat().st_size,
                "ours_s": ours["seconds"],
                "ours_without_numba_s": plain,
                **others,
                **_first_seconds(kind, about if direction == "read" and count > _FEW else None),
                "fast_enough": ours["seconds"] <= min(times) if times else None,
                "peak_in_clouds": peak / cloud_bytes if peak is not None and count > _FEW else None,
            }
        )
    return rows


def _measured(program: str, about: dict[str, object]) -> dict[str, Any]:
    """Seconds, the best of the runs, and the most memory beyond what its process had before."""
    paths = [str(REPOSITORY), *([str(PACKAGES)] if program == "gsply" else [])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "benchmarks.io", "--child", json.dumps({"program": program, **about})]
    done = subprocess.run(
        command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=_LONGEST_S, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{program} could not {about['direction']} {about['kind']}: {done.stderr[-1000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _first_seconds(kind: str, about: dict[str, object] | None) -> dict[str, Figure]:
    """From the start of a program to the cloud it read. about: None = it does not read."""
    seconds: dict[str, Figure] = {"ours_first_s": None, "gsply_first_s": None}
    if about is None or kind not in _BY_GSPLY["read"]:
        return seconds
    names = {"ours without numba": "ours_first_s", "gsply": "gsply_first_s"}
    for program, name in names.items():
        if program == "gsply" and not (PACKAGES / "gsply").is_dir():
            continue
        times: list[float] = []
        for _ in range(3):
            start = time.perf_counter()
            _measured(program, {**about, "runs": 0})
            times.append(time.perf_counter() - start)
        seconds[name] = min(times)
    return seconds


def _child(program: str, kind: str, direction: str, source: str, target: str, runs: int) -> None:
    prepare = {"ours": _ours, "ours without numba": _ours, "gsply": _gsply, "numpy": _numpy}[program]
    if program == "ours":
        import numba  # noqa: F401
    if program.startswith("ours") and runs:  # nor are libraries and compiling part of what is measured here
        with tempfile.TemporaryDirectory(prefix="splatwright-bench-") as scratch:
            write_splats(Path(scratch, f"few.{kind}"), SplatContent(made_cloud(100, 3)))
            read_splats(Path(scratch, f"few.{kind}"))
    action = prepare(kind, direction, Path(source), Path(target))
    if program == "gsply" or not runs:
        action()
    before = _forget_peak()
    times: list[float] = []
    while len(times) < runs and sum(times) < _ENOUGH_S:
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    peak = None if before is None else _memory("VmHWM") - before
    print(json.dumps({"seconds": min(times, default=None), "peak_bytes": peak}))


def _forget_peak() -> int | None:
    """Bytes in use now, from where the peak counts on; None where the system does not tell.

    getrusage does not do: its peak is also that of the process this one was started from.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _memory("VmRSS")
    except OSError:
        return None


def _memory(name: str) -> int:
    """Bytes, as Linux tells them of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def _ours(kind: str, direction: str, source: Path, target: Path) -> Callable[[], object]:
    form = format_by_name(target)
    if direction == "read":
        return lambda: read_splats(target)
    content = read_splats(source)
    return lambda: write_splats(target, content, frame=content.frame if form.keeps_frame else None)


def _gsply(kind: str, direction: str, source: Path, target: Path) -> Callable[[], object]:
    import gsply  # type: ignore[import-not-found]

    if direction == "read":
        if kind == "sog":
            return lambda: gsply.sogread(str(target))
        return lambda: (gsply.read_spz if kind == "spz" else gsply.plyread)(str(target))
    data = gsply.plyread(str(source))
    if kind == "spz":
        return lambda: gsply.write_spz(str(target), data, version=4)
    return lambda: gsply.plywrite(str(target), data, compressed=True)


def _numpy(kind: str, direction: str, source: Path, target: Path) -> Callable[[], object]:
    """The same bytes, written whole or not at all as ours are: how a disk takes new files is no part of the ratio."""
    if direction == "read":
        return lambda: np.fromfile(target, np.uint8)
    content = np.fromfile(source, np.uint8)

    def write() -> None:
        with atomic_file(target.with_suffix(".raw")) as stream:
            content.tofile(stream)

    return write


def _splat_transform(folder: Path, source: Path, target: Path, kind: str, direction: str) -> float | None:
    """Seconds beyond those of the command doing nothing with its input (writing), or of its start (reading)."""
    node = node_program("node")
    if node is None or not has_node_packages():
        return None
    program = [node, str(FOLDER / "node_modules/@playcanvas/splat-transform/bin/cli.mjs")]

    def seconds(*arguments: str | Path) -> float:
        start = time.perf_counter()
        subprocess.run([*program, *map(str, arguments)], capture_output=True, timeout=_LONGEST_S, check=True)
        return time.perf_counter() - start

    if direction == "read":
        return seconds("-q", target, "null") - seconds("--version")
    made = folder / f"theirs.{kind}"
    return seconds("-q", "-w", "-g", "cpu", source, made) - seconds("-q", source, "null")


if __name__ == "__main__":
    main()
