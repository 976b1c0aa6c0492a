"""Writes a benchmark's figures down: a table on the screen, and a JSON file that also says where they were measured."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PureWindowsPath
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from backend import machine
from backend.splats.io.atomic import write_bytes

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "benchmarks" / "results"

Figure = str | int | float | bool | None


def record(
    name: str,
    claim: str,
    rows: Sequence[Mapping[str, Figure]],
    *,
    device: Literal["cpu", "cuda"],
    settings: Mapping[str, Any] | None = None,
    load_before: float | None = None,
    folder: Path = RESULTS,
) -> Path:
    """Prints `rows` as a table and writes them to `<folder>/<name>.<device>.json`.

    claim: one sentence, what the figures are meant to show.
    rows: one mapping a line of the table; the columns are those of the first row, then any that later rows add.
    load_before: the load average when the benchmark started (its own work raises the one that is read here).
    Returns the file that was written; an older result of the same name and device is replaced.
    """
    result = {
        "benchmark": name,
        "claim": claim,
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *map(without_place, sys.argv[1:])],
        "commit": commit(),
        "device": device,
        "machine": _machine(),
        "versions": machine.versions(),
        "load_average": {"before": load_before, "after": machine.load_average()},
        "settings": dict(settings or {}),
        "rows": [dict(row) for row in rows],
    }
    path = folder / f"{name}.{device}.json"
    write_bytes(path, (json.dumps(result, indent=2, default=str) + "\n").encode())
    _show(name, claim, rows, path)
    return path


def without_place(argument: str) -> str:
    """An argument of the command line, without the paths of this machine.

    An absolute path inside the repository is told from there on; any other path that leads out of it is "PATH".
    """
    option, equals, value = argument.partition("=") if argument.startswith("-") else ("", "", argument)
    path = Path(value)
    if value.startswith("~") or ".." in path.parts or PureWindowsPath(value).is_absolute():
        value = "PATH"
    elif path.is_absolute():
        value = path.relative_to(REPOSITORY).as_posix() if path.is_relative_to(REPOSITORY) else "PATH"
    return f"{option}{equals}{value}"


def commit() -> str | None:
    """The checked-out commit, with "+changes" when tracked files differ from it; None outside a git checkout."""
    head = _git("rev-parse", "--short=12", "HEAD")
    if head is None:
        return None
    return head + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _machine() -> dict[str, Any]:
    total, _free = machine.memory()
    return {
        "cpu": machine.cpu_name(),
        "cores": machine.cpu_count(),
        "memory_bytes": total,
        "threads": {name: os.environ.get(name) for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")},
        "gpus": [{"name": gpu.name, "driver": gpu.driver, "memory_bytes": gpu.memory} for gpu in machine.gpus()],
    }


def _show(name: str, claim: str, rows: Sequence[Mapping[str, Figure]], path: Path) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    table = Table(title=f"{name}: {claim}", title_justify="left")
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(_text(row.get(column)) for column in columns))
    console = Console()
    console.print(table)
    console.print(f"Written to {path}", soft_wrap=True)


def _text(figure: Figure) -> str:
    if figure is None:
        return "-"
    return re.sub(r"\.?0+$", "", f"{figure:.4f}") if isinstance(figure, float) else str(figure)
