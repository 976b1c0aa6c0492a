#!/usr/bin/env python3
"""Everything one runs in this repository: python3 build.py VERB. Needs nothing but Python itself.

The syntax stays readable for Python 3.6, so that an old Python can say one clear sentence instead of a SyntaxError.
"""

import ast
import contextlib
import ctypes
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

try:
    import fcntl
except ImportError:  # Windows: two set-ups at once are not kept apart there
    fcntl = None

OLDEST, NEWEST = (3, 11), (3, 13)


def complaint_about(version, which=shutil.which):
    """One sentence when this Python cannot be used, else None."""
    if OLDEST <= version <= NEWEST:
        return None
    others = ["python3.{}".format(minor) for minor in range(OLDEST[1], NEWEST[1] + 1)]
    found = next((name for name in others if which(name)), None)
    hint = "run it with {}, which is installed here".format(found) if found else "install one and run it with that"
    asked = "Splatwright needs Python {}.{} to {}.{}".format(*OLDEST + NEWEST)
    return "{}, and this is Python {}.{}: {}.".format(asked, version[0], version[1], hint)


if complaint_about(sys.version_info[:2]):
    sys.exit(complaint_about(sys.version_info[:2]))

from collections.abc import Callable, Iterator, Sequence  # noqa: E402  after the question whether this Python is new enough
from pathlib import Path  # noqa: E402

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / "python"
REQUIREMENTS = ROOT / "requirements"
STATE = VENV / "splatwright-setup.json"  # which steps of the set-up are done, and for which content of their files
SPACE_NEEDED = {"cpu": 3 * 10**9, "cuda": 12 * 10**9}  # bytes, downloads included
BLENDER_STUBS = ("4.5", "5.2")


class Stop(Exception):
    """Ends a verb with one sentence for whoever ran it."""


# ---- verbs


def setup(arguments: list[str]) -> int:
    """Make .venv with everything pinned, compile the kernels; quick when nothing changed."""
    refuse(arguments)
    prepare("test", "check")
    install_stubs()
    say(f"Ready. The command line is {BIN / 'splatwright'}; python3 build.py demo shows it at work.")
    return 0


def demo(arguments: list[str]) -> int:
    """Set up, train a capture through the command line, and draw what came of it below photos it never saw."""
    prepare()
    folder = ROOT / "demo"
    folder.mkdir(exist_ok=True)
    capture = demo_capture(folder)
    splats, report, picture = folder / f"{capture.name}.ply", folder / "report.json", folder / "held_out.png"
    started = time.monotonic()
    run([BIN / "splatwright", "train", capture, "-o", splats, "--report", report, *arguments], "The training failed.")
    strip = [PYTHON, "-m", "benchmarks.held_out_strip", splats, capture, "--report", report, "-o", picture]
    run(strip, "The held-out views could not be drawn.")
    figures = json.loads(report.read_text(encoding="utf-8"))
    say(f"\nTrained {capture.name} in {(time.monotonic() - started) / 60:.1f} minutes on {figures['device']}:")
    say(f"  held-out views   PSNR {figures['psnr']:.2f} dB, SSIM {figures['ssim']:.3f}, {figures['splats']:,} splats")
    say(f"  look at          {picture}   (photos that were never trained on, our pictures below)")
    say(f"  the splats       {splats}")
    say(f"  the report       {report}")
    return 0


def test(arguments: list[str]) -> int:
    """Set up, then run the tests; what follows goes to pytest (-k name, -x, a file)."""
    prepare("test")
    return call([PYTHON, "-m", "pytest", *arguments])


def check(arguments: list[str]) -> int:
    """Formatting, lint, types, import contracts and sizes."""
    refuse(arguments)
    prepare("test", "check")
    install_stubs()
    pyright: list[str | Path] = [PYTHON, "-m", "pyright"]
    steps: dict[str, Callable[[], int]] = {
        "format": lambda: call([BIN / "ruff", "format", "--check", "."]),
        "lint": lambda: call([BIN / "ruff", "check", "."]),
        "types": lambda: call(pyright),
        **{
            f"types against Blender {version}": lambda version=version: call(
                [*pyright, "--project", ROOT / "blender_addon" / f"pyright-blender-{version}.json"]
            )
            for version in BLENDER_STUBS
        },
        "imports": lambda: call([BIN / "lint-imports", "--no-logo"]),
        "sizes": lambda: call([PYTHON, "tests/contract/sizes.py"]),
    }
    failed = []
    for name, step in steps.items():
        say(f"-- {name}")
        if step() != 0:
            failed.append(name)
    say(
        f"check: {len(steps) - len(failed)} of {len(steps)} are well"
        + (f"; not: {', '.join(failed)}" if failed else "")
    )
    return 1 if failed else 0


def bench(arguments: list[str]) -> int:
    """Run one benchmark by name (bench NAME ...), or list them."""
    scripts = {path.stem: path for path in sorted((ROOT / "benchmarks").glob("*.py")) if is_command(path)}
    if not arguments:
        for name, path in scripts.items():
            say(f"  {name:20} {summary_of(path)}")
        say("Run one: python3 build.py bench NAME")
        return 0
    if arguments[0] not in scripts:
        raise Stop(f"There is no benchmark '{arguments[0]}'. There are: {', '.join(scripts) or 'none'}.")
    prepare("test")
    return call([PYTHON, "-m", f"benchmarks.{arguments[0]}", *arguments[1:]])


def fuzz(arguments: list[str]) -> int:
    """Say 100,000 wrong things to the server (--messages N, --seed N); the figures are recorded."""
    prepare("test")
    return call([PYTHON, "-m", "benchmarks.fuzz_protocol", *arguments])


def wheel(arguments: list[str]) -> int:
    """Build dist/splatwright-*.whl and see that the command in it starts."""
    refuse(arguments)
    prepare()
    for leftovers in (ROOT / "build", ROOT / "dist"):  # setuptools would pack modules that are long gone
        shutil.rmtree(leftovers, ignore_errors=True)
    pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", ROOT / "dist", ROOT)
    (built,) = (ROOT / "dist").glob("*.whl")
    with tempfile.TemporaryDirectory() as folder:
        pip("install", "--quiet", "--no-deps", "--target", folder, built)
        environment = {**child_environment(), "PYTHONPATH": folder}
        asked = "import backend, shared_protocol; print(backend.__file__, shared_protocol.__file__)"
        command = [str(PYTHON), "-c", asked]
        told = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if told.returncode != 0 or not all(place.startswith(folder) for place in told.stdout.split()):
            raise Stop(f"{built.name} does not hold our packages: {told.stdout}{told.stderr}")
        run(
            [Path(folder, BIN.name, "splatwright"), "--help"],
            f"The command in {built.name} does not start.",
            cwd=folder,
            env=environment,
        )
    say(f"Built {built} ({built.stat().st_size / 1000:.0f} kB).")
    return 0


# ---- set-up


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
                shutil.rmtree(folder, ignore_errors=True)
                pip("install", "--quiet", "--no-deps", "--target", folder, "--requirement", pins)

            once(folder.name, [pins], install_them)


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


# ---- pieces of verbs


def demo_capture(folder: Path) -> Path:
    """The sample capture where it is at hand, else one that we make."""
    sample = Path(os.environ.get("SPLATWRIGHT_DATA", ROOT.parent / "shared" / "data")) / "fox_posed"
    if sample.is_dir():
        return sample
    made = folder / "capture"
    if (made / "transforms.json").is_file():
        return made
    say(f"The sample photos are not here (SPLATWRIGHT_DATA): making a capture in {made}")
    asked = "import sys, pathlib; from backend.captures import make_capture; make_capture(pathlib.Path(sys.argv[1]))"
    run([PYTHON, "-c", asked, made], "The capture could not be made.")
    return made


def is_command(path: Path) -> bool:
    return 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")


def summary_of(path: Path) -> str:
    documentation = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return documentation.partition("\n")[0]


def child_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONNOUSERSITE": "1", "VIRTUAL_ENV": str(VENV)}


def call(command: Sequence[str | Path], cwd: str | Path = ROOT, env: dict[str, str] | None = None) -> int:
    words = [str(part) for part in command]
    return subprocess.run(words, cwd=str(cwd), env=env or child_environment(), check=False).returncode


def run(command: Sequence[str | Path], failed: str, cwd: str | Path = ROOT, env: dict[str, str] | None = None) -> None:
    if call(command, cwd, env) != 0:
        raise Stop(failed)


def refuse(arguments: list[str]) -> None:
    if arguments:
        raise Stop(f"This verb takes no arguments, but was given: {' '.join(arguments)}")


def say(text: str) -> None:
    print(text, flush=True)


VERBS = {verb.__name__: verb for verb in (setup, demo, test, check, bench, fuzz, wheel)}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        say("python3 build.py VERB\n")
        for name, verb in VERBS.items():
            say(f"  {name:8} {verb.__doc__}")
        return 0 if arguments else 2
    if arguments[0] not in VERBS:
        say(f"There is no verb '{arguments[0]}'. There are: {', '.join(VERBS)}.")
        return 2
    try:
        return VERBS[arguments[0]](arguments[1:])
    except Stop as stop:
        say(f"build.py: {stop}")
        return 1
    except KeyboardInterrupt:
        say("Stopped. The same command goes on from here.")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
