"""The extension as an artist installs it, inside Blender as a Python module.

Nothing of ours is imported from the repository: what tests see of the extension came out of the zip.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
NAME = "bl_ext.user_default.splatwright"
HAS_BLENDER = importlib.util.find_spec("bpy") is not None

if not HAS_BLENDER:
    collect_ignore_glob = ["test_*.py"]  # `build.py test-blender` runs them where Blender is
else:
    # Before Blender looks for them: its own settings, and our backends, are none of the user's.
    _HOME = tempfile.TemporaryDirectory(prefix="splatwright-test-")
    os.environ["BLENDER_USER_RESOURCES"] = str(Path(_HOME.name, "blender"))
    os.environ["SPLATWRIGHT_HOME"] = str(Path(_HOME.name, "splatwright"))


def zip_for(version: tuple[int, ...]) -> Path:
    """The zip that is for this Blender, of those that SPLATWRIGHT_ZIPS names, or of dist."""
    named = [Path(path) for path in os.environ.get("SPLATWRIGHT_ZIPS", "").split(os.pathsep) if path]
    zips = named or sorted((REPOSITORY / "dist").glob("splatwright-*-blender*.zip"))
    suffix = "-blender5.1.zip" if version >= (5, 1) else "-blender4.5.zip"
    found = [path for path in zips if path.name.endswith(suffix)]
    assert found, f"no zip for Blender {version}: python3 build.py extension makes it"
    return found[-1]


@pytest.fixture(scope="session")
def zip_file() -> Path:
    import bpy

    return zip_for(bpy.app.version)


@pytest.fixture(scope="session")
def timers() -> Any:
    """Stands for Blender's timers: run_until(condition), run_for(seconds)."""
    from timer_pump import TimerPump

    pump = TimerPump()
    pump.take_over()
    return pump


@pytest.fixture(scope="session")
def installed(zip_file: Path, timers: Any) -> Iterator[dict[str, Any]]:
    """What Blender was like before the extension was there, and where it is now."""
    import bpy

    for name in ("blender_addon", "shared_protocol", "backend", "zmq", "msgspec"):
        assert importlib.util.find_spec(name) is None, f"{name} must come out of the zip, and is there before it"
    before = {"path": list(sys.path), "properties": properties_of_types()}
    bpy.ops.extensions.package_install_files(filepath=str(zip_file), repo="user_default", enable_on_install=True)
    # The operator says that it is finished also when it is not.
    assert NAME in bpy.context.preferences.addons and NAME in sys.modules, "Blender did not install or enable it"
    folder = Path(sys.modules[NAME].__file__ or "").parent
    written = written_in(folder)
    yield {**before, "folder": folder}
    assert written_in(folder) == written, "the extension's own folder was written in"


@pytest.fixture
def extension(installed: dict[str, Any]) -> ModuleType:
    """The enabled extension's module; a test that disabled it finds it enabled again."""
    import bpy

    if NAME not in bpy.context.preferences.addons:
        bpy.ops.preferences.addon_enable(module=NAME)
    return sys.modules[NAME]


@pytest.fixture
def room(extension: ModuleType) -> Callable[[str], ModuleType]:
    """room("core.session") is that module of the installed extension."""
    return lambda name: importlib.import_module(f"{NAME}.{name}")


@pytest.fixture
def empty_file(extension: ModuleType) -> None:
    """A new .blend file with nothing in it."""
    import bpy

    bpy.ops.wm.read_homefile(use_empty=True)


@pytest.fixture(scope="session")
def served_backend() -> Iterator[Any]:
    from served_backend import ServedBackend

    default = REPOSITORY / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    python = Path(os.environ.get("SPLATWRIGHT_PYTHON", default))
    if not python.exists():
        pytest.skip(f"the backend is not installed ({python}): python3 build.py setup")
    served = ServedBackend(python, Path(os.environ["SPLATWRIGHT_HOME"]))
    yield served
    served.stop()


@pytest.fixture
def backend(served_backend: Any) -> Any:
    """A running one, found by its connection file in SPLATWRIGHT_HOME: .home, .workspace, .log, .stop(), .start()."""
    served_backend.start()
    return served_backend


@pytest.fixture
def connected(backend: Any, room: Callable[[str], ModuleType], empty_file: None) -> Iterator[ModuleType]:
    """host.current of the extension, connected to a real backend, in an empty file."""
    import bpy

    bpy.ops.splatwright.backend_connect(connection_file=str(backend.connection_file))
    yield room("host.current")
    if bpy.ops.splatwright.backend_stop.poll():  # not where the test has ended the backend
        bpy.ops.splatwright.backend_stop()


@pytest.fixture
def listen(room: Callable[[str], ModuleType]) -> Iterator[Callable[[Callable[[Any], None]], None]]:
    """listen(callback): callback(event) is called for every event, until the test ends."""
    current, callbacks = room("host.current"), list[Callable[[Any], None]]()

    def listen(callback: Callable[[Any], None]) -> None:
        callbacks.append(callback)
        current.listen(callback)

    yield listen
    for callback in callbacks:
        current.unlisten(callback)


@pytest.fixture
def no_backend(served_backend: Any) -> Any:
    """There is none, until .start()."""
    served_backend.stop()
    return served_backend


@pytest.fixture
def addon(room: Callable[[str], ModuleType], no_backend: Any) -> Iterator[Any]:
    """An extension_rooms.Extension without a backend, as after it was installed."""
    from extension_rooms import Extension

    addon = Extension(room)
    addon.rest()
    yield addon
    addon.rest()


@pytest.fixture
def command(served_backend: Any) -> str:
    """`splatwright` of the checkout's environment, as a developer would name it."""
    return str(served_backend.python.with_name("splatwright.exe" if os.name == "nt" else "splatwright"))


@pytest.fixture
def window(addon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were one: operators return at once, and timers go on."""
    monkeypatch.setattr(addon.current, "is_interactive", lambda: True)


@pytest.fixture
def recording_layout() -> Any:
    """A layout that records what is drawn on it."""
    from recording_layout import RecordingLayout

    return RecordingLayout()


@pytest.fixture
def draw(extension: ModuleType) -> Callable[..., Any]:
    """draw(panel) gives the recording layout, None when it is hidden. panel: a class, or its name in bpy.types."""
    import bpy
    from recording_layout import draw as draw_panel

    return lambda panel, context=None: draw_panel(
        getattr(bpy.types, panel) if isinstance(panel, str) else panel, context
    )


def written_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file with its size and time of change."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts  # Python's own, when it is run without -B
    }


def properties_of_types() -> dict[str, set[str]]:
    """The properties of everything that an extension might hang its own on."""
    import bpy

    owners = (bpy.types.Scene, bpy.types.Object, bpy.types.WindowManager, bpy.types.Image, bpy.types.Mesh)
    return {owner.__name__: set(owner.bl_rna.properties.keys()) for owner in owners}


@pytest.fixture(autouse=True)
def no_failure_of_an_earlier_test() -> Iterator[None]:
    """The panel shows the last one until somebody has read it."""
    yield
    import bpy

    if NAME in bpy.context.preferences.addons:
        dismissed = importlib.import_module(f"{NAME}.core.events").Dismissed()
        importlib.import_module(f"{NAME}.host.current").dispatch(dismissed)


@pytest.fixture(autouse=True)
def nothing_of_ours_from_the_repository() -> Iterator[None]:
    yield
    ours = [REPOSITORY / name for name in ("backend", "blender_addon", "shared_protocol", "building", "benchmarks")]
    for name, module in list(sys.modules.items()):
        place = getattr(module, "__file__", None)
        assert not (place and any(Path(place).is_relative_to(folder) for folder in ours)), f"{name} is {place}"
