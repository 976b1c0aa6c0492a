"""The environment .venv: makes it, fills it with what is pinned, compiles the kernels; each step once."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .process import PYTHON, REQUIREMENTS, ROOT, VENV, Stop, call, child_environment, run, say

try:
    import fcntl
except ImportError:  # Windows: two set-ups at once are not kept apart there
    fcntl = None

OLDEST, NEWEST = (3, 11), (3, 13)  # as in build.py, which refuses a Python that cannot read this file
STATE = VENV / "splatwright-setup.json"  # which steps of the set-up are done, and for which content of their files
SPACE_NEEDED = {"cpu": 3 * 10**9, "cuda": 12 * 10**9}  # bytes, downloads included
BLENDER_STUBS = ("4.5", "5.2")


def prepare(*extras: str) -> None:
    """Does what the set-up still lacks. extras: files of requirements/ beside common and the device's."""
    with only_one_at_a_time():
        device = wanted_device()
        make_environment(device)
        for names in (("common", device), *((extra,) for extra in extras)):
            install(names)
        once("project", [ROOT / "pyproject.toml"], install_project)
        if device == "cuda":
            once("gsplat", [REQUIREMENTS / "cuda.txt", ROOT / "backend/splats/raster/gsplat_build.py"], build_gsplat)
        rooms = ("splats", "captures", "training")
        sources = [path for room in rooms for path in sorted((ROOT / "backend" / room).rglob("*.py"))]
        once("kernels", [REQUIREMENTS / "common.txt", *sources], compile_kernels)


def wanted_device() -> str:
    wanted = os.environ.get("SPLATWRIGHT_SETUP", "auto")
    if wanted not in ("auto", "cpu", "cuda"):
        raise Stop(f"SPLATWRIGHT_SETUP is '{wanted}': set it to cpu or cuda, or leave it away.")
    return wanted if wanted != "auto" else "cuda" if has_nvidia_driver() else "cpu"


def has_nvidia_driver() -> bool:
    if shutil.which("nvidia-smi") or Path("/proc/driver/nvidia/version").exists():
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def make_environment(device: str) -> None:
    """A .venv that works; one that does not is made anew."""
    flaw = environment_flaw()
    if flaw is None:
        return
    if VENV.exists():
        say(f"Making {VENV} anew: {flaw}.")
        shutil.rmtree(VENV)
    free = shutil.disk_usage(ROOT).free
    if free < SPACE_NEEDED[device]:
        needed = f"{SPACE_NEEDED[device] / 1e9:.0f} GB for the {device} set-up, {free / 1e9:.1f} GB are free"
        raise Stop(f"The disk that holds {ROOT} is too full: {needed}.")
    if importlib.util.find_spec("ensurepip") is None:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise Stop(f"This Python has no ensurepip. Install it (Debian, Ubuntu: sudo apt-get install -y {package}).")
    # In an activated environment sys.executable is the very thing that was just removed.
    base = getattr(sys, "_base_executable", None) or sys.executable
    run([base, "-m", "venv", VENV], f"{VENV} could not be made.")


def environment_flaw() -> str | None:
    """Why the .venv cannot be used, or None."""
    if not PYTHON.exists() or not (VENV / "pyvenv.cfg").is_file():
        return "its Python is gone"
    version = re.search(r"^version\s*=\s*(\d+)\.(\d+)", (VENV / "pyvenv.cfg").read_text(encoding="utf-8"), re.MULTILINE)
    if version is None or not OLDEST <= (int(version.group(1)), int(version.group(2))) <= NEWEST:
        return "its Python cannot be used"
    if "installing" in state():
        return "the last installation was cut off (what was downloaded is kept by pip)"
    return None


def install(names: tuple[str, ...]) -> None:
    files = [REQUIREMENTS / f"{name}.txt" for name in names]

    def install_them() -> None:
        say(f"Installing what is pinned in {' and '.join(f'requirements/{file.name}' for file in files)}")
        options = [part for file in files for part in ("--requirement", file)]
        pip("install", *options)

    once("+".join(names), files, install_them)


def install_project() -> None:
    """Links the working tree into .venv, which brings the command `splatwright`."""
    # setuptools warns at length of what an editable installation always is.
    pip("install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", ROOT, PYTHONWARNINGS="ignore")


def install_stubs() -> None:
    """Blender's type stubs, each version in a folder of its own: they would overwrite each other."""
    with only_one_at_a_time():
        for version in BLENDER_STUBS:
            pins = REQUIREMENTS / f"stubs-blender-{version}.txt"
            folder = VENV / f"stubs-blender-{version}"

            def install_them(pins: Path = pins, folder: Path = folder) -> None:
                install_apart(pins, folder)

            once(folder.name, [pins], install_them)


def install_apart(pins: Path, folder: Path) -> None:
    """What is pinned there, in a folder of its own and without what it brings along."""
    shutil.rmtree(folder, ignore_errors=True)
    pip("install", "--quiet", "--no-deps", "--target", folder, "--requirement", pins)


def build_gsplat() -> bool:
    """Builds and tries gsplat; where that cannot be done, says why and leaves the CPU to do the work meanwhile."""
    code = call([PYTHON, "-m", "backend.splats.raster.gsplat_build"])
    if code != 0:
        say("Until then Splatwright works on the CPU.")
    return code == 0


def compile_kernels() -> None:
    say("Compiling the CPU kernels (once)")
    run([PYTHON, "-m", "backend.jobs.warm_up"], "The CPU kernels could not be compiled.")


def pip(verb: str, *arguments: str | Path, **variables: str) -> None:
    """Runs pip in .venv; the state remembers that it is at work, so that a cut-off installation is noticed."""
    changes = verb == "install" and "--target" not in arguments
    if changes:
        write_state({**state(), "installing": True})
    command = [PYTHON, "-m", "pip", verb, "--no-input", "--disable-pip-version-check", *arguments]
    code = call(command, env={**child_environment(), **variables})
    if changes and code >= 0:  # pip came to an end by itself, and undoes what it could not finish
        write_state({key: value for key, value in state().items() if key != "installing"})
    if code != 0:
        raise Stop("pip could not do it (its message stands above). Mend that and run the same command again.")


# ---- what is done already


def once(step: str, files: Sequence[Path], action: Callable[[], bool | None]) -> None:
    """Runs the action unless it was done with these files as they are. An action that returns False is not done."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    if state().get(step) != digest.hexdigest() and action() is not False:
        write_state({**state(), step: digest.hexdigest()})


def state() -> dict:
    try:
        return json.loads(STATE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def write_state(content: dict) -> None:
    temporary = STATE.with_suffix(".part")
    temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
    os.replace(temporary, STATE)


@contextlib.contextmanager
def only_one_at_a_time() -> Iterator[None]:
    """Two verbs started together set up one after the other."""
    with open(ROOT / ".setup.lock", "w", encoding="utf-8") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
