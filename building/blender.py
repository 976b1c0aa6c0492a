"""Blender as a Python module: makes environments that hold it and pytest alone, and runs in them what needs Blender."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from .environment import only_one_at_a_time
from .process import REQUIREMENTS, ROOT, Stop, call, child_environment, say

VERSIONS = {"4.5": "3.11", "5.0": "3.11", "5.2": "3.13"}  # of Blender, and of the Python that its module is made for
ENVIRONMENTS = ROOT / ".blender"
SPACE_NEEDED = 2 * 10**9  # bytes, for one environment and its download
LONGEST = 1200  # seconds that the tests in one Blender may take: Blender 4.5 can hang for ever when it ends


class NotHere(Exception):
    """Why this Blender cannot be used on this machine."""


def python_in(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


# ---- environments


def python_with(blender: str) -> Path:
    """The Python that has this Blender; the environment is made when it is not here. Raises NotHere."""
    pins, folder = REQUIREMENTS / f"blender-{blender}.txt", ENVIRONMENTS / blender
    done = folder / "installed.sha256"
    digest = hashlib.sha256(pins.read_bytes()).hexdigest()
    with only_one_at_a_time():
        if done.is_file() and done.read_text(encoding="utf-8") == digest:
            return python_in(folder)
        if not runs(python_in(folder), VERSIONS[blender]):
            make(folder, VERSIONS[blender])
        say(f"Installing Blender {blender} as a Python module (requirements/{pins.name})")
        install = [python_in(folder), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
        told = answer([*install, "--no-deps", "--requirement", pins])
        told = told if told.returncode != 0 else answer([python_in(folder), "-c", "import bpy"])
        if told.returncode != 0:
            said = [line for line in told.stderr.splitlines() if line.strip()] or ["it does not say why"]
            raise NotHere(f"it cannot be installed here: {said[-1]}")
        done.write_text(digest, encoding="utf-8")
    return python_in(folder)


def make(folder: Path, python: str) -> None:
    base = next((program for program in pythons(python) if runs(program, python)), None)
    if base is None:
        raise NotHere(f"its Python module needs Python {python}, which is not installed")
    if shutil.disk_usage(ROOT).free < SPACE_NEEDED:
        raise NotHere(f"the disk has less than {SPACE_NEEDED / 1e9:.0f} GB free")
    shutil.rmtree(folder, ignore_errors=True)
    if call([base, "-m", "venv", folder]) != 0:
        raise NotHere(f"{base} cannot make an environment")


def pythons(version: str) -> Iterator[str | Path]:
    """Where a Python of this version may be."""
    if sys.version_info[:2] == tuple(int(part) for part in version.split(".")):
        yield getattr(sys, "_base_executable", None) or sys.executable
    if found := shutil.which(f"python{version}"):
        yield found
    yield from sorted(
        Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions").glob(f"{version}.*/bin/python")
    )


def runs(program: str | Path, python: str) -> bool:
    """Is there a Python of this version? pyenv leaves programs that only say that they are not chosen."""
    try:
        told = answer([program, "-c", "import sys; print('{}.{}'.format(*sys.version_info[:2]))"])
    except OSError:
        return False
    return told.returncode == 0 and told.stdout.strip() == python


def answer(command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    words = [str(part) for part in command]
    return subprocess.run(words, cwd=ROOT, env=child_environment(), capture_output=True, text=True, check=False)


# ---- Blender's own tool for extensions


def extension_tool() -> list[str | Path] | None:
    """Blender's command for extensions, of the newest Blender that is installed here already; None without one."""
    for blender in reversed(VERSIONS):
        folder = ENVIRONMENTS / blender
        for tool in folder.glob("lib/python*/site-packages/bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py"):
            return [python_in(folder), tool]
    return None


def validate(zips: Sequence[Path]) -> bool:
    """Lets Blender look at the zips. False when no Blender is here; raises Stop when it finds something."""
    tool = extension_tool()
    if tool is None:
        return False
    for path in zips:
        told = answer([*tool, "validate", path])
        if told.returncode != 0:
            raise Stop(f"Blender refuses {path.name}: {told.stdout}{told.stderr}")
    return True


def make_repository(zips: Sequence[Path], folder: Path) -> bool:
    """A folder that any web server can offer to Blender as an extension repository. False when no Blender is here."""
    tool = extension_tool()
    if tool is None:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in zips:
        shutil.copy(path, folder)
    told = answer([*tool, "server-generate", "--repo-dir", folder, "--html"])
    if told.returncode != 0:
        raise Stop(f"Blender cannot list {folder}: {told.stdout}{told.stderr}")
    return True


# ---- tests


def test(wanted: Sequence[str], zips: Sequence[Path], arguments: Sequence[str]) -> int:
    """Runs tests/blender in each Blender; one that cannot be had here is skipped, and it is said why."""
    codes: dict[str, int] = {}
    for blender in wanted:
        try:
            python = python_with(blender)
        except NotHere as reason:
            say(f"-- Blender {blender} skipped: {reason}")
            continue
        say(f"-- Blender {blender}")
        codes[blender] = run_tests(python, zips, arguments)
    failed = [blender for blender, code in codes.items() if code != 0]
    say(f"test-blender: ran in {', '.join(codes) or 'none'}" + (f"; not well in {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def run_tests(python: Path, zips: Sequence[Path], arguments: Sequence[str]) -> int:
    """pytest's code, or 124 when it did not end. It runs outside the repository, which must not be found by imports."""
    tests = ROOT / "tests" / "blender"
    command = [python, tests / "run_pytest.py", *arguments]
    with tempfile.TemporaryDirectory(prefix="splatwright-blender-") as folder:
        variables = {
            **os.environ,
            "PYTHONNOUSERSITE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "SPLATWRIGHT_ZIPS": os.pathsep.join(str(path) for path in zips),
            "SPLATWRIGHT_PYTHON": str(ROOT / ".venv" / python_in(Path()).as_posix()),
        }
        variables.pop("PYTHONPATH", None)
        process = subprocess.Popen([str(part) for part in command], cwd=folder, env=variables, start_new_session=True)
        try:
            return process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            say(f"The tests did not end within {LONGEST} s.")
            return 124
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends what the tests may have left running, too."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
