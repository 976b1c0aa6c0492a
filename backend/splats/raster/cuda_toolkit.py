"""Finds a CUDA compiler that fits the installed torch: the one from Python packages, else the system's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from shared_protocol.errors import UserError

SETUP = "Run: python3 build.py setup"

# The command that brings a C++ compiler and Python's headers, by the package manager it is run with.
COMPILER_COMMANDS = {
    "apt-get": "sudo apt-get install -y g++ {python}-dev",
    "dnf": "sudo dnf install -y gcc-c++ {python}-devel",
    "zypper": "sudo zypper install -y gcc-c++ python3-devel",
    "pacman": "sudo pacman -S --needed gcc python",
    "apk": "sudo apk add g++ python3-dev",
}


@dataclass(frozen=True)
class Toolkit:
    """A folder laid out as CUDA_HOME, and headers that it lacks."""

    home: Path
    extra_headers: Path | None = None

    def environment(self) -> dict[str, str]:
        variables = {"CUDA_HOME": str(self.home)}
        if self.extra_headers is not None:
            present = os.environ.get("CPATH")
            variables["CPATH"] = os.pathsep.join(filter(None, [str(self.extra_headers), present]))
        return variables


def require_compiler(which: Callable[[str], str | None] = shutil.which, headers: Path | None = None) -> None:
    """Raises UserError with the one command that mends it when there is no C++ compiler or no Python.h."""
    compiler = os.environ.get("CXX", "c++")
    headers = headers or Path(sysconfig.get_path("include"))
    if which(compiler) is None:
        missing = f"there is no C++ compiler ('{compiler}')"
    elif not (headers / "Python.h").is_file():
        missing = f"Python's headers are missing ('{headers / 'Python.h'}')"
    else:
        return
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    commands = (text.format(python=python) for manager, text in COMPILER_COMMANDS.items() if which(manager))
    command = next(commands, None)
    hint = f"Run: {command}" if command else "Install g++ and Python's headers with your system's package manager."
    raise UserError("missing_dependency", f"gsplat's CUDA kernels cannot be built: {missing}.", hint, command or "")


def find_toolkit(workplace: Path) -> Toolkit:
    """A toolkit of torch's CUDA version. workplace: where a CUDA_HOME is laid out when the compiler comes in packages.

    Raises UserError when there is none.
    """
    packages = _package_folder("bin/nvcc")
    if packages is not None:
        return Toolkit(_lay_out(packages, workplace))
    headers = _package_folder("include/cusparse.h")
    for home in _system_homes():
        if (home / "bin" / "nvcc").is_file() and _major(home / "bin" / "nvcc") == _wanted():
            has_own = (home / "include" / "cusparse.h").is_file()
            return Toolkit(home, None if has_own or headers is None else headers / "include")
    raise UserError("missing_dependency", f"There is no nvcc for CUDA {torch.version.cuda} here.", SETUP)


def _wanted() -> str:
    return (torch.version.cuda or "").split(".")[0]


def _package_folder(file: str) -> Path | None:
    """NVIDIA's Python packages all unpack into one folder of site-packages."""
    folders = (Path(entry or ".") / "nvidia" / f"cu{_wanted()}" for entry in sys.path)
    return next((folder for folder in folders if (folder / file).is_file()), None)


def _system_homes() -> list[Path]:
    named = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    found = shutil.which("nvcc")
    homes = [Path(named)] if named else []
    if found:
        homes.append(Path(found).resolve().parent.parent)
    return [*homes, Path(f"/usr/local/cuda-{torch.version.cuda}"), Path("/usr/local/cuda")]


def _major(nvcc: Path) -> str | None:
    done = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=False)
    release = re.search(r"release (\d+)\.", done.stdout)
    return release.group(1) if release else None


def _lay_out(packages: Path, home: Path) -> Path:
    """A CUDA_HOME of links. The packages hold libcudart.so.13 only, and the linker asks for libcudart.so."""
    shutil.rmtree(home, ignore_errors=True)
    (home / "lib64").mkdir(parents=True)
    for part in ("bin", "include", "nvvm"):
        (home / part).symlink_to(packages / part)
    for library in (packages / "lib").iterdir():
        (home / "lib64" / library.name).symlink_to(library)
    runtime = next((packages / "lib").glob("libcudart.so.*"), None)
    if runtime is None:
        raise UserError("missing_dependency", f"'{packages / 'lib'}' holds no libcudart.so.", SETUP)
    (home / "lib64" / "libcudart.so").symlink_to(runtime)
    return home
