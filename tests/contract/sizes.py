"""Warns about long files and functions, a sign to look for the second thing inside; far too long a file is a failure.

Run as `python tests/contract/sizes.py`; `build.py check` does.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOMS = ("backend", "blender_addon", "building", "shared_protocol", "benchmarks", "tests")

FILE_GOAL, FILE_LIMIT, FUNCTION_GOAL = 400, 600, 60  # lines


def complaints(name: str, text: str) -> Iterator[str]:
    """One line for each thing that is too long; it begins with "error" when it must not stay so."""
    lines = len(text.splitlines())
    if lines > FILE_GOAL:
        yield f"{'error' if lines > FILE_LIMIT else 'warning'}: {name} has {lines} lines (goal {FILE_GOAL})"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_GOAL:
                yield f"warning: {name}:{node.lineno} {node.name} has {length} lines (goal {FUNCTION_GOAL})"


def main(repository: Path) -> int:
    sources = [repository / "build.py", *(path for room in ROOMS for path in sorted((repository / room).rglob("*.py")))]
    failed = False
    for path in sources:
        for complaint in complaints(path.relative_to(repository).as_posix(), path.read_text(encoding="utf-8")):
            print(complaint)
            failed |= complaint.startswith("error")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parents[2]))
