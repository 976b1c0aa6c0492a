from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from building import blender

OURS = "{}.{}".format(*sys.version_info[:2])


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one, that wants a Blender 9.9 of this very Python."""
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    (requirements / "blender-9.9.txt").write_text("bpy==9.9.0\n")
    monkeypatch.setattr(blender, "ROOT", tmp_path)
    monkeypatch.setattr(blender, "REQUIREMENTS", requirements)
    monkeypatch.setattr(blender, "ENVIRONMENTS", tmp_path / ".blender")
    monkeypatch.setattr(blender, "VERSIONS", {"9.9": OURS})
    return tmp_path


def test_a_blender_whose_python_is_not_here_is_skipped_with_the_reason(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(blender, "VERSIONS", {"9.9": "3.2"})
    assert blender.test(["9.9"], [], []) == 0
    shown = capsys.readouterr().out
    assert "Blender 9.9 skipped: its Python module needs Python 3.2, which is not installed" in shown
    assert "ran in none" in shown


def answers(program: Path, text: str) -> Path:
    """A program that says this, whatever it is asked."""
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\necho '{text}'\n")
    program.chmod(0o755)
    return program


@pytest.mark.skipif(os.name != "posix", reason="programs are made of shell scripts")
def test_pythons_are_looked_for_on_the_path_and_where_pyenv_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = answers(tmp_path / "bin" / "python3.4", "pyenv: python3.4: command not found")
    kept = answers(tmp_path / "pyenv" / "versions" / "3.4.10" / "bin" / "python", "3.4")
    answers(tmp_path / "pyenv" / "versions" / "3.14.1" / "bin" / "python", "3.14")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    found = [Path(program) for program in blender.pythons("3.4")]
    assert found == [on_path, kept]
    assert [blender.runs(program, "3.4") for program in found] == [False, True]


class FakePrograms:
    """Stands for the Pythons that are asked: each is ours, and pip does as it is told here."""

    def __init__(self, pip_fails_with: str) -> None:
        self.pip_fails_with = pip_fails_with
        self.installations = 0

    def answer(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        if "pip" not in command:
            return subprocess.CompletedProcess([], 0, stdout=f"{OURS}\n", stderr="")
        self.installations += 1
        return subprocess.CompletedProcess([], int(bool(self.pip_fails_with)), stdout="", stderr=self.pip_fails_with)


def test_a_module_that_cannot_be_installed_is_skipped_until_it_can(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = FakePrograms("Looking in indexes\nERROR: No matching distribution found for bpy==9.9.0\n")
    monkeypatch.setattr(blender, "answer", programs.answer)
    (repository / ".blender" / "9.9").mkdir(parents=True)
    assert blender.test(["9.9"], [], []) == 0
    said = "Blender 9.9 skipped: it cannot be installed here: ERROR: No matching distribution found for bpy==9.9.0"
    assert said in capsys.readouterr().out
    programs.pip_fails_with = ""
    python = blender.python_in(repository / ".blender" / "9.9")
    assert blender.python_with("9.9") == blender.python_with("9.9") == python
    assert programs.installations == 2
    (repository / "requirements" / "blender-9.9.txt").write_text("bpy==9.9.1\n")
    blender.python_with("9.9")
    assert programs.installations == 3


@pytest.fixture
def tests_of(repository: Path) -> Callable[[str], int]:
    """Runs these lines as if they were the tests in Blender."""

    def run(lines: str) -> int:
        (repository / "tests" / "blender").mkdir(parents=True)
        (repository / "tests" / "blender" / "run_pytest.py").write_text(lines)
        return blender.run_tests(Path(sys.executable), [repository / "a.zip"], ["-k", "name"])

    return run


def test_the_tests_get_their_zips_and_arguments_and_not_the_repository(tests_of: Callable[[str], int]) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "assert sys.argv[1:] == ['-k', 'name'] and os.environ['SPLATWRIGHT_ZIPS'].endswith('a.zip')\n"
        "assert 'PYTHONPATH' not in os.environ and not list(Path.cwd().iterdir())\n"
        "sys.exit(5)"
    )
    assert tests_of(code) == 5


@pytest.mark.skipif(os.name != "posix", reason="a group of processes is ended the POSIX way")
def test_tests_that_hang_are_ended_with_all_that_they_started(
    tests_of: Callable[[str], int], repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blender, "LONGEST", 2)
    started = repository / "child"
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(started)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)"
    )
    assert tests_of(code) == 124
    child = int(started.read_text())
    deadline = time.monotonic() + 30
    while is_alive(child):
        assert time.monotonic() < deadline, "a child of the tests outlives them"
        time.sleep(0.05)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # A process whose parent is gone may stay as a zombie where nobody collects it.
    status = Path(f"/proc/{process}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")
