"""Wrong messages, as many as asked for: none may raise, be called our mistake, take long, or touch what is not its own.

Run as `python build.py fuzz`.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
import tempfile
import time
from pathlib import Path

from backend import machine
from benchmarks.record import record
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
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(Path(folder), arguments.seed)
        fuzzer.run(arguments.messages)
    row = {
        "messages": fuzzer.sent.total(),
        "kinds": len(fuzzer.sent),
        "findings": len(fuzzer.findings),
        "unreadable_or_refused": fuzzer.answered["refused"],
        "answered": fuzzer.answered.total() - fuzzer.answered["refused"],
        "slowest_ms": 1e3 * fuzzer.slowest_s,
        "memory_grown_mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory_before) / 1024,
        "seconds": time.perf_counter() - started,
    }
    for what, frames in fuzzer.findings[:20]:
        print(what, frames)
    claim = "no wrong message does harm"
    record("fuzz_protocol", claim, [row], device="cpu", settings={"seed": arguments.seed}, load_before=load_before)
    return 1 if fuzzer.findings or fuzzer.slowest_s > SLOWEST_S else 0


if __name__ == "__main__":
    sys.exit(main())
