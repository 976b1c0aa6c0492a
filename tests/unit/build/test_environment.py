from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from building import environment, process
from building.process import Stop


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The set-up of a repository that is an empty folder."""
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(environment, "PYTHON", tmp_path / ".venv" / "bin" / "python")
    monkeypatch.setattr(environment, "STATE", tmp_path / ".venv" / "state.json")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    return environment


def test_a_step_is_done_once_until_its_files_change(build: ModuleType, tmp_path: Path) -> None:
    pins, runs = tmp_path / "pins.txt", []
    pins.write_text("a==1")
    for text in ("a==1", "a==1", "a==2", "a==2"):
        pins.write_text(text)
        build.once("install", [pins], lambda: runs.append(pins.read_text()))
    assert runs == ["a==1", "a==2"]


def test_a_step_that_failed_is_tried_again(build: ModuleType, tmp_path: Path) -> None:
    pins, runs = tmp_path / "pins.txt", []
    pins.write_text("a==1")

    def fails() -> bool:
        runs.append("build")
        return False

    def stops() -> None:
        runs.append("stop")
        raise Stop("no network")

    build.once("gsplat", [pins], fails)
    build.once("gsplat", [pins], fails)
    for _ in range(2):
        with pytest.raises(Stop):
            build.once("install", [pins], stops)
    assert runs == ["build", "build", "stop", "stop"]


class FakePip:
    """Stands for the processes that build.py starts: answers each with the next exit code."""

    def __init__(self, *codes: int | type[BaseException]) -> None:
        self.codes = list(codes)
        self.commands: list[list[str]] = []

    def __call__(self, command: list[object], *_place: object, **_more: object) -> int:
        self.commands.append([str(part) for part in command])
        code = self.codes.pop(0)
        if isinstance(code, int):
            return code
        raise code


def healthy_environment(build: ModuleType) -> None:
    (build.VENV / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.12.1\n")
    build.PYTHON.write_text("")
    (build.VENV / "kept").write_text("")


def test_an_environment_that_works_is_kept(build: ModuleType) -> None:
    healthy_environment(build)
    build.make_environment("cpu")
    assert (build.VENV / "kept").exists()


@pytest.mark.parametrize("end", [KeyboardInterrupt, -9])
def test_an_installation_that_was_cut_off_starts_anew(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch, end: int | type[BaseException]
) -> None:
    healthy_environment(build)
    monkeypatch.setattr(build, "call", FakePip(end))
    with pytest.raises((KeyboardInterrupt, Stop)):
        build.pip("install", "numpy")
    makes = FakePip(0)
    monkeypatch.setattr(process, "call", makes)
    build.make_environment("cpu")
    assert not (build.VENV / "kept").exists()
    assert makes.commands[0][1:3] == ["-m", "venv"]


def test_an_installation_that_pip_gave_up_keeps_the_environment(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy_environment(build)
    monkeypatch.setattr(build, "call", FakePip(1))
    with pytest.raises(Stop, match="run the same command again"):
        build.pip("install", "numpy")
    build.make_environment("cpu")
    assert (build.VENV / "kept").exists()


@pytest.mark.parametrize("version", ["3.9.18", "3.14.0", "nonsense"])
def test_an_environment_of_another_python_is_made_anew(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    healthy_environment(build)
    (build.VENV / "pyvenv.cfg").write_text(f"version = {version}\n")
    monkeypatch.setattr(process, "call", FakePip(0))
    build.make_environment("cpu")
    assert not (build.VENV / "kept").exists()


def test_a_full_disk_is_said_before_anything_is_made(build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "SPACE_NEEDED", {"cpu": 10**18})
    with pytest.raises(Stop, match="too full"):
        build.make_environment("cpu")


@pytest.mark.parametrize(("wanted", "device"), [("cpu", "cpu"), ("cuda", "cuda")])
def test_the_device_of_the_set_up_can_be_chosen(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch, wanted: str, device: str
) -> None:
    monkeypatch.setenv("SPLATWRIGHT_SETUP", wanted)
    assert build.wanted_device() == device


def test_a_device_that_does_not_exist_is_refused(build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLATWRIGHT_SETUP", "tpu")
    with pytest.raises(Stop, match="'tpu'"):
        build.wanted_device()


def test_gsplat_that_cannot_be_built_leaves_the_work_to_the_cpu(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "call", FakePip(3))
    assert build.build_gsplat() is False
    assert "works on the CPU" in capsys.readouterr().out


def test_two_set_ups_at_once_wait_for_each_other(build: ModuleType) -> None:
    if build.fcntl is None:
        pytest.skip("this system has no fcntl")
    code = (
        "import fcntl, sys\n"
        "with open(sys.argv[1], 'w') as lock:\n"
        "    try:\n"
        "        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "        print('free')\n"
        "    except BlockingIOError:\n"
        "        print('taken')\n"
    )
    command = [sys.executable, "-c", code, os.fspath(build.ROOT / ".setup.lock")]
    with build.only_one_at_a_time():
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "taken\n"
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "free\n"


def test_the_state_survives_a_damaged_file(build: ModuleType) -> None:
    build.write_state({"test": "abc"})
    assert build.state() == {"test": "abc"} == json.loads(build.STATE.read_text())
    build.STATE.write_text("{ half")
    assert build.state() == {}
