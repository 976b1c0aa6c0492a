"""Runs the tests of this folder in the Python that has Blender; `build.py test-blender` does that with the right zips.

What is given goes to pytest; files may be named as seen from the repository. Python is ended at once with pytest's
code, because Blender 4.5 can hang for ever while Python takes it down.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
REPOSITORY = TESTS.parents[1]


def main(arguments: list[str]) -> int:
    placed = [str(REPOSITORY / word) if is_in_repository(word) else word for word in arguments]
    chosen = placed if any(map(is_in_repository, arguments)) else [*placed, str(TESTS)]
    options = ["-c", str(TESTS / "pytest.ini"), "--rootdir", str(TESTS), "--confcutdir", str(TESTS.parent)]
    return int(pytest.main([*options, *chosen]))


def is_in_repository(word: str) -> bool:
    return not word.startswith("-") and (REPOSITORY / word.partition("::")[0]).exists()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
