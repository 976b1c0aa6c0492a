"""A capture on its way to a backend on another machine: seen, stopped at once, and taken up again where it was."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
LARGE = 400_000_000  # bytes: more than goes over while a test looks
Room = Callable[[str], ModuleType]


@pytest.fixture
def remote(served_backend: Any, room: Room, empty_file: None, tmp_path: Path) -> Iterator[ModuleType]:
    """host.current, connected with a key to a backend with a home of its own."""
    variables = {**os.environ, "SPLATWRIGHT_HOME": str(tmp_path / "elsewhere")}
    splatwright = [str(served_backend.python), "-m", "backend"]
    key = tmp_path / "laptop.key"
    subprocess.run([*splatwright, "keys", "make", "laptop", "-o", str(key)], cwd=REPOSITORY, env=variables, check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--address", f"0.0.0.0:{port}", "--device", "cpu", "--owned", "--workspace", str(tmp_path / "work")]
    process = subprocess.Popen([*splatwright, "serve", *options], cwd=REPOSITORY, env=variables, stdin=subprocess.PIPE)
    online = bpy.context.preferences.system.use_online_access
    bpy.context.preferences.system.use_online_access = True
    try:
        bpy.ops.splatwright.backend_connect(address=f"127.0.0.1:{port}", key_file=str(key), timeout=120)
        yield room("host.current")
        bpy.ops.splatwright.backend_stop()
    finally:
        bpy.context.preferences.system.use_online_access = online
        process.communicate(b"end\n", timeout=60)


@pytest.fixture
def capture(served_backend: Any, tmp_path: Path) -> Path:
    """Small made photos, beside something large."""
    folder = tmp_path / "shapes"
    make = "import sys, pathlib; from backend.captures import make_capture; "
    make += "make_capture(pathlib.Path(sys.argv[1]), views=10, width=64, height=48, points=400)"
    subprocess.run([str(served_backend.python), "-c", make, str(folder)], cwd=REPOSITORY, check=True)
    with (folder / "large.bin").open("wb") as stream:
        stream.truncate(LARGE)
    return folder


def test_a_capture_is_stopped_at_once_and_goes_on_where_it_was(
    remote: ModuleType,
    capture: Path,
    room: Room,
    draw: Callable[..., Any],
    listen: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uploads, went = room("ui.uploads"), room("core.events").UploadWent
    told: list[Any] = []
    listen(lambda event: told.append(event) if isinstance(event, went) else None)
    monkeypatch.setattr(remote, "is_interactive", lambda: True)  # there is a window, and we are the tick

    def start() -> None:
        arguments = {"quality": "draft", "steps": 5, "max_splats": 300, "resolution": 64, "masks": "off"}
        assert bpy.ops.splatwright.start_training(capture=str(capture), name="shapes", **arguments) == {"FINISHED"}

    start()
    assert remote.wait_until(lambda: bool(told) and told[-1].done > 1_000_000, 120)
    (number,) = remote.session().uploads
    layout = draw("SPLATWRIGHT_PT_backend")
    assert any(" MB of 400." in text for text in layout.texts)
    stopped = time.monotonic()
    assert bpy.ops.splatwright.stop_upload(upload=number) == {"FINISHED"}
    assert not remote.session().uploads, "the panel goes on showing it"
    assert remote.wait_until(lambda: not uploads._stops, 30)
    assert time.monotonic() - stopped < 0.5 or os.getloadavg()[0] > (os.cpu_count() or 1)
    assert remote.session().failure is None and not remote.session().jobs and not bpy.data.objects
    assert not remote.wait_until(lambda: bool(remote.session().uploads), 0.5)
    arrived = told[-1].done
    assert 0 < arrived < LARGE

    told.clear()
    start()
    assert remote.wait_until(lambda: len(bpy.data.objects) == 1, 300)
    assert min(event.done for event in told if event.done > 1_000_000) >= arrived, "what was there was sent again"
    assert told[-1].done == told[-1].all > LARGE and not remote.session().uploads
    job = bpy.context.window_manager.splatwright.job
    assert remote.wait_until(lambda: remote.session().jobs[job].is_over, 120)
    assert remote.session().jobs[job].state.status == "finished"


def test_a_script_sees_in_its_console_how_far_it_is(
    remote: ModuleType, capture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (capture / "large.bin").unlink()
    arguments = {"quality": "draft", "steps": 5, "max_splats": 300, "resolution": 64, "wait": True}
    assert bpy.ops.splatwright.start_training(capture=str(capture), name="shapes", **arguments) == {"FINISHED"}
    said = capsys.readouterr().out
    assert "shapes: There are no masks" in said and not remote.session().uploads
