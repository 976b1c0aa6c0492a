"""A real disk that is really full: an upload fails in words, and goes on when there is space again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared_protocol.messages import CHUNK_BYTES

SCRIPT = Path(__file__).with_name("full_disk_upload.py")
REPOSITORY = Path(__file__).resolve().parents[3]
IN_A_MOUNT_SPACE = ["unshare", "--map-root-user", "--mount", "sh", "-c"]


def test_a_full_disk_costs_an_upload_only_a_pause(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=12m small '{disk}'"
    if (
        shutil.which("unshare") is None
        or subprocess.run([*IN_A_MOUNT_SPACE, mount], check=False, capture_output=True).returncode != 0
    ):
        pytest.skip("a small disk cannot be mounted here (unshare --map-root-user --mount)")
    command = f"{mount} && exec '{sys.executable}' '{SCRIPT}' '{disk}'"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [*IN_A_MOUNT_SPACE, command], capture_output=True, text=True, check=False, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    failed, refused, same_process, restarted, whole = done.stdout.splitlines()
    assert (failed, refused, whole) == ("failed: disk_full", "refused: disk_full", "whole: yes")
    # What was answered is here; of the chunk that failed, what fitted may be.
    for offset in (same_process, restarted):
        assert CHUNK_BYTES <= int(offset.removeprefix("offset: ")) < 2 * CHUNK_BYTES
