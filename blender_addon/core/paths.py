"""Where things lie on Linux, Windows and macOS. Pure: the system, its variables and the home folder are given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Literal

import msgspec

System = Literal["linux", "win32", "darwin"]
HOME_VARIABLE = "SPLATWRIGHT_HOME"  # everything of ours in one folder
COMMAND_VARIABLE = "SPLATWRIGHT_COMMAND"  # the backend's command, such as that of a checkout
PYTHONS = ("3.11", "3.12", "3.13")  # that the backend runs in; the first is what it is tested with most


class Places(msgspec.Struct, frozen=True):
    """environment: the private environment's folder. state: of the connection file and the log."""

    environment: PurePath
    python: PurePath
    marker: PurePath  # written when the environment is whole
    lock: PurePath  # held while the environment is made
    state: PurePath
    log: PurePath


def system_of(platform: str) -> System:
    """platform: sys.platform. Every other Unix is laid out as Linux."""
    return "win32" if platform == "win32" else "darwin" if platform == "darwin" else "linux"


def places(system: System, variables: Mapping[str, str], home: PurePath) -> Places:
    """The same state folder as `shared_protocol.connection.user_folder`."""
    data, state = _folders(system, variables, home)
    environment = data / "environment"
    return Places(
        environment=environment,
        python=environment / "Scripts" / "python.exe" if system == "win32" else environment / "bin" / "python",
        marker=environment / "splatwright.json",
        lock=data / "environment.lock",
        state=state,
        log=state / "backend.log",
    )


def _folders(system: System, variables: Mapping[str, str], home: PurePath) -> tuple[PurePath, PurePath]:
    path = PureWindowsPath if system == "win32" else PurePosixPath
    chosen = variables.get(HOME_VARIABLE)
    if chosen:
        return path(chosen), path(chosen)
    if system == "win32":
        local = path(variables.get("LOCALAPPDATA") or path(home, "AppData", "Local"), "splatwright")
        return local, local
    if system == "darwin":
        support = path(home, "Library", "Application Support", "splatwright")
        return support, support
    data = path(variables.get("XDG_DATA_HOME") or path(home, ".local", "share"), "splatwright")
    return data, path(variables.get("XDG_STATE_HOME") or path(home, ".local", "state"), "splatwright")


def python_names(system: System) -> tuple[str, ...]:
    """Commands to look for along PATH, best first."""
    if system == "win32":
        return ()  # what is called python there is often only a door to the shop
    return (*(f"python{version}" for version in PYTHONS), "python3")


def python_patterns(system: System, variables: Mapping[str, str], home: PurePath) -> tuple[str, ...]:
    """Glob patterns of Pythons outside PATH: a Blender that was started by a click knows little of it."""
    if system == "win32":
        local = variables.get("LOCALAPPDATA") or str(PureWindowsPath(home, "AppData", "Local"))
        roots = [PureWindowsPath(local, "Programs", "Python")]
        roots += [
            PureWindowsPath(folder) for name in ("ProgramFiles", "ProgramW6432") if (folder := variables.get(name))
        ]
        patterns = [root / f"Python{version.replace('.', '')}" / "python.exe" for version in PYTHONS for root in roots]
        roaming = variables.get("APPDATA") or str(PureWindowsPath(home, "AppData", "Roaming"))
        uv = [PureWindowsPath(roaming, "uv", "python", f"cpython-{version}.*", "python.exe") for version in PYTHONS]
        return tuple(map(str, (*patterns, *uv)))
    folders: list[PurePath] = [PurePosixPath("/usr/bin"), PurePosixPath("/usr/local/bin")]
    if system == "darwin":
        frameworks = PurePosixPath("/Library/Frameworks/Python.framework/Versions")
        folders = [PurePosixPath("/opt/homebrew/bin"), *folders, *(frameworks / v / "bin" for v in PYTHONS)]
    patterns = [folder / f"python{version}" for version in PYTHONS for folder in folders]
    for version in PYTHONS:
        patterns.append(PurePosixPath(home, ".pyenv", "versions", f"{version}.*", "bin", f"python{version}"))
        uv_folder = PurePosixPath(home, ".local", "share", "uv", "python")
        patterns.append(PurePosixPath(uv_folder, f"cpython-{version}.*", "bin", f"python{version}"))
    return tuple(map(str, patterns))


def python_advice(system: System) -> str:
    """How to get a Python that can be used."""
    wanted = PYTHONS[0]
    return {
        "linux": f"Install one (Debian, Ubuntu: sudo apt-get install -y python{wanted} python{wanted}-venv).",
        "darwin": f"Install Python {wanted} from python.org, or by: brew install python@{wanted}",
        "win32": f"Install Python {wanted} from python.org.",
    }[system]
