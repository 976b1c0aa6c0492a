from __future__ import annotations

import ast
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from building import environment

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """build.py as a module whose repository is an empty folder."""
    spec = importlib.util.spec_from_file_location("build_under_test", REPOSITORY / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


def nothing(_name: str) -> None:
    return None


def everything(name: str) -> str:
    return f"/usr/bin/{name}"


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_a_python_that_can_be_used_is_not_complained_about(build: ModuleType, version: tuple[int, int]) -> None:
    assert build.complaint_about(version, nothing) is None


@pytest.mark.parametrize("version", [(2, 7), (3, 6), (3, 8), (3, 10), (3, 14)])
def test_a_python_that_cannot_be_used_gets_one_sentence(build: ModuleType, version: tuple[int, int]) -> None:
    alone = build.complaint_about(version, nothing)
    assert "needs Python 3.11 to 3.13" in alone and f"this is Python {version[0]}.{version[1]}" in alone
    assert "python3.11, which is installed here" in build.complaint_about(version, everything)


def test_an_old_python_can_read_the_file_that_refuses_it() -> None:
    ast.parse((REPOSITORY / "build.py").read_text(), feature_version=(3, 6))


@pytest.mark.parametrize("name", ["python3.8", "python3.9", "python3.10"])
def test_a_real_old_python_says_it(name: str) -> None:
    program = shutil.which(name)
    if program is None or subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode != 0:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run([program, REPOSITORY / "build.py", "test"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stderr.strip().count("\n") == 0 and "Splatwright needs Python 3.11" in done.stderr


def test_without_a_verb_the_verbs_are_listed(build: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main([]) == 2
    shown = capsys.readouterr().out
    assert all(
        f"  {verb} " in shown
        for verb in ("setup", "demo", "test", "test-blender", "check", "wheel", "extension", "catalog")
    )


def test_a_verb_that_does_not_exist_is_named(build: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["tset"]) == 2
    assert "no verb 'tset'" in capsys.readouterr().out


@pytest.mark.parametrize("path", [REPOSITORY / "build.py", *sorted((REPOSITORY / "building").glob("*.py"))])
def test_the_repository_needs_only_the_standard_library_to_set_itself_up(path: Path) -> None:
    tree = ast.parse(path.read_text())
    modules = [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    modules += [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module and not n.level]
    assert {module.split(".")[0] for module in modules} <= sys.stdlib_module_names | {"building"}


def test_the_part_that_makes_the_environment_agrees_on_the_pythons(build: ModuleType) -> None:
    assert (build.OLDEST, build.NEWEST) == (environment.OLDEST, environment.NEWEST)


def test_benchmarks_are_listed_with_what_they_say_of_themselves(
    build: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    (build.ROOT / "benchmarks").mkdir()
    (build.ROOT / "benchmarks" / "speed.py").write_text('"""How fast."""\nif __name__ == "__main__":\n    print(1)\n')
    (build.ROOT / "benchmarks" / "record.py").write_text('"""Writes figures."""\n')
    assert build.bench([]) == 0
    shown = capsys.readouterr().out
    assert "speed" in shown and "How fast." in shown and "record" not in shown
    with pytest.raises(build.Stop, match="There are: speed"):
        build.bench(["sped"])


def test_a_blender_that_is_not_tested_in_is_named(build: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["test-blender", "5.2", "4.6", "-k", "panel"]) == 1
    assert "no Blender 4.6 to test in. There are: 4.5, 5.0, 5.2." in capsys.readouterr().out
