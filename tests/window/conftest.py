"""A real Blender window with the built zip; `build.py test-window` runs these tests and names the zips.

Pictures of the screen are kept in build/window/, to be looked at: no assertion says whether a panel is good to read.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.captures.made_capture import make_capture
from building import window as rigs

from .blender_window import NAME, BlenderWindow

REPOSITORY = Path(__file__).resolve().parents[2]

if "SPLATWRIGHT_WINDOW" not in os.environ:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def zip_file() -> Path:
    zips = [Path(path) for path in os.environ["SPLATWRIGHT_ZIPS"].split(os.pathsep)]
    return next(path for path in zips if path.name.endswith("-blender5.1.zip"))


@pytest.fixture(scope="module")
def opened(zip_file: Path, request: pytest.FixtureRequest) -> Iterator[BlenderWindow]:
    """A window on Blender's usual first scene without the cube; its backend, if any, ends with it."""
    pictures = REPOSITORY / "build" / "window" / request.module.__name__.rpartition(".")[2].removeprefix("test_")
    shutil.rmtree(pictures, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="splatwright-window-") as folder:
        window = BlenderWindow(rigs.find(), zip_file, Path(folder), pictures)
        window.install()
        try:
            window.open()
            drawn_by = window.ask("__import__('gpu').platform.backend_type_get()")
            assert drawn_by.lower() == window.rig.graphics, f"Blender draws by {drawn_by}"
            choose = "p = bpy.context.preferences.addons[name].preferences; p.device, p.at_end = 'cpu', 'checkpoint'"
            window.run(choose, name=NAME)
            window.run("bpy.data.objects.remove(bpy.data.objects['Cube'])")
            window.open_sidebar()
            yield window
        finally:
            window.close()
            end_backend(window.home)


def end_backend(home: Path) -> None:
    """Without its parent nobody starts it again; its child ends by itself."""
    with contextlib.suppress(OSError, ValueError):
        os.kill(json.loads((home / "backend.json").read_text(encoding="utf-8"))["process"], signal.SIGTERM)


@pytest.fixture(scope="module")
def capture(opened: BlenderWindow) -> Path:
    """Photos that were made, without a sky, where both Blender and the backend see them."""
    return make_capture(opened.folder / "photos", views=30, width=360, height=240, points=2000, transparent=True)


@pytest.fixture(scope="module")
def train(opened: BlenderWindow, capture: Path) -> Callable[[int], None]:
    """train(steps): the backend is started and the training begun, both by the buttons."""

    def begin(steps: int) -> None:
        if not opened.session("session.is_connected"):
            opened.push(".backend_start(")
            opened.wait_for_session("session.is_connected")
        choose = "s = bpy.context.scene.splatwright; s.capture_path, s.quality, s.steps = folder, 'draft', steps"
        opened.run(choose, folder=str(capture), steps=steps)
        opened.push(".start_training(")
        opened.wait_for_session("session.active_job is not None")

    return begin
