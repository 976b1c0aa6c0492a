#!/usr/bin/env python3
"""Everything one runs in this repository: python3 build.py VERB. Needs nothing but Python itself.

The syntax stays readable for Python 3.6, so that an old Python can say one clear sentence instead of a SyntaxError.
"""

import ast
import re
import shutil
import subprocess
import sys
import tempfile

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

from collections.abc import Callable  # noqa: E402  after the question whether this Python is new enough
from pathlib import Path  # noqa: E402

from building import backend_wheel, blender, extension_zips, oracles, window  # noqa: E402
from building.demo import run as tour  # noqa: E402
from building.environment import BLENDER_STUBS, install_stubs, pip, prepare  # noqa: E402
from building.process import BIN, PYTHON, ROOT, Stop, call, child_environment, refuse, run, say  # noqa: E402

# ---- verbs


def setup(arguments: list[str]) -> int:
    """Make .venv with everything pinned, compile the kernels; quick when nothing changed."""
    refuse(arguments)
    prepare("test", "check")
    install_stubs()
    oracles.install_oracles()
    say(f"Ready. The command line is {BIN / 'splatwright'}; python3 build.py demo shows it at work.")
    return 0


def demo(arguments: list[str]) -> int:
    """Set up, then turn a scene of Blender's (or --capture FOLDER) into splats, meshed, posed and rendered."""
    prepare()
    tour.demo(arguments)
    return 0


def test(arguments: list[str]) -> int:
    """Set up, then run the tests; what follows goes to pytest (-k name, -x, a file)."""
    prepare("test")
    oracles.install_oracles()
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
    """Say 100,000 wrong things to the server, and read as many broken files; the figures are recorded.

    `fuzz protocol --messages N --seed N` and `fuzz formats --files N --seed N` do one of them.
    """
    prepare("test")
    kinds = [arguments.pop(0)] if arguments and arguments[0] in ("protocol", "formats") else ["protocol", "formats"]
    return max(call([PYTHON, "-m", f"benchmarks.fuzz_{kind}", *arguments]) for kind in kinds)


def wheel(arguments: list[str]) -> int:
    """Build dist/splatwright-*.whl and see that the command in it starts."""
    refuse(arguments)
    prepare()
    (ROOT / "dist").mkdir(exist_ok=True)
    for older in (ROOT / "dist").glob("*.whl"):
        older.unlink()
    built = Path(shutil.copy(backend_wheel.build(), ROOT / "dist"))
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


def extension(arguments: list[str]) -> int:
    """Build and validate the zips for Blender, and dist/repository/, which can be hosted."""
    refuse(arguments)
    output = ROOT / "dist"
    built = extension_zips.build(output)
    validated = blender.validate(built) and blender.make_repository(built, output / "repository")
    for path in built:
        say(f"Built {path} ({path.stat().st_size / 1e6:.1f} MB).")
    if validated:
        say(f"Built {output / 'repository'}: host this folder, docs/installing.md says how.")
    else:
        say("Blender itself has not looked at them: no Blender as a Python module is here (test-blender makes one).")
    return 0


def catalog(arguments: list[str]) -> int:
    """Write blender_addon/catalog.json: every method, so that Blender's panel is drawn before a backend runs."""
    refuse(arguments)
    prepare()
    target = ROOT / "blender_addon" / "catalog.json"
    asked = (
        "import msgspec, pathlib, sys; from backend.methods import registry; from backend.splats.io import atomic\n"
        "text = msgspec.json.format(msgspec.json.encode(registry.catalog()))\n"
        "atomic.write_bytes(pathlib.Path(sys.argv[1]), text + b'\\n')"
    )
    run([PYTHON, "-c", asked, target], "The methods could not be described.")
    say(f"Wrote {target}.")
    return 0


def test_blender(arguments: list[str]) -> int:
    """Run tests/blender against the built zips (test-blender [4.5 5.0 5.2] [what goes to pytest])."""
    wanted = [argument for argument in arguments if re.fullmatch(r"\d\.\d", argument)]
    unknown = [version for version in wanted if version not in blender.VERSIONS]
    if unknown:
        raise Stop(f"There is no Blender {unknown[0]} to test in. There are: {', '.join(blender.VERSIONS)}.")
    prepare("test")  # the backend that the tests talk to
    rest = [argument for argument in arguments if argument not in wanted]
    return blender.test(wanted or list(blender.VERSIONS), extension_zips.build(ROOT / "dist"), rest)


def test_window(arguments: list[str]) -> int:
    """Run tests/window: the built zip in a real Blender, clicked through (what follows goes to pytest)."""
    prepare("test")
    return window.test(extension_zips.build(ROOT / "dist"), arguments)


# ---- pieces of verbs


def is_command(path: Path) -> bool:
    return 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")


def summary_of(path: Path) -> str:
    documentation = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return documentation.partition("\n")[0]


VERBS = {
    verb.__name__.replace("_", "-"): verb
    for verb in (setup, demo, test, test_blender, test_window, check, bench, fuzz, wheel, extension, catalog)
}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        say("python3 build.py VERB\n")
        for name, verb in VERBS.items():
            say(f"  {name:12} {verb.__doc__}")
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
