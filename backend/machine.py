"""What this machine has to offer: device, threads, memory and versions."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from shared_protocol.errors import UserError

DeviceKind = Literal["cpu", "cuda"]

# Whatever can change a result or explain a failure.
PACKAGES = (
    "splatwright",
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


class GsplatState(msgspec.Struct, frozen=True):
    """Whether gsplat's CUDA kernels can be used, and if not, why."""

    usable: bool
    reason: str
    fix: str = ""


def choose_device(wanted: Literal["auto", "cpu", "cuda"]) -> DeviceKind:
    """The device to work on; "auto" takes CUDA where it can be used.

    Raises UserError when CUDA is asked for and cannot be used.
    """
    if wanted == "cpu":
        return "cpu"
    state = gsplat_state()
    if state.usable:
        return "cuda"
    if wanted == "cuda":
        raise UserError("missing_dependency", f"CUDA cannot be used: {state.reason}", state.fix or "Use --device cpu.")
    return "cpu"


def gsplat_state() -> GsplatState:
    """Looks without starting a build, which importing gsplat's kernels would do."""
    if importlib.util.find_spec("torch") is None:
        return GsplatState(False, "torch is not installed.", "Run: python3 build.py setup")
    import torch  # takes seconds, and most of this module does without

    if not torch.backends.cuda.is_built():
        fix = "Run: python3 build.py setup" if gpus() else ""
        return GsplatState(False, "the installed torch is the one for CPUs.", fix)
    if not torch.cuda.is_available():
        return GsplatState(False, "torch finds no NVIDIA GPU or no driver.", "Install NVIDIA's driver, then restart.")
    if importlib.util.find_spec("gsplat") is None:
        return GsplatState(False, "gsplat is not installed.", "Run: python3 build.py setup")
    if gsplat_library() is None:
        return GsplatState(False, "gsplat's CUDA kernels have not been built.", "Run: python3 build.py setup")
    return GsplatState(True, f"gsplat's CUDA kernels are built for {torch.cuda.get_device_name(0)}.")


def gsplat_library() -> Path | None:
    """The compiled CUDA kernels of gsplat, where gsplat itself looks for them."""
    packaged = importlib.util.find_spec("gsplat.csrc") if importlib.util.find_spec("gsplat") else None
    if packaged is not None and packaged.origin:
        return Path(packaged.origin)
    from torch.utils import cpp_extension
    from torch.version import cuda

    root = os.environ.get("TORCH_EXTENSIONS_DIR")
    if root is None:
        folder = f"py{sys.version_info.major}{sys.version_info.minor}{sys.abiflags}_cu{(cuda or '').replace('.', '')}"
        root = os.path.join(cpp_extension.get_default_build_root(), folder)
    candidates = [Path(root) / "gsplat_cuda" / f"gsplat_cuda.{ending}" for ending in ("so", "pyd")]
    return next((path for path in candidates if path.is_file()), None)


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
    rows = [[cell.strip() for cell in line.split(",")] for line in listing.splitlines() if line.count(",") == 2]  # noqa: PLR2004
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
        return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"] if project.is_file() else "unknown"


def versions() -> dict[str, str | None]:
    """Versions of Python and of every package that matters; None = not installed."""
    found: dict[str, str | None] = {"splatwright": splatwright_version(), "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found
