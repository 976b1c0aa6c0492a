"""The zips: installed, enabled twice, disabled, kept over a file, updated."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import pytest
from conftest import NAME, REPOSITORY, properties_of_types, zip_for

REGISTRABLE = (
    bpy.types.Panel,
    bpy.types.Operator,
    bpy.types.PropertyGroup,
    bpy.types.AddonPreferences,
    bpy.types.Menu,
    bpy.types.UIList,
    bpy.types.RenderEngine,
)


def registered(timers: Any) -> list[str]:
    """Everything that the extension has hung into Blender, each as often as it hangs there."""
    classes = [
        kind.__qualname__
        for base in REGISTRABLE
        for kind in base.__subclasses__()
        if kind.__module__.startswith(NAME) and kind.is_registered
    ]
    handlers = [
        f"{event}:{handler.__module__}.{handler.__qualname__}"
        for event in dir(bpy.app.handlers)
        if isinstance(getattr(bpy.app.handlers, event), list)
        for handler in getattr(bpy.app.handlers, event)
        if (handler.__module__ or "").startswith(NAME)
    ]
    waiting = [timer.__qualname__ for timer in timers.waiting if timer.__module__.startswith(NAME)]
    return sorted([*classes, *handlers, *waiting])


def in_a_blender_of_its_own(home: Path, *zips: Path) -> list[dict[str, Any]]:
    command = [sys.executable, Path(__file__).parent / "install_process.py", *zips]
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    words = [str(part) for part in command]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (told,) = (line for line in done.stdout.splitlines() if line.startswith("TOLD "))
    return json.loads(told.removeprefix("TOLD "))


def test_the_packages_come_out_of_the_zip(extension: ModuleType, installed: dict[str, Any]) -> None:
    import msgspec
    import zmq

    for package in (msgspec, zmq):
        assert ".local" in Path(package.__file__ or "").parts
        assert Path(package.__file__ or "").is_relative_to(os.environ["BLENDER_USER_RESOURCES"])
    context = zmq.Context()
    one, other = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    other.connect(f"tcp://127.0.0.1:{one.bind_to_random_port('tcp://127.0.0.1')}")
    other.send(b"hello")
    assert one.poll(5000) and one.recv() == b"hello"
    context.destroy(linger=0)


def test_the_backend_s_own_package_came_along(room: Callable[[str], ModuleType]) -> None:
    """From it the extension makes the environment of its backend."""
    life = room("host.backend_life")
    wheel = Path(life.packed_wheel())
    assert wheel.name == f"splatwright-{life.version()}-py3-none-any.whl"
    assert "backend/__main__.py" in zipfile.ZipFile(wheel).namelist()


def test_the_protocol_is_a_package_of_the_extension(room: Callable[[str], ModuleType]) -> None:
    messages = room("protocol").messages
    assert messages.Hello.__module__.startswith(f"{NAME}.shared_protocol.")
    assert not any(name.partition(".")[0] == "shared_protocol" for name in sys.modules)


def test_nothing_is_added_to_python_s_path_but_blender_s_own_folder(
    extension: ModuleType, installed: dict[str, Any]
) -> None:
    added = [place for place in sys.path if place not in installed["path"]]
    home = os.environ["BLENDER_USER_RESOURCES"]
    assert [Path(place).relative_to(home).parts[:2] for place in added] == [("extensions", ".local")]


def test_enabling_twice_is_enabling_once(extension: ModuleType, timers: Any) -> None:
    once = registered(timers)
    assert once and len(once) == len(set(once))
    bpy.ops.preferences.addon_enable(module=NAME)
    assert registered(timers) == once


def test_disabling_takes_everything_back_and_enabling_brings_it_again(
    extension: ModuleType, timers: Any, installed: dict[str, Any]
) -> None:
    enabled = registered(timers)
    bpy.ops.preferences.addon_disable(module=NAME)
    assert registered(timers) == []
    assert properties_of_types() == installed["properties"]
    bpy.ops.preferences.addon_enable(module=NAME)
    assert registered(timers) == enabled


def test_another_file_leaves_the_extension_as_it_is(extension: ModuleType, timers: Any, tmp_path: Path) -> None:
    before = registered(timers)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    assert registered(timers) == before
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert registered(timers) == before
    timers.run_for(0.5)


def test_every_panel_can_be_drawn_without_a_backend(extension: ModuleType, no_backend: Any, draw: Any) -> None:
    from recording_layout import panels

    drawn = {panel.__name__: draw(panel) for panel in panels(NAME)}
    assert any(layout is not None and layout.calls for layout in drawn.values())


def test_an_update_brings_the_new_message(zip_file: Path, tmp_path: Path) -> None:
    """Blender forgets the old modules, and the protocol inside the extension is the one of the new zip."""
    newer = rebuilt(tmp_path / "repository")
    before, after = in_a_blender_of_its_own(tmp_path / "blender", zip_file, newer)
    assert before["enabled"] and after["enabled"]
    assert "favourite_colour" not in before["hello"] and "favourite_colour" in after["hello"]
    assert after["from"].startswith(f"{NAME}.shared_protocol.")


def rebuilt(repository: Path) -> Path:
    """The zip of a repository in which one message has one more field."""
    for name in ("blender_addon", "shared_protocol", "backend", "building", "requirements"):
        shutil.copytree(REPOSITORY / name, repository / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("build.py", "LICENSE", "README.md"):
        shutil.copy(REPOSITORY / name, repository)
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    changed = re.sub(r'^version = "(\d+)', lambda found: f'version = "{int(found[1]) + 1}', project, flags=re.MULTILINE)
    (repository / "pyproject.toml").write_text(changed, encoding="utf-8")
    (repository / ".venv").symlink_to(REPOSITORY / ".venv")  # whose setuptools packs the backend
    (repository / ".blender").mkdir()
    shutil.copytree(REPOSITORY / ".blender" / "wheels", repository / ".blender" / "wheels")
    (written,) = (path for path in (repository / "shared_protocol").glob("*.py") if "class Hello(" in path.read_text())
    added = '    favourite_colour: str = "green"\n'
    text = re.sub(r"class Hello\((.*)\):\n", rf"class Hello(\1, kw_only=True):\n{added}", written.read_text())
    written.write_text(text)
    subprocess.run([sys.executable, "build.py", "extension"], cwd=repository, check=True)
    zips = {path.name: path for path in (repository / "dist").glob("*.zip")}
    return zips[re.sub(r"-\d+", lambda found: f"-{int(found[0][1:]) + 1}", zip_for(bpy.app.version).name, count=1)]


def test_enabling_brings_no_zmq_along(zip_file: Path, tmp_path: Path) -> None:
    """Blender starts quickly for those who do not use the extension today."""
    (told,) = in_a_blender_of_its_own(tmp_path / "blender", zip_file)
    assert told["enabled"] and not told["zmq"]


def test_the_zip_for_another_blender_is_refused(zip_file: Path, tmp_path: Path) -> None:
    other = zip_for((4, 5) if bpy.app.version >= (5, 1) else (5, 1))
    assert other != zip_file
    (told,) = in_a_blender_of_its_own(tmp_path / "blender", other)
    assert not told["enabled"]


@pytest.fixture
def old_zmq(extension: ModuleType, installed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """An older zmq was loaded by another extension before ours is enabled."""
    bpy.ops.preferences.addon_disable(module=NAME)
    old = ModuleType("zmq")
    old.__version__, old.__file__ = "25.1.2", "/somewhere/site-packages/zmq/__init__.py"
    monkeypatch.setitem(sys.modules, "zmq", old)
    other = installed["folder"].parent / "tracker"
    other.mkdir()
    manifest = 'name = "Tracker"\nwheels = ["./wheels/pyzmq-25.1.2-cp311-cp311-win_amd64.whl"]\n'
    (other / "blender_manifest.toml").write_text(manifest)
    bpy.ops.preferences.addon_enable(module=NAME)
    yield
    bpy.ops.preferences.addon_disable(module=NAME)
    shutil.rmtree(other)
    monkeypatch.undo()
    bpy.ops.preferences.addon_enable(module=NAME)


def test_a_package_that_is_too_old_is_said_in_the_panel(old_zmq: None, draw: Any, timers: Any) -> None:
    assert registered(timers) == ["WheelPanel", "WheelPreferences"]
    said = " ".join(draw("SPLATWRIGHT_PT_wheels").texts)
    assert said == (
        "Splatwright needs pyzmq 27.0 or newer, and Blender has 25.1.2, which the extension 'Tracker' brings along: "
        "update 'Tracker', then start Blender again."
    )
