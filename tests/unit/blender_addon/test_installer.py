"""The installer with small commands in place of pip's; that it installs the real thing is tested inside Blender."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path, PurePath

import pytest

from blender_addon.core.install_plan import Plan, Progress, Step
from blender_addon.core.paths import Places, places, system_of
from blender_addon.link.environment import survey
from blender_addon.link.installer import Cancelled, Installer, remove
from shared_protocol.errors import UserError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the environments are made of links")
REPOSITORY = Path(__file__).resolve().parents[3]
MAKE = "import os, sys; os.makedirs(sys.argv[1] + '/bin'); os.symlink(sys.executable, sys.argv[1] + '/bin/python')"
# A child that starts another one, as pip does, and tells both.
SLEEP = (
    "import os, subprocess, sys, time; other = subprocess.Popen(['sleep', '60']);"
    "print(os.getpid(), other.pid, flush=True); time.sleep(60)"
)


def run(text: str, *arguments: PurePath | str, name: str = "step", **more: object) -> Step:
    command = (sys.executable, "-c", text, *map(str, arguments))
    return Step(name, "Doing it.", command, 1.0, **more)  # type: ignore[arg-type]


@pytest.fixture
def there(tmp_path: Path) -> Places:
    return places(system_of(sys.platform), {"SPLATWRIGHT_HOME": str(tmp_path / "home")}, tmp_path)


def make(there: Places) -> Step:
    return run(MAKE, there.environment, name="venv")


def installer(there: Places, *steps: Step, disk: int = 1) -> tuple[Installer, list[Progress]]:
    told: list[Progress] = []
    return Installer(there, Plan(steps, 1, disk), on_progress=told.append), told


def is_locked(there: Places) -> bool:
    import fcntl

    with Path(there.lock).open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def begin(run_: Installer) -> tuple[threading.Thread, list[Cancelled]]:
    """Installs on a thread, and keeps what that raises when it is cancelled."""
    raised: list[Cancelled] = []

    def install() -> None:
        try:
            run_.install("0.1.0", cuda=False)
        except Cancelled as cancelled:
            raised.append(cancelled)

    thread = threading.Thread(target=install)
    thread.start()
    return thread, raised


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_an_installation_that_came_to_its_end_is_whole(there: Places) -> None:
    assert survey(there) == ("missing", "")
    run_, told = installer(there, make(there), run("print('said')"))
    run_.install("0.1.0", cuda=False)
    assert survey(there, "0.1.0") == ("whole", "") and survey(there) == ("whole", "")
    assert [progress.fraction for progress in told] == [0.0, 0.5]


def test_another_version_is_to_be_repaired(there: Places) -> None:
    installer(there, make(there))[0].install("0.1.0", cuda=False)
    assert survey(there, "0.2.0") == ("broken", "The environment holds version 0.1.0, this extension needs 0.2.0.")


def test_a_python_that_went_away_is_noticed(there: Places) -> None:
    installer(there, make(there))[0].install("0.1.0", cuda=False)
    Path(there.python).unlink()
    Path(there.python).symlink_to("/nowhere/python")  # what is left when the system's Python is removed
    assert survey(there) == ("broken", "The environment's Python is gone.")


def test_a_step_that_fails_leaves_a_broken_environment_and_the_reason(there: Places) -> None:
    text = "print('Collecting torch'); print('ERROR: No matching distribution found for torch'); raise SystemExit(1)"
    with pytest.raises(UserError, match=r"Doing it failed: No matching distribution found for torch\.") as failed:
        installer(there, make(there), run(text))[0].install("0.1.0", cuda=False)
    assert failed.value.fix == "splatwright.backend_repair"
    assert survey(there)[0] == "broken"


def test_what_may_fail_is_no_failure(there: Places) -> None:
    installer(there, make(there), run("raise SystemExit(1)", may_fail=True))[0].install("0.1.0", cuda=False)
    assert survey(there)[0] == "whole"


def test_a_full_disk_is_named_as_such(there: Places) -> None:
    with pytest.raises(UserError, match="too full") as full:
        installer(there, make(there), disk=10**18)[0].install("0.1.0", cuda=False)
    assert full.value.kind == "disk_full" and survey(there)[0] == "missing"
    text = "print('OSError: [Errno 28] No space left on device'); raise SystemExit(1)"
    with pytest.raises(UserError) as filled:
        installer(there, run(text))[0].install("0.1.0", cuda=False)
    assert filled.value.kind == "disk_full"


def test_a_command_that_does_not_exist_is_named(there: Places) -> None:
    with pytest.raises(UserError, match="'/nowhere/python' cannot be run"):
        installer(there, Step("venv", "Making it.", ("/nowhere/python",), 1.0))[0].install("0.1.0", cuda=False)


def test_cancelling_ends_everything_at_once(there: Places) -> None:
    run_, told = installer(there, make(there), run(SLEEP))
    thread, raised = begin(run_)
    while len(told) < 2 or not (children := _children(run_)):
        time.sleep(0.01)
    started = time.monotonic()
    run_.cancel()
    thread.join(10)
    assert raised and time.monotonic() - started < 5  # some milliseconds on a quiet machine
    while any(map(is_alive, children)):  # the system takes a moment to bury the child's child
        assert time.monotonic() - started < 10
        time.sleep(0.01)
    assert survey(there) == ("broken", "The installation did not come to its end.")


def _children(run_: Installer) -> list[int]:
    """Both processes of SLEEP, once they are there."""
    process = run_._process  # the test must see that none is left
    if process is None:
        return []
    try:
        others = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [process.pid, *map(int, others)] if others else []


def test_cancelling_before_the_first_step_makes_nothing(there: Places) -> None:
    run_, _ = installer(there, make(there))
    run_.cancel()
    with pytest.raises(Cancelled):
        run_.install("0.1.0", cuda=False)
    assert survey(there)[0] == "missing"


def test_a_killed_installer_leaves_what_is_found_broken_and_can_be_repaired(there: Places) -> None:
    code = (
        "import sys; from tests.unit.blender_addon.test_installer import *\n"
        "home = Path(sys.argv[1]); there = places(system_of(sys.platform), {'SPLATWRIGHT_HOME': sys.argv[1]}, home)\n"
        "installer(there, make(there), run(SLEEP))[0].install('0.1.0', cuda=False)"
    )
    command = [sys.executable, "-c", code, str(there.environment.parent)]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, start_new_session=True)
    while not Path(there.python).exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert survey(there) == ("broken", "The installation did not come to its end.")
    clear = run("import shutil, sys; shutil.rmtree(sys.argv[1])", there.environment)
    while is_locked(there):  # by a program that the dead one was about to start
        time.sleep(0.01)
    installer(there, clear, make(there))[0].install("0.1.0", cuda=False)
    assert survey(there)[0] == "whole"


def test_two_blenders_do_not_install_at_the_same_time(there: Places) -> None:
    run_, told = installer(there, make(there), run(SLEEP))
    thread, _ = begin(run_)
    while len(told) < 2:
        time.sleep(0.01)
    try:
        with pytest.raises(UserError, match="Another Blender is at work"):
            installer(there, make(there))[0].install("0.1.0", cuda=False)
    finally:
        run_.cancel()
        thread.join(10)


def test_an_environment_that_does_not_pass_its_check_is_broken_from_then_on(there: Places) -> None:
    installer(there, make(there))[0].install("0.1.0", cuda=False)
    installer(there, run("print('Everything is there.')"))[0].verify()
    assert survey(there)[0] == "whole"
    with pytest.raises(UserError, match=r"numba is not installed"):
        installer(there, run("print('Missing: numba is not installed.'); raise SystemExit(1)"))[0].verify()
    assert survey(there)[0] == "broken"


def test_removing_takes_all_of_it_and_nothing_else(there: Places) -> None:
    remove(there)  # where there is none
    installer(there, make(there))[0].install("0.1.0", cuda=False)
    beside = Path(there.environment).with_name("workspace")
    beside.mkdir()
    remove(there)
    assert survey(there) == ("missing", "") and beside.exists()
    assert sorted(path.name for path in beside.parent.iterdir()) == ["environment.lock", "workspace"]


def test_the_version_is_asked_for_where_nobody_says_it(there: Places) -> None:
    package = Path(there.environment) / "lib" / "backend"
    said = "import pathlib, sys; folder = pathlib.Path(sys.argv[1]); folder.mkdir(parents=True);"
    said += "(folder / '__main__.py').write_text('print(\"splatwright, version 0.9.0\")');"
    said += "bin = folder.parent.parent / 'bin'; bin.mkdir(); python = bin / 'python';"
    said += (
        "python.write_text(f'#!/bin/sh\\ncd {folder.parent}\\nexec {sys.executable} \"$@\"\\n'); python.chmod(0o755)"
    )
    installer(there, run(said, package))[0].install("", cuda=False)
    assert survey(there, "0.9.0") == ("whole", "")
