"""What the extension adds to the start of Blender, without a backend: enabling it, and the first tick of its timer.

The claim is about processor time of a fresh Blender each time, as at every start but the first after an installation,
which compiles the extension's Python and is told beside it; the clock also shows what else the machine was doing.
Measured in the Blenders that `build.py test-blender` made. Run as `python build.py bench extension_start`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from backend import machine
from benchmarks.record import REPOSITORY, record
from building import blender, extension_zips

CLAIM_MS = 50.0
NAME = "bl_ext.user_default.splatwright"

INSTALL = """
import bpy, os, sys
bpy.ops.extensions.package_install_files(filepath=sys.argv[1], repo="user_default", enable_on_install=False)
os._exit(0)
"""

# Blender is up, and has its list of extensions; what is timed is what it does at its start for one that is switched on.
# What importing Blender left for Python to collect is collected before: in 4.5 the next 400 objects,
# whoever makes them, would set that off, which takes 25 ms. What our own objects set off is counted.
START = f"""
import gc, json, os, sys, time
import bpy, addon_utils
addon_utils.modules_refresh()
addon_utils.extensions_refresh(addon_modules_pending=["{NAME}"])
gc.collect()
before, started, worked = set(sys.modules), time.perf_counter(), time.process_time()
module = addon_utils.enable("{NAME}", default_set=True, refresh_handled=True)
enabled = time.process_time()
if module is not None:
    sys.modules["{NAME}.tick"].tick()  # without a window nothing calls it
took, done = time.perf_counter() - started, time.process_time()
added = set(sys.modules) - before
told = {{"ms": 1e3 * took, "processor_ms": 1e3 * (done - worked), "tick_ms": 1e3 * (done - enabled),
        "enabled": module is not None, "modules": len(added),
        "ours": sum(name.startswith("{NAME}") for name in added), "zmq": "zmq" in added}}
print("TOLD " + json.dumps(told), flush=True)
os._exit(0)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9, help="fresh Blenders of each version; the median counts")
    arguments = parser.parse_args()
    load_before = machine.load_average()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        zips = extension_zips.build(Path(folder, "zips"))
        for version in blender.VERSIONS:
            python = blender.python_in(blender.ENVIRONMENTS / version)
            if python.exists():
                fitting = zips[0] if version < "5.1" else zips[1]
                rows.append(measure(version, python, fitting, Path(folder, version), arguments.repeats))
    if not rows:
        sys.exit("No Blender is here as a Python module: python3 build.py test-blender makes them.")
    claim = (
        f"the extension takes at most {CLAIM_MS:g} ms of processor time of Blender's start without a backend (medians)"
    )
    record("extension_start", claim, rows, device="cpu", settings=vars(arguments), load_before=load_before)


def measure(version: str, python: Path, zip_file: Path, home: Path, repeats: int) -> dict[str, str | float | bool]:
    environment = {
        **os.environ,
        "PYTHONNOUSERSITE": "1",
        "BLENDER_USER_RESOURCES": str(home / "blender"),
        "SPLATWRIGHT_HOME": str(home / "splatwright"),  # there is no backend
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # Blender keeps what Python compiled
    subprocess.run([python, "-c", INSTALL, zip_file], env=environment, cwd=REPOSITORY.parent, check=True)
    told = []
    for _ in range(repeats + 1):
        command = [python, "-c", START]
        done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, check=True)
        (line,) = (line for line in done.stdout.splitlines() if line.startswith("TOLD "))
        told.append(json.loads(line.removeprefix("TOLD ")))
        if not told[-1]["enabled"]:
            sys.exit(f"Blender {version} does not enable the extension: {done.stdout}{done.stderr}")
    first, *later = told  # the first one compiles the extension's Python, once after each installation
    work = statistics.median(each["processor_ms"] for each in later)
    return {
        "Blender": version,
        "processor (ms)": work,
        "of it the first tick (ms)": statistics.median(each["tick_ms"] for each in later),
        "processor, most (ms)": max(each["processor_ms"] for each in later),
        "clock (ms)": statistics.median(each["ms"] for each in later),
        "clock, fastest (ms)": min(each["ms"] for each in later),
        "once after installing, processor (ms)": first["processor_ms"],
        "modules of ours": later[0]["ours"],
        "other modules": later[0]["modules"] - later[0]["ours"],
        "zmq imported": later[0]["zmq"],
        "holds": work <= CLAIM_MS,
    }


if __name__ == "__main__":
    main()
