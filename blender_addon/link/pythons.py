"""Finds a Python on this machine that can make the private environment, and says what to install otherwise."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from ..core.paths import PYTHONS, python_advice, python_names, python_patterns, system_of
from ..protocol import errors
from .commands import clean_variables, quiet_flags

_PROBE_S = 10.0
_PROBE = """
import importlib.util, json, os, struct, sys, sysconfig
find = importlib.util.find_spec
print(json.dumps({
    "path": getattr(sys, "_base_executable", None) or sys.executable,
    "version": list(sys.version_info[:3]),
    "bits": 8 * struct.calcsize("P"),
    "can_make_environments": bool(find("venv") and find("ensurepip")),
    "has_headers": os.path.isfile(os.path.join(sysconfig.get_path("include"), "Python.h")),
    "is_blenders": bool(find("bpy")),
}))
"""


class FoundPython(msgspec.Struct, frozen=True):
    """path: of the Python itself, where it was found through a shim or in an environment.

    has_headers: C code can be compiled for it, which gsplat's kernels need.
    """

    path: str
    version: tuple[int, int, int]
    bits: int
    can_make_environments: bool
    has_headers: bool
    is_blenders: bool

    @property
    def short_version(self) -> str:
        return f"{self.version[0]}.{self.version[1]}"

    @property
    def flaw(self) -> str:
        """One sentence, or ""."""
        if self.is_blenders:
            return f"'{self.path}' is Blender's own Python, in which nothing is installed."
        if self.short_version not in PYTHONS:
            return f"'{self.path}' is Python {self.short_version}; the backend needs {PYTHONS[0]} to {PYTHONS[-1]}."
        if self.bits != 64:
            return f"'{self.path}' is a {self.bits} bit Python; the backend needs 64 bits."
        if not self.can_make_environments:
            return f"'{self.path}' cannot make environments: venv or ensurepip is missing."
        return ""


def find_python(
    wanted: str = "",
    *,
    avoid: Sequence[Path] = (),
    variables: Mapping[str, str] | None = None,
    home: Path | None = None,
) -> FoundPython:
    """wanted: a path that the user gave; "" = the best there is. avoid: folders of Blender's own Python.

    Takes a second or so, because Pythons are asked. Raises UserError that says what to install.
    """
    variables = os.environ if variables is None else variables
    system = system_of(sys.platform)
    if wanted:
        found = probe(Path(wanted), avoid)
        if found is None:
            raise errors.UserError("not_found", f"'{wanted}' is no Python that runs.", "Choose python itself.")
        if found.flaw:
            raise errors.UserError("unsupported", found.flaw, _advice(found))
        return found
    flawed: list[FoundPython] = []
    usable: list[FoundPython] = []
    for path in _candidates(variables, home or Path.home()):
        found = probe(path, avoid)
        if found is None:
            continue
        if not found.flaw and found.has_headers:
            return found
        (flawed if found.flaw else usable).append(found)
    if usable:
        return usable[0]
    nearest = next((python for python in flawed if python.short_version in PYTHONS and not python.is_blenders), None)
    if nearest is not None:
        raise errors.UserError("missing_dependency", nearest.flaw, _advice(nearest))
    message = f"No Python {PYTHONS[0]} to {PYTHONS[-1]} was found on this computer."
    raise errors.UserError("missing_dependency", message, python_advice(system))


def probe(path: Path, avoid: Sequence[Path] = ()) -> FoundPython | None:
    """What this Python can do; None when it does not run."""
    try:
        told = subprocess.run(
            [str(path), "-I", "-c", _PROBE],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_PROBE_S,
            check=True,
            env=clean_variables(),
            creationflags=quiet_flags(),
        )
        found = msgspec.json.decode(told.stdout, type=FoundPython)
    except (OSError, msgspec.MsgspecError, subprocess.SubprocessError):
        return None
    is_blenders = found.is_blenders or any(path.resolve().is_relative_to(folder.resolve()) for folder in avoid)
    return msgspec.structs.replace(found, is_blenders=is_blenders)


def _candidates(variables: Mapping[str, str], home: Path) -> Iterator[Path]:
    system = system_of(sys.platform)
    seen: set[Path] = set()
    names = (shutil.which(name, path=variables.get("PATH", "")) for name in python_names(system))
    globbed = (path for pattern in python_patterns(system, variables, home) for path in sorted(glob.glob(pattern)))
    for text in (*filter(None, names), *globbed):
        path = Path(text)
        if path.resolve() not in seen:
            seen.add(path.resolve())
            yield path


def _advice(python: FoundPython) -> str:
    if not python.can_make_environments and sys.platform == "linux" and python.short_version in PYTHONS:
        return f"Debian, Ubuntu: sudo apt-get install -y python{python.short_version}-venv"
    return python_advice(system_of(sys.platform))
