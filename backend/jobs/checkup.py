"""Looks at the machine and at what is installed, and says what is missing and how to mend it."""

from __future__ import annotations

import importlib.util
import os
import re
import tempfile
from pathlib import Path

import msgspec

import backend
from backend import machine

SETUP = "Run: python3 build.py setup"
# Without these no verb works on the CPU; gsplat is looked at on its own.
REQUIRED = ("torch", "numba", "pycolmap", "cv2", "plyfile", "safetensors", "scipy", "PIL")
_LITTLE_MEMORY = 4 * 2**30
_LITTLE_DISK = 2 * 2**30


class Problem(msgspec.Struct, frozen=True):
    what: str
    fix: str
    hinders: bool  # False: everything works, but slower or less of it


class Checkup(msgspec.Struct, frozen=True, kw_only=True):
    device: str  # what "auto" means here: "cpu" or "cuda"
    device_name: str
    cores: int
    threads: int | None  # that torch uses
    memory_bytes: int | None
    free_memory_bytes: int | None
    load_average: float | None
    gpus: list[machine.Gpu]
    gsplat: str
    kernels: str  # whether the CPU's kernels are compiled
    versions: dict[str, str | None]
    problems: list[Problem]


def check_up() -> Checkup:
    """Never raises for what is missing: that is what it reports. Builds and downloads nothing."""
    missing = [name for name in REQUIRED if importlib.util.find_spec(name) is None]
    problems = [Problem(f"The Python package '{name}' is not installed.", SETUP, True) for name in missing]
    gpus = machine.gpus()
    total, free = machine.memory()
    usable, gsplat, fix = _gsplat_state() if "torch" not in missing else (False, "torch is not installed.", SETUP)
    if gpus and not usable:
        problems.append(Problem(f"There is a GPU ({gpus[0].name}), but it cannot be used: {gsplat}", fix, False))
    compiled, modules = kernel_cache()
    if compiled < modules:
        problems.append(
            Problem("The CPU kernels are not compiled yet; the first run takes a minute longer.", SETUP, False)
        )
    if free is not None and free < _LITTLE_MEMORY:
        what = f"Only {free / 2**30:.1f} GiB of memory are free."
        problems.append(
            Problem(what, "Close other programs, or train with a lower --max-splats and --resolution.", False)
        )
    problems += _disk_problems()
    return Checkup(
        device="cuda" if usable else "cpu",
        device_name=gpus[0].name if usable and gpus else machine.cpu_name(),
        cores=machine.cpu_count(),
        threads=_threads() if "torch" not in missing else None,
        memory_bytes=total,
        free_memory_bytes=free,
        load_average=machine.load_average(),
        gpus=gpus,
        gsplat=gsplat,
        kernels=f"{compiled} of {modules} kernel files compiled",
        versions=machine.versions(),
        problems=problems,
    )


def kernel_cache() -> tuple[int, int]:
    """How many of the files with CPU kernels numba has compiled since they last changed, and how many there are."""
    files = [path for path in Path(backend.__file__).parent.rglob("*.py") if _has_kernels(path)]
    return sum(_is_compiled(path) for path in files), len(files)


def _has_kernels(path: Path) -> bool:
    """numba compiles what is called from Python; functions that kernels call are compiled into these."""
    text = path.read_text(encoding="utf-8")
    return re.search(r"^@(serial_kernel|parallel_kernel|numba\.njit)", text, re.MULTILINE) is not None


def _is_compiled(path: Path) -> bool:
    elsewhere = os.environ.get("NUMBA_CACHE_DIR")
    if elsewhere:
        found = [p for p in Path(elsewhere).rglob(f"{path.stem}.*.nbi") if path.parent.name in p.parent.name]
    else:
        found = list(path.parent.joinpath("__pycache__").glob(f"{path.stem}.*.nbi"))
    return any(index.stat().st_mtime >= path.stat().st_mtime for index in found)


def _gsplat_state() -> tuple[bool, str, str]:
    from backend.splats.raster import gsplat_build  # loads torch, which may be what is missing

    state = gsplat_build.state()
    return state.usable, state.reason, state.fix


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def _disk_problems() -> list[Problem]:
    folder = Path(tempfile.gettempdir())
    if not hasattr(os, "statvfs"):
        return []
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    if free >= _LITTLE_DISK:
        return []
    return [Problem(f"Only {free / 2**30:.1f} GiB are free in '{folder}'.", "Free some disk space.", False)]
