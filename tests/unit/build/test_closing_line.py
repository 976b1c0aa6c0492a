from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / ".ci" / "closing_line.py"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("=== 3 passed in 1.50s ===", "3 passed in 1.50s"),
        (
            "=== 1 failed, 12 passed, 2 warnings in 65.25s (0:01:05) ===\n-- 4.5\n13 passed, 1 error in 3.50s\n",
            "1 failed, 25 passed, 2 warnings, 1 error in 68.75s",
        ),
        ("1 error in 1.00s\nresult: 5 passed checks in 3 steps\n1 error in 1.00s", "2 errors in 2.00s"),
    ],
)
def test_the_closing_lines_of_several_runs_are_one(log: str, said: str) -> None:
    told = subprocess.run([sys.executable, SCRIPT], input=log, capture_output=True, text=True, check=True).stdout
    assert told.strip().strip("= ") == said


def test_a_pytest_that_did_not_end_is_noticed() -> None:
    command = [sys.executable, SCRIPT]
    told = subprocess.run(command, input="collecting ...\nKilled\n", capture_output=True, text=True, check=True).stdout
    assert told == "pytest did not come to its end\n"
