"""A real disk that is really full: the job fails in words, nothing half-written stays, and it can be resumed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("full_disk_process.py")
REPOSITORY = Path(__file__).resolve().parents[3]
IN_A_MOUNT_SPACE = ["unshare", "--map-root-user", "--mount", "sh", "-c"]


def test_a_full_disk_costs_a_resume(tiny_capture: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=1m small '{disk}'"
    if (
        shutil.which("unshare") is None
        or subprocess.run([*IN_A_MOUNT_SPACE, mount], check=False, capture_output=True).returncode != 0
    ):
        pytest.skip("a small disk cannot be mounted here (unshare --map-root-user --mount)")
    command = f"{mount} && exec '{sys.executable}' '{SCRIPT}' '{disk}' '{tiny_capture}'"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [*IN_A_MOUNT_SPACE, command], capture_output=True, text=True, check=False, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert "The disk is full" in said["refused"] and "The disk is full" in said["failed"] and int(said["splats"]) > 0
