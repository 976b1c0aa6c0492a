"""The throwaway experiments that our CPU kernels are measured against, loaded from where they lie."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from benchmarks.record import REPOSITORY


def probe_folder() -> Path:
    """Where the experiments lie: SPLATWRIGHT_PROBES, else beside the repository. Exits with a sentence when absent."""
    folder = Path(os.environ.get("SPLATWRIGHT_PROBES", REPOSITORY.parent / "shared" / "design" / "probes"))
    if not (folder / "numba_raster.py").exists():
        raise SystemExit(f"The experiments to compare with are not in {folder}; set SPLATWRIGHT_PROBES.")
    return folder


def load(name: str, *arguments: str) -> ModuleType:
    """Imports one of the scripts, which runs it with these command line arguments."""
    folder = str(probe_folder())
    if folder not in sys.path:
        sys.path.insert(0, folder)  # they import each other by name, and numba finds its cached kernels by it
    before, sys.argv = sys.argv, [name, *arguments]
    try:
        with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):  # some write pictures where they run
            return importlib.import_module(name)
    finally:
        sys.argv = before
