"""Builds gsplat's CUDA kernels once, at set-up, so that no training ever waits for a compiler.

gsplat comes as source and compiles itself when its kernels are first touched. Here that happens at set-up, in a process
of its own; afterwards `prepare_environment` hands the finished library to gsplat, which needs no compiler any more.
Run as `python -m backend.splats.raster.gsplat_build`: builds, tries the kernels out, and says what came of it.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import torch

from backend.splats.io.atomic import write_bytes
from backend.splats.raster.cuda_toolkit import find_toolkit, require_compiler
from shared_protocol.errors import UserError

LIBRARY = "gsplat_cuda"  # the name gsplat compiles its kernels under
SETUP = "Run: python3 build.py setup"
OLDEST_ARCHITECTURE = (7, 5)  # CUDA 13 compiles for nothing older than Turing
MEMORY_PER_JOB = 3 * 2**30  # bytes; the largest of gsplat's files takes nvcc over 2 GB


class GsplatState(msgspec.Struct, frozen=True):
    """Whether gsplat's CUDA kernels can be used, and if not, why."""

    usable: bool
    reason: str
    fix: str = ""


def is_built() -> bool:
    """gsplat's kernels for this machine's GPUs are built and have drawn a picture that is right."""
    return state().usable


def state() -> GsplatState:
    """Looks without building anything."""
    obstacle = _obstacle()
    if obstacle:
        return obstacle
    if not torch.cuda.is_available():
        fix = "Install NVIDIA's driver 580 or newer, then restart."
        return GsplatState(False, "torch finds no NVIDIA GPU, or a driver too old for CUDA 13.", fix)
    if _library_in_package() is None:
        folder = kernels_folder()
        if not (folder / f"{LIBRARY}.so").is_file():
            return GsplatState(False, "gsplat's CUDA kernels have not been built.", SETUP)
        if not (folder / "trial.json").is_file():
            return GsplatState(False, "gsplat's CUDA kernels were built but have not passed their trial.", SETUP)
    return GsplatState(True, f"gsplat's CUDA kernels are built for {torch.cuda.get_device_name(0)}.")


@functools.cache  # a rasterizer may call it at every step; what it raises is not remembered
def prepare_environment() -> None:
    """Makes gsplat use the kernels built at set-up; call it before gsplat is imported. Nothing is ever compiled here.

    Raises UserError when there are none.
    """
    now = state()
    if not now.usable:
        raise UserError("missing_dependency", f"CUDA cannot be used: {now.reason}", now.fix or "Use --device cpu.")
    if _library_in_package() is None:
        use_library(kernels_folder() / f"{LIBRARY}.so")


def use_library(library: Path) -> None:
    """Loads the compiled kernels in the place where gsplat looks before it would compile them itself."""
    if "gsplat.csrc" in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(LIBRARY, library)
    if spec is None or spec.loader is None:
        raise ImportError(f"{library} is no Python extension")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["gsplat.csrc"] = module


def build(say: Callable[[str], None] = print) -> None:
    """Compiles the kernels for this machine's GPUs and tries them out; does nothing when that was done before.

    Raises UserError for whatever the user can mend: no compiler, a GPU too old, a build or a trial that fails.
    """
    obstacle = _obstacle()
    if obstacle:
        raise UserError("missing_dependency", f"gsplat cannot be built: {obstacle.reason}", obstacle.fix)
    folder = kernels_folder()
    library = folder / f"{LIBRARY}.so"
    if _library_in_package() is None and not library.is_file():
        require_compiler()
        say(f"Building gsplat's CUDA kernels for compute capability {architectures()} (1 to 10 minutes, once).")
        _compile(folder)
    if torch.cuda.is_available() and not (folder / "trial.json").is_file():
        say(f"Trying gsplat's kernels on {torch.cuda.get_device_name(0)}.")
        write_bytes(folder / "trial.json", _try_out(folder))


def architectures() -> str:
    """What to compile for, as in TORCH_CUDA_ARCH_LIST: that variable, or else the compute capabilities found here."""
    wanted = os.environ.get("TORCH_CUDA_ARCH_LIST")
    if wanted:
        return ";".join(sorted(re.split(r"[;\s]+", wanted.strip())))
    found = {torch.cuda.get_device_capability(index) for index in range(torch.cuda.device_count())}
    return ";".join(f"{major}.{minor}" for major, minor in sorted(found) if (major, minor) >= OLDEST_ARCHITECTURE)


def kernels_folder() -> Path:
    """Where the built kernels are kept: a folder for each combination of versions that needs a build of its own."""
    if os.environ.get("TORCH_EXTENSIONS_DIR"):
        storage = Path(os.environ["TORCH_EXTENSIONS_DIR"])
    elif sys.prefix != sys.base_prefix:  # a virtual environment: the kernels go when it goes
        storage = Path(sys.prefix) / "gsplat"
    else:
        storage = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "splatwright" / "gsplat"
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    versions = f"gsplat-{importlib.metadata.version('gsplat')}-torch-{torch.__version__}-{python}"
    return storage / f"{versions}-sm-{architectures().replace(';', '-')}"


def _obstacle() -> GsplatState | None:
    """What stands in the way of building, apart from a compiler."""
    if torch.version.cuda is None:
        has_driver = shutil.which("nvidia-smi") or Path("/proc/driver/nvidia/version").exists()
        fix = SETUP if has_driver else "It needs an NVIDIA GPU and its driver, of which nothing is found here."
        return GsplatState(False, "the installed torch is the one for CPUs.", fix)
    if importlib.util.find_spec("gsplat") is None:
        return GsplatState(False, "gsplat is not installed.", SETUP)
    if torch.cuda.is_available() and not architectures():
        name = torch.cuda.get_device_name(0)
        return GsplatState(False, f"{name} is older than anything that CUDA 13 compiles for.", "Use --device cpu.")
    if not architectures():
        return GsplatState(
            False,
            "torch finds no NVIDIA GPU, or a driver too old for CUDA 13.",
            "Install NVIDIA's driver 580 or newer.",
        )
    return None


def _library_in_package() -> Path | None:
    """The kernels of a gsplat that was installed ready compiled."""
    loaded = sys.modules.get("gsplat.csrc")
    if loaded is not None and loaded.__name__ == LIBRARY:
        return None  # ours, put there by use_library
    spec = importlib.util.find_spec("gsplat.csrc")
    return Path(spec.origin) if spec is not None and spec.origin else None


def _compile(folder: Path) -> None:
    """Builds beside the final place, so that an interrupted build never looks like a finished one."""
    workplace = folder / "building"
    shutil.rmtree(workplace, ignore_errors=True)
    workplace.mkdir(parents=True)
    log = folder / "build.log"
    environment = _child_environment() | find_toolkit(workplace / "cuda").environment()
    environment |= {
        "TORCH_CUDA_ARCH_LIST": architectures(),
        "TORCH_EXTENSIONS_DIR": str(workplace),
        "MAX_JOBS": os.environ.get("MAX_JOBS") or str(_jobs()),
        "VERBOSE": "1",  # without it gsplat swallows what the compiler said
    }
    command = [sys.executable, "-c", "from gsplat.cuda import _backend"]
    with log.open("wb") as output:
        done = subprocess.run(command, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False)
    built = workplace / LIBRARY / f"{LIBRARY}.so"
    if done.returncode != 0 or not built.is_file():
        raise UserError(
            "missing_dependency",
            f"gsplat's CUDA kernels could not be built: {_first_error(log)}",
            f"The whole story is in '{log}'.",
        )
    os.replace(built, folder / built.name)
    shutil.rmtree(workplace)


def _try_out(folder: Path) -> bytes:
    """Runs the trial in a process of its own, because a failing kernel takes its process with it. Returns its JSON."""
    command = [sys.executable, "-m", "backend.splats.raster.gsplat_trial"]
    library = folder / f"{LIBRARY}.so"
    if library.is_file():
        command.append(str(library))
    done = subprocess.run(command, env=_child_environment(), capture_output=True, text=True, check=False)
    answer = done.stdout.strip().splitlines()[-1:] or [""]
    if done.returncode != 0:
        told = answer[0] or next(iter(done.stderr.strip().splitlines()[-1:]), "it said nothing")
        raise UserError(
            "missing_dependency",
            f"gsplat's CUDA kernels do not work on this GPU: {told}",
            f"Update NVIDIA's driver, delete '{folder}', then run: python3 build.py setup",
        )
    figures: dict[str, Any] = json.loads(answer[0])
    return json.dumps(figures | {"device": torch.cuda.get_device_name(0)}, indent=2).encode()


def _child_environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[3])
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),  # for ninja
    }


def _jobs() -> int:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(len(os.sched_getaffinity(0)), memory // MEMORY_PER_JOB))


def _first_error(log: Path) -> str:
    """The first line of a build's output that looks like the reason, else the last one."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    reasons = [line for line in lines if re.search(r"\berror:|Error:|not found", line)]
    return (reasons or lines[-1:] or ["the compiler said nothing"])[0][:300]


def main() -> int:
    """Returns 0 when the kernels can be used, 3 when something the user can mend is in the way."""
    try:
        build()
    except UserError as error:
        print(f"{error.message}\n{error.hint}".strip())
        return 3
    now = state()
    print(f"{now.reason} {now.fix}".strip())
    return 0 if now.usable else 3


if __name__ == "__main__":
    sys.exit(main())
