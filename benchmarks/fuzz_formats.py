"""Broken files of every format, as many as asked for: each is one sentence or finite splats, and takes little memory.

Run as `python build.py fuzz formats`.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
import traceback
from pathlib import Path

from backend import machine
from backend.splats.io import FORMATS
from benchmarks.record import record
from tests.unit.splats_io.mutations import FileFuzzer

SLOWEST_S = 20.0  # of which a file with a process of its own takes one on a busy machine
LARGEST_MIB = 300


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    load_before, started = machine.load_average(), time.perf_counter()
    finding = ""
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = FileFuzzer(Path(folder) / "fuzz", arguments.seed)
        memory_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            fuzzer.run(arguments.files)
        except Exception as error:  # noqa: BLE001  finding these is what this is for
            finding = f"{type(error).__name__}: {error}"
            traceback.print_exc()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory_before) / 1024
    total = {
        "format": "all",
        "files": fuzzer.read.total() + fuzzer.refused.total(),
        "refused": fuzzer.refused.total(),
        "read": fuzzer.read.total(),
        "finding": finding,
        "slowest_ms": 1e3 * fuzzer.slowest_s,
        "slowest": fuzzer.slowest,
        "memory_grown_mib": grown,
        "seconds": time.perf_counter() - started,
    }
    rows = [{"format": name, **_figures_of(fuzzer, name)} for name in (form.name for form in FORMATS if form.can_read)]
    claim = "a broken file is one sentence or whole splats, in bounded memory"
    settings = {"seed": arguments.seed, "seeds": len(fuzzer.seeds)}
    record("fuzz_formats", claim, [total, *rows], device="cpu", settings=settings, load_before=load_before)
    return 1 if finding or fuzzer.slowest_s > SLOWEST_S or grown > LARGEST_MIB else 0


def _figures_of(fuzzer: FileFuzzer, name: str) -> dict[str, int]:
    def count(names: dict[str, int]) -> int:
        return sum(found for seed, found in names.items() if seed.split()[0] == name)

    read, refused = count(fuzzer.read), count(fuzzer.refused)
    return {"files": read + refused, "refused": refused, "read": read}


if __name__ == "__main__":
    sys.exit(main())
