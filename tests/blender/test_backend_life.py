"""From the sidebar's point of view: the backend is started, found, lost and stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import pytest
from extension_rooms import Extension, program
from made_splats import write_ball

REPOSITORY = Path(__file__).resolve().parents[2]
OPERATORS: Any = bpy.ops.splatwright


def test_nothing_is_there_and_the_panel_offers_to_install_it(addon: Extension) -> None:
    life = addon.session.life
    assert (life.state, life.button.operator) == ("not_installed", "splatwright.backend_install")
    with pytest.raises(RuntimeError, match="not installed"):
        OPERATORS.backend_start()
    assert addon.session.failure.fix == "splatwright.backend_install"
    assert not OPERATORS.backend_stop.poll() and not OPERATORS.backend_cancel_install.poll()
    with pytest.raises(addon.errors.UserError, match="not installed"):
        addon.current.connect(5)


def test_the_backend_of_a_checkout_is_started_used_and_stopped(addon: Extension, command: str, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    assert OPERATORS.backend_start(command=command, workspace=str(workspace), device="cpu") == {"FINISHED"}
    session = addon.session
    assert session.life.state == "running" and session.life.owned and session.life.button.label == "Stop"
    assert session.is_listed and session.device == "cpu" and session.is_local
    assert {"training", "editing"} <= {method.category for method in session.catalog}
    write_ball(tmp_path / "ball.ply")
    link = addon.current.link()
    heard: list[Any] = []
    addon.current.listen(heard.append)
    imported: Future[Any] = ThreadPoolExecutor(1).submit(link.backend.import_file, tmp_path / "ball.ply", "ball")
    answers: list[Any] = []
    addon.current.when_done(imported, answers.append)
    assert addon.current.wait_until(lambda: bool(answers) and answers[0].asset in addon.session.assets, 30)
    assert addon.session.assets[answers[0].asset].name == "ball"
    assert any(getattr(getattr(event, "message", None), "asset", None) == answers[0] for event in heard)
    addon.current.unlisten(heard.append)
    assert workspace.is_dir()
    assert OPERATORS.backend_start() == {"FINISHED"} and addon.current.link() is link  # it runs already
    assert OPERATORS.backend_stop() == {"FINISHED"}
    assert addon.state == "not_installed" and addon.current.link() is None
    assert not Path(os.environ["SPLATWRIGHT_HOME"], "backend.json").exists(), "it has not ended by itself"


def test_a_developers_variable_names_the_command(
    addon: Extension, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLATWRIGHT_COMMAND", command)
    addon.life_of.survey()
    assert (addon.state, addon.session.life.button.operator) == ("stopped", "splatwright.backend_start")
    assert addon.life_of.serve_command(addon.preferences.settings())[:2] == (command, "serve")
    monkeypatch.setenv("SPLATWRIGHT_COMMAND", "/nowhere/splatwright")
    with pytest.raises(RuntimeError, match="'/nowhere/splatwright' does not exist"):
        OPERATORS.backend_start()


def test_what_the_preferences_say_is_what_is_started(addon: Extension, tmp_path: Path) -> None:
    told = tmp_path / "told.txt"
    addon.chosen.command = program(
        tmp_path / "splatwright", f"import sys; open({str(told)!r}, 'w').write(' '.join(sys.argv[1:]))"
    )
    addon.chosen.device, addon.chosen.at_end, addon.chosen.workspace = "cpu", "checkpoint", str(tmp_path / "work")
    with pytest.raises(RuntimeError):
        OPERATORS.backend_start(timeout=20)
    assert told.read_text() == f"serve --owned --at-end checkpoint --device cpu --workspace {tmp_path / 'work'}"


def test_a_second_blender_attaches_to_the_backend_that_runs(addon: Extension, backend: Any) -> None:
    before = addon.targets.token(backend.connection_file)
    assert OPERATORS.backend_start() == {"FINISHED"}  # although nothing is installed here
    life = addon.session.life
    assert life.state == "running" and not life.owned and life.button.label == "Disconnect"
    assert OPERATORS.backend_stop() == {"FINISHED"}
    assert backend.is_running and addon.targets.token(backend.connection_file) == before


def test_of_two_blenders_that_start_one_the_slower_attaches(
    addon: Extension, served_backend: Any, tmp_path: Path
) -> None:
    text = (
        "import os, time\n"
        f"while not os.path.exists({str(served_backend.connection_file)!r}): time.sleep(0.05)\n"
        "print('Another backend works here.'); raise SystemExit(1)"
    )
    addon.chosen.command = program(tmp_path / "splatwright", text)
    addon.life_of.start()
    assert addon.session.life.owned
    served_backend.start()
    assert addon.current.wait_until(lambda: addon.state == "running" and not addon.session.life.owned, 60)
    assert addon.session.life.button.label == "Disconnect"


def test_while_ours_is_being_started_again_no_second_one_is_started(
    addon: Extension, command: str, tmp_path: Path
) -> None:
    assert OPERATORS.backend_start(command=command, device="cpu") == {"FINISHED"}
    before = addon.life_of.last_lines()
    addon.current.dispatch(addon.events.LinkChanged("lost", "The connection to the backend was lost."))
    assert addon.state == "lost" and addon.session.life.button.operator == "splatwright.backend_stop"
    addon.life_of.start()
    addon.current.wait_until(lambda: False, 1)
    assert addon.life_of.last_lines() == before, "another log was begun"


def test_a_backend_that_dies_at_once_says_why(addon: Extension, tmp_path: Path) -> None:
    bad = program(
        tmp_path / "splatwright", "print('Loading.'); print('numpy is missing. Install it.'); raise SystemExit(1)"
    )
    with pytest.raises(RuntimeError, match="numpy is missing"):
        OPERATORS.backend_start(command=bad)
    assert addon.state == "failed" and addon.session.life.sentence == "numpy is missing. Install it."
    assert addon.life_of.last_lines() == ["Loading.", "numpy is missing. Install it."]
    assert OPERATORS.show_log() == {"FINISHED"} and OPERATORS.copy_report() == {"FINISHED"}


def test_a_backend_that_is_killed_is_told_from_one_that_was_stopped(addon: Extension, tmp_path: Path) -> None:
    slow = program(tmp_path / "splatwright", "import sys; print('Loading.', flush=True); sys.stdin.read()")
    addon.life_of.start(addon.preferences.settings().__class__(command=slow))
    assert addon.state == "starting" and addon.session.life.owned
    assert addon.current.wait_until(lambda: bool(addon.life_of.last_lines()), 30)
    addon.life_of.stop(20)
    addon.current.wait_until(lambda: False, 0.2)
    assert addon.state == "not_installed" and addon.session.failure is None


# ---- a job


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="the working process is found the Linux way")
def test_a_job_outlives_the_death_of_its_process_and_moves_the_version_once(
    addon: Extension, backend: Any, room: Callable[[str], ModuleType], empty_file: None, tmp_path: Path
) -> None:
    make = "import sys, pathlib; from backend.captures import make_capture; make_capture(pathlib.Path(sys.argv[1]))"
    capture = tmp_path / "capture"
    subprocess.run([str(backend.python), "-c", make, str(capture)], cwd=REPOSITORY, check=True)
    assert OPERATORS.backend_start() == {"FINISHED"}
    states: list[str] = []
    objects = room("host.objects")
    addon.current.listen(lambda _event: states.append(addon.state))
    job = addon.current.link().backend.train(capture, "made", quality="draft", steps=400).id

    def view() -> Any:
        return addon.session.jobs.get(job)

    assert addon.current.wait_until(lambda: view() is not None and len(view().curve.points) > 3, 120)
    assert addon.session.active_job is view() and addon.session.job_of_asset(view().state.asset) is view()
    shown = objects.create(bpy.context, addon.session.assets[view().state.asset])
    parent = addon.targets._read(backend.connection_file).process
    (child,) = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
    assert addon.current.wait_until(lambda: addon.state == "lost", 30)
    assert addon.current.wait_until(lambda: addon.session.is_listed and addon.state == "running", 60)
    assert "killed" in addon.session.restarted
    assert shown.splatwright.version == "" and objects.shown_version(shown) == ""
    assert addon.current.wait_until(lambda: view().is_over, 300)
    assert view().state.status == "finished" and view().state.resumed == 1, view().state
    steps = [point.step for point in view().curve.points]
    assert steps == sorted(set(steps)), "what the dead process had learned since its checkpoint still stands there"
    assert shown.splatwright.version == view().state.version != ""
    assert addon.session.assets[view().state.asset].job == ""
    assert states.count("lost") and addon.session.failure is None


# ---- connect


def test_a_running_backend_is_found_by_its_file(addon: Extension, backend: Any) -> None:
    assert OPERATORS.backend_connect(connection_file=str(backend.connection_file)) == {"FINISHED"}
    assert addon.state == "running" and addon.session.life.mode == "running"
    backend.stop()
    assert addon.current.wait_until(lambda: addon.state not in ("running", "busy", "lost"), 30)
    assert addon.current.open_link() is None, "it goes on knocking where nobody is"


def test_where_no_backend_runs_it_is_said(addon: Extension, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="No backend is running"):
        OPERATORS.backend_connect(connection_file=str(tmp_path / "backend.json"))
    assert addon.session.failure is not None


def test_other_machines_are_asked_only_when_blender_may_go_online(addon: Extension, tmp_path: Path) -> None:
    key = tmp_path / "laptop.key"
    with pytest.raises(RuntimeError, match="needs an address and a key file"):
        OPERATORS.backend_connect(address="127.0.0.1:7000")
    with pytest.raises(RuntimeError, match="Blender may not go online"):
        OPERATORS.backend_connect(address="127.0.0.1:7000", key_file=str(key))
    bpy.context.preferences.system.use_online_access = True  # type: ignore[union-attr]
    with pytest.raises(RuntimeError, match="There is no file"):
        OPERATORS.backend_connect(address="127.0.0.1:7000", key_file=str(key))
    assert addon.current.open_link() is None


def test_a_remote_backend_is_reached_with_its_key(addon: Extension, served_backend: Any, tmp_path: Path) -> None:
    home = tmp_path / "elsewhere"
    variables = {**os.environ, "SPLATWRIGHT_HOME": str(home)}
    splatwright = [str(served_backend.python), "-m", "backend"]
    key = tmp_path / "laptop.key"
    subprocess.run([*splatwright, "keys", "make", "laptop", "-o", str(key)], env=variables, check=True)
    with socket.create_server(("", 0)) as free:
        port = free.getsockname()[1]
    options = ["--address", f"0.0.0.0:{port}", "--device", "cpu", "--owned", "--workspace", str(tmp_path / "w")]
    process = subprocess.Popen([*splatwright, "serve", *options], env=variables, stdin=subprocess.PIPE)
    try:
        bpy.context.preferences.system.use_online_access = True  # type: ignore[union-attr]
        address = f"127.0.0.1:{port}"
        assert OPERATORS.backend_connect(address=address, key_file=str(key), timeout=60) == {"FINISHED"}
        assert addon.session.life.mode == "remote" and not addon.session.is_local
        assert addon.session.life.sentence == "The backend on the other machine is connected."
    finally:
        process.communicate(b"end\n", timeout=30)
