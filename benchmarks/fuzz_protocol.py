"""Right and wrong messages, as many as asked for: none may raise, be our mistake, take long, or touch what it must not.

Run as `python build.py fuzz`.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
import tempfile
import time
import traceback
from importlib.metadata import version
from pathlib import Path
from typing import get_args

from backend import machine
from benchmarks.record import record
from shared_protocol.messages import AddonToBackend
from tests.loopback.fuzzing import Fuzzer

SLOWEST_S = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    load_before, started = machine.load_average(), time.perf_counter()
    memory_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    finding = ""
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(Path(folder) / "fuzz", arguments.seed)
        try:
            fuzzer.run(arguments.messages)
        except Exception as error:  # noqa: BLE001  finding these is what this is for
            finding = f"{type(error).__name__}: {error}"
            traceback.print_exc()  # hypothesis noted in it what was said
    row = {
        "messages": fuzzer.sent.total(),
        "requests": f"{len(fuzzer.sent)} of {len(get_args(AddonToBackend))}",
        "said_least": min(fuzzer.sent.values()),
        "finding": finding,
        "unreadable_or_refused": fuzzer.answered["refused"],
        "answered": fuzzer.answered.total() - fuzzer.answered["refused"],
        "slowest_ms": 1e3 * fuzzer.slowest_s,
        "slowest": fuzzer.slowest.name,
        "memory_grown_mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory_before) / 1024,
        "seconds": time.perf_counter() - started,
    }
    claim = "no wrong message does harm"
    settings = {"seed": arguments.seed, "hypothesis": version("hypothesis")}
    record("fuzz_protocol", claim, [row], device="cpu", settings=settings, load_before=load_before)
    return 1 if finding or fuzzer.slowest_s > SLOWEST_S else 0


if __name__ == "__main__":
    sys.exit(main())
