"""From the sidebar's point of view: the backend is installed, checked, repaired and removed."""

from __future__ import annotations

import os
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import bpy
import pytest
from extension_rooms import Extension

OPERATORS: Any = bpy.ops.splatwright


@pytest.fixture
def small_wheel(tmp_path: Path) -> str:
    """A package of the backend's name with all that an installation runs, and nothing that it needs."""
    wheel = tmp_path / "splatwright-9.9.9-py3-none-any.whl"
    info = "splatwright-9.9.9.dist-info"
    files = {
        "backend/__init__.py": "",
        "backend/__main__.py": "import os, sys\nprint('splatwright, version 9.9.9', *sys.argv[1:])\n"
        "sys.exit('Error: broken on purpose' if os.path.exists(os.path.join(sys.prefix, 'bad')) else 0)\n",
        "backend/jobs/__init__.py": "",
        "backend/jobs/warm_up.py": "print('warm')\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: splatwright\nVersion: 9.9.9\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return str(wheel)


@pytest.fixture
def python(served_backend: Any) -> str:
    """One that can make environments; which one a user's machine has is tested elsewhere."""
    return str(served_backend.python)


def test_nothing_is_downloaded_without_leave(addon: Extension, small_wheel: str, python: str) -> None:
    with pytest.raises(RuntimeError, match="nobody agreed"):
        OPERATORS.backend_install(wheel=small_wheel, python=python)
    with pytest.raises(RuntimeError, match="Blender may not go online"):
        OPERATORS.backend_install(wheel=small_wheel, python=python, consent=True)
    bpy.context.preferences.system.use_online_access = True  # type: ignore[union-attr]
    with pytest.raises(RuntimeError, match="There is no wheel"):
        OPERATORS.backend_install(wheel="/nowhere/splatwright.whl", python=python, consent=True)
    with pytest.raises(RuntimeError, match="is no Python that runs"):
        OPERATORS.backend_install(wheel=small_wheel, python="/nowhere/python", consent=True)
    with pytest.raises(RuntimeError, match="Blender's own"):
        OPERATORS.backend_install(wheel=small_wheel, python=sys.executable, consent=True)
    assert not Path(addon.life_of.places().environment).exists()


@pytest.mark.slow
def test_an_environment_is_made_checked_broken_repaired_and_removed(
    addon: Extension, small_wheel: str, python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addon.life_of, "version", lambda: "9.9.9")
    bpy.context.preferences.system.use_online_access = True  # type: ignore[union-attr]
    told: list[Any] = []
    addon.current.listen(told.append)
    arguments = {"wheel": small_wheel, "python": python, "device": "cpu", "consent": True}
    assert OPERATORS.backend_install(**arguments) == {"FINISHED"}
    addon.current.unlisten(told.append)
    fractions = [event.fraction for event in told if getattr(event, "fraction", None) is not None]
    assert fractions == sorted(fractions) and len(fractions) >= 5
    assert addon.state == "stopped" and addon.session.life.environment == "whole"
    places = addon.life_of.places()
    assert Path(places.environment).is_relative_to(os.environ["SPLATWRIGHT_HOME"])
    start = addon.life_of.serve_command(addon.preferences.settings())
    assert start[:4] == (str(places.python), "-m", "backend", "serve")
    assert OPERATORS.backend_verify() == {"FINISHED"}
    Path(places.environment, "bad").touch()
    with pytest.raises(RuntimeError, match="broken on purpose"):
        OPERATORS.backend_verify()
    assert addon.state == "broken" and "broken on purpose" in addon.session.failure.message
    assert addon.session.life.button.operator == "splatwright.backend_repair"
    assert OPERATORS.backend_repair(**arguments) == {"FINISHED"}
    assert addon.state == "stopped"
    assert OPERATORS.backend_remove() == {"FINISHED"}
    assert addon.state == "not_installed" and not Path(places.environment).exists()


@pytest.mark.slow
def test_an_installation_is_cancelled_at_once_and_found_broken(
    addon: Extension, window: None, timers: Any, small_wheel: str, python: str
) -> None:
    bpy.context.preferences.system.use_online_access = True  # type: ignore[union-attr]
    assert OPERATORS.backend_install(wheel=small_wheel, python=python, consent=True) == {"FINISHED"}
    environment = Path(addon.life_of.places().environment)
    timers.run_until(lambda: addon.state == "installing" and environment.exists())
    assert not OPERATORS.backend_install.poll() and not OPERATORS.backend_start.poll()
    started = time.monotonic()
    assert OPERATORS.backend_cancel_install() == {"FINISHED"}
    timers.run_until(lambda: addon.state != "installing", 5)
    assert time.monotonic() - started < 2.5  # 0.25 s between two ticks and little else, on a quiet machine
    assert addon.state == "broken" and "cancelled half-way" in addon.session.life.sentence
    assert addon.session.failure is None
