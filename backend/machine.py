"""What this machine has to offer: processor, GPUs, memory and versions; works without torch."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import tomllib
from pathlib import Path

import msgspec

# Whatever can change a result or explain a failure.
PACKAGES = (
    "torch",
    "gsplat",
    "numba",
    "numpy",
    "pycolmap",
    "opencv-python-headless",
    "plyfile",
    "msgspec",
)


class Gpu(msgspec.Struct, frozen=True):
    name: str
    driver: str
    memory: int  # bytes


def gpus() -> list[Gpu]:
    """NVIDIA GPUs as the driver lists them; needs no torch."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader,nounits"]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (subprocess.SubprocessError, OSError):
        return []
    rows = [[cell.strip() for cell in line.split(",")] for line in listing.splitlines() if line.count(",") == 2]
    return [Gpu(name, driver, int(memory) * 2**20 if memory.isdigit() else 0) for name, driver, memory in rows]


def cpu_name() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def cpu_count() -> int:
    """Cores this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> tuple[int | None, int | None]:
    """Total and free main memory in bytes, within the limit of the container; None where the system does not say."""
    listing = Path("/proc/meminfo")
    if not listing.is_file():
        return None, None
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in listing.read_text().splitlines() if ":" in line}
    total, free = kilobytes["MemTotal"] * 1024, kilobytes.get("MemAvailable", kilobytes["MemFree"]) * 1024
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and used.is_file() and limit.read_text().strip().isdigit():
        total = min(total, int(limit.read_text()))
        free = min(free, max(0, total - int(used.read_text())))
    return total, free


def load_average() -> float | None:
    """Processes that wanted a core during the last minute; None on systems that do not count."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def splatwright_version() -> str:
    """The version of the installed package, or of the source tree this runs from."""
    try:
        return importlib.metadata.version("splatwright")
    except importlib.metadata.PackageNotFoundError:
        project = Path(__file__).resolve().parent.parent / "pyproject.toml"
        if not project.is_file():
            return "unknown"
        return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]


def versions() -> dict[str, str | None]:
    """Versions of Python and of every package that matters; None = not installed."""
    found: dict[str, str | None] = {"splatwright": splatwright_version(), "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found
