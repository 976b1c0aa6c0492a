"""Starts the programs that build.py needs, and says what went wrong with them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / "python"
REQUIREMENTS = ROOT / "requirements"


class Stop(Exception):
    """Ends a verb with one sentence for whoever ran it."""


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
