"""From the sidebar's point of view: the backend is installed, started, found, lost, stopped and removed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

import bpy
import pytest
from made_splats import write_ball

REPOSITORY = Path(__file__).resolve().parents[2]
REPOSITORY_COMMAND = "Scripts/splatwright.exe" if os.name == "nt" else "splatwright"
OPERATORS: Any = bpy.ops.splatwright


class Extension:
    """The rooms of the installed extension that these tests look into."""

    def __init__(self, room: Callable[[str], ModuleType]) -> None:
        self.current = room("host.current")
        self.life_of = room("host.backend_life")
        self.environment = room("host.backend_environment")
        self.states = room("core.backend_state")
        self.preferences = room("host.preferences")
        self.tick = room("tick")
        self.errors = room("protocol").errors
        self.events = room("core.events")
        self.targets = room("link.targets")

    @property
    def session(self) -> Any:
        return self.current.session()

    @property
    def state(self) -> str:
        return self.session.life.state

    @property
    def chosen(self) -> Any:
        return bpy.context.preferences.addons[self.preferences.ROOT].preferences  # type: ignore[union-attr]

    def rest(self) -> None:
        """As it was before anyone did anything."""
        self.environment.cancel()
        self.current.wait_until(lambda: not self.environment.is_at_work(), 30)
        self.life_of.stop(30)
        shutil.rmtree(self.life_of.places().environment, ignore_errors=True)
        for name in self.preferences.BackendSettings.__struct_fields__:
            self.chosen.property_unset(name)
        bpy.context.preferences.system.use_online_access = False  # type: ignore[union-attr]
        self.current.dispatch(self.events.Dismissed())
        self.life_of.survey()


@pytest.fixture
def addon(room: Callable[[str], ModuleType], no_backend: Any) -> Iterator[Extension]:
    addon = Extension(room)
    addon.rest()
    yield addon
    addon.rest()


@pytest.fixture
def command(served_backend: Any) -> str:
    """`splatwright` of the checkout's environment, as a developer would name it."""
    return str(served_backend.python.with_name(Path(REPOSITORY_COMMAND).name))


@pytest.fixture
def window(addon: Extension, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were one: operators return at once, and timers go on."""
    monkeypatch.setattr(addon.current, "is_interactive", lambda: True)


def program(path: Path, text: str) -> str:
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


# ---- start and stop


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


# ---- the tick


def test_in_a_window_start_returns_at_once_and_the_tick_goes_on(
    addon: Extension, window: None, timers: Any, command: str
) -> None:
    addon.chosen.command = command
    addon.chosen.device = "cpu"
    assert OPERATORS.backend_start() == {"FINISHED"} and addon.state == "starting"
    timers.run_until(lambda: addon.state == "running" and addon.session.is_listed)
    assert addon.tick.tick() == addon.tick.LIVE_S
    assert OPERATORS.backend_stop() == {"FINISHED"} and addon.state == "stopped"
    assert OPERATORS.backend_start() == {"FINISHED"} and addon.state == "starting"  # while the first one still ends
    timers.run_until(lambda: addon.state == "running")
    assert addon.session.life.owned


def test_the_tick_outlives_a_file_and_whatever_a_listener_does(
    addon: Extension, timers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert addon.tick.tick in timers.waiting
    bpy.ops.wm.read_homefile(use_empty=True)
    assert addon.tick.tick in timers.waiting, "loading a file took the timer away"

    def broken(_event: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(addon.current, "_listeners", [broken])
    addon.current.post(lambda: addon.current.dispatch(addon.events.CatalogCame(())))
    assert addon.tick.tick() == addon.tick.IDLE_S
    monkeypatch.undo()
    addon.current.post(lambda: 1 / 0)
    assert addon.tick.tick() == addon.tick.IDLE_S
    assert addon.session.failure.kind == "mistake" and addon.session.failure.fix == "splatwright.copy_report"
    assert "ZeroDivisionError" in addon.current.report()


def test_a_tick_takes_no_longer_than_a_few_milliseconds_however_much_came(addon: Extension) -> None:
    def slow() -> None:
        time.sleep(0.003)

    for _ in range(50):
        addon.current.post(slow)
    addon.current.drain()
    assert addon.current._calls.qsize() >= 45, "it went on although its time was up"
    assert addon.current.wait_until(addon.current._calls.empty, 10)


def test_a_blender_that_comes_back_finds_the_backend_that_still_runs(addon: Extension, backend: Any) -> None:
    addon.life_of.look_for_backend()
    assert addon.current.wait_until(lambda: addon.state == "running", 30) and not addon.session.life.owned


def test_disabled_the_extension_ends_its_backend_and_leaves_no_timer(
    addon: Extension, timers: Any, command: str, extension: ModuleType
) -> None:
    assert OPERATORS.backend_start(command=command, device="cpu") == {"FINISHED"}
    file = Path(os.environ["SPLATWRIGHT_HOME"], "backend.json")
    assert file.exists()
    bpy.ops.preferences.addon_disable(module=extension.__name__)
    assert addon.tick.tick not in timers.waiting and addon.current.open_link() is None
    deadline = time.monotonic() + 20
    while file.exists():
        assert time.monotonic() < deadline, "the backend did not end when its owner was gone"
        time.sleep(0.05)
    bpy.ops.preferences.addon_enable(module=extension.__name__)
    assert addon.state == "not_installed"


def test_blender_ends_although_its_backend_still_does_its_job(addon: Extension, tmp_path: Path) -> None:
    told = tmp_path / "ended.txt"
    slow = f"import sys, time; sys.stdin.read(); time.sleep(3); open({str(told)!r}, 'w').write('by itself')"
    script = (
        "import bpy\n"
        f"bpy.ops.preferences.addon_enable(module={addon.preferences.ROOT!r})\n"
        f"try: bpy.ops.splatwright.backend_start(command={program(tmp_path / 'splatwright', slow)!r}, timeout=1)\n"
        "except RuntimeError as error: print(error)\n"
    )
    # Blender 4.5 hung for ever in its own end when a thread of ours woke up meanwhile.
    ended = subprocess.run([sys.executable, "-c", script], timeout=60, capture_output=True, text=True, check=False)
    assert ended.returncode == 0 and "did not answer within 1 s" in ended.stdout, ended.stdout + ended.stderr
    deadline = time.monotonic() + 20
    while not told.exists():
        assert time.monotonic() < deadline, "its input was not closed"
        time.sleep(0.05)


# ---- the private environment


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


# ---- preferences


class Drawn:
    """The preferences with a layout that records: what Blender makes of them in its window."""

    def __init__(self, addon: Extension, layout: Any) -> None:
        self._addon, self.layout = addon, layout
        addon.preferences.SplatwrightPreferences.draw(self, bpy.context)

    def __getattr__(self, name: str) -> Any:
        function = vars(self._addon.preferences.SplatwrightPreferences).get(name)
        if isinstance(function, FunctionType):
            return MethodType(function, self)
        return getattr(self._addon.chosen, name)


def test_the_preferences_show_the_state_and_what_belongs_to_the_chosen_backend(
    addon: Extension, recording_layout: Any
) -> None:
    layout = Drawn(addon, recording_layout).layout
    assert "The backend is not installed yet." in layout.texts
    assert {"device", "workspace", "at_end", "wheel", "python"} <= set(layout.properties)
    assert set(layout.operators) == {"splatwright.backend_install"}


@pytest.mark.parametrize(
    ("mode", "shown"), [("running", {"mode", "connection_file"}), ("remote", {"mode", "address", "key_file"})]
)
def test_other_backends_need_no_environment(
    addon: Extension, recording_layout: Any, mode: str, shown: set[str]
) -> None:
    addon.chosen.mode = mode
    layout = Drawn(addon, recording_layout).layout
    assert shown <= set(layout.properties) and not {"wheel", "python", "device"} & set(layout.properties)
    assert set(layout.operators) == {"splatwright.backend_connect"}


def test_a_failure_is_shown_with_the_last_lines_of_the_log(
    addon: Extension, recording_layout: Any, tmp_path: Path
) -> None:
    addon.chosen.command = program(tmp_path / "splatwright", "print('Loading.'); print('No GPU.'); raise SystemExit(1)")
    with pytest.raises(RuntimeError):
        OPERATORS.backend_start()
    layout = Drawn(addon, recording_layout).layout
    assert layout.texts.count("No GPU.") == 2 and "Loading." in layout.texts
    assert {"splatwright.backend_start", "splatwright.show_log"} <= set(layout.operators)


def test_how_far_an_installation_is_is_shown(addon: Extension, recording_layout: Any) -> None:
    addon.current.dispatch(addon.states.InstallWent("Downloading torch.", 0.4))
    layout = Drawn(addon, recording_layout).layout
    assert "Downloading torch." in layout.texts and layout.called("progress")[0].arguments["factor"] == 0.4
    addon.current.dispatch(addon.states.InstallEnded("missing"))


@pytest.mark.parametrize("mode", ["local", "running", "remote"])
def test_preferences_become_plain_settings(addon: Extension, mode: str, tmp_path: Path) -> None:
    addon.chosen.mode = mode
    addon.chosen.key_file = str(tmp_path / "laptop.key")
    addon.chosen.wheel = "https://a.example/splatwright.whl"
    settings = addon.preferences.settings()
    assert settings.mode == mode == addon.session.life.mode  # the session hears of it at once
    assert settings.key_file == str(tmp_path / "laptop.key") and settings.wheel == "https://a.example/splatwright.whl"
    assert settings.command == "" and settings.at_end == "finish"
