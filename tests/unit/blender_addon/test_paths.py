from __future__ import annotations

import os
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from blender_addon.core.paths import (
    PYTHONS,
    System,
    places,
    python_advice,
    python_names,
    python_patterns,
    system_of,
)
from shared_protocol.connection import user_folder

LINUX, MAC, WINDOWS = PurePosixPath("/home/ada"), PurePosixPath("/Users/ada"), PureWindowsPath(r"C:\Users\ada")


def test_linux_keeps_to_the_folders_of_the_desktop() -> None:
    found = places("linux", {}, LINUX)
    assert str(found.environment) == "/home/ada/.local/share/splatwright/environment"
    assert str(found.python) == "/home/ada/.local/share/splatwright/environment/bin/python"
    assert str(found.log) == "/home/ada/.local/state/splatwright/backend.log"
    chosen = places("linux", {"XDG_DATA_HOME": "/data", "XDG_STATE_HOME": "/state"}, LINUX)
    assert str(chosen.marker) == "/data/splatwright/environment/splatwright.json"
    assert str(chosen.lock) == "/data/splatwright/environment.lock" and str(chosen.state) == "/state/splatwright"


def test_windows_keeps_to_the_local_part_of_the_profile() -> None:
    found = places("win32", {"LOCALAPPDATA": r"D:\Local"}, WINDOWS)
    assert str(found.python) == r"D:\Local\splatwright\environment\Scripts\python.exe"
    assert str(found.log) == r"D:\Local\splatwright\backend.log"
    assert str(places("win32", {}, WINDOWS).state) == r"C:\Users\ada\AppData\Local\splatwright"


def test_macos_keeps_to_application_support() -> None:
    found = places("darwin", {}, MAC)
    assert str(found.python) == "/Users/ada/Library/Application Support/splatwright/environment/bin/python"
    assert str(found.log) == "/Users/ada/Library/Application Support/splatwright/backend.log"


@pytest.mark.parametrize(("system", "home"), [("linux", LINUX), ("darwin", MAC), ("win32", WINDOWS)])
def test_one_variable_moves_everything(system: System, home: PurePosixPath | PureWindowsPath) -> None:
    found = places(system, {"SPLATWRIGHT_HOME": str(home / "here"), "XDG_DATA_HOME": "/data"}, home)
    assert {found.environment.parent, found.state, found.lock.parent} == {home / "here"}


@pytest.mark.parametrize("chosen", ["", "/elsewhere"])
def test_the_state_folder_is_the_one_in_which_the_backend_notes_where_it_is(
    monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    monkeypatch.setenv("SPLATWRIGHT_HOME", chosen)
    assert Path(places(system_of(sys.platform), os.environ, Path.home()).state) == user_folder()


def test_every_other_unix_is_laid_out_as_linux() -> None:
    assert [system_of(name) for name in ("linux", "win32", "darwin", "freebsd14")] == [
        "linux",
        "win32",
        "darwin",
        "linux",
    ]


def test_pythons_are_looked_for_where_each_system_has_them() -> None:
    assert python_names("linux")[: len(PYTHONS)] == tuple(f"python{version}" for version in PYTHONS)
    assert "/usr/bin/python3.12" in python_patterns("linux", {}, LINUX)
    assert "/home/ada/.pyenv/versions/3.12.*/bin/python3.12" in python_patterns("linux", {}, LINUX)
    assert "/opt/homebrew/bin/python3.12" in python_patterns("darwin", {}, MAC)
    assert "/Library/Frameworks/Python.framework/Versions/3.13/bin/python3.13" in python_patterns("darwin", {}, MAC)
    on_windows = python_patterns("win32", {"ProgramFiles": r"C:\Program Files"}, WINDOWS)
    assert r"C:\Users\ada\AppData\Local\Programs\Python\Python312\python.exe" in on_windows
    assert r"C:\Program Files\Python313\python.exe" in on_windows


def test_on_windows_nothing_along_path_is_run_because_it_may_open_the_shop() -> None:
    assert python_names("win32") == ()
    assert not [pattern for pattern in python_patterns("win32", {}, WINDOWS) if "WindowsApps" in pattern]


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_what_to_install_is_said_in_one_sentence(system: System) -> None:
    assert f"{PYTHONS[0]}" in python_advice(system) and "nstall" in python_advice(system)
