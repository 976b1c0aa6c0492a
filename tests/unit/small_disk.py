"""Runs a script on a real disk that is small, which only that script sees."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
_IN_A_MOUNT_SPACE = ("unshare", "--map-root-user", "--mount", "sh", "-c")


def run_on_small_disk(script: Path, disk: Path, size: str, *arguments: Path) -> dict[str, str]:
    """What `script DISK ARGUMENTS` said, by the word before the colon. size: of the disk, such as "12m"."""
    disk.mkdir()
    mount = f"mount -t tmpfs -o size={size} small '{disk}'"
    if shutil.which("unshare") is None or subprocess.run([*_IN_A_MOUNT_SPACE, mount], check=False).returncode != 0:
        pytest.skip("a small disk cannot be mounted here (unshare --map-root-user --mount)")
    command = " ".join(f"'{part}'" for part in (sys.executable, script, disk, *arguments))
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [*_IN_A_MOUNT_SPACE, f"{mount} && exec {command}"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())
