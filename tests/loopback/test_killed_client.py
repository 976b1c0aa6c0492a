"""A client's process is killed in the middle of everything; the next client finds its job and goes on with its file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from shared_protocol.messages import CHUNK_BYTES, OpenUpload, UploadOpened
from shared_protocol.remote import Backend

from .conftest import Serving
from .fake_desk import sha256

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are killed the POSIX way")
REPOSITORY = Path(__file__).resolve().parents[2]


def test_what_a_killed_client_began_is_there_for_the_next_one(
    serving: Serving, join: Callable[..., Backend], tmp_path: Path
) -> None:
    folder = tmp_path / "capture"
    folder.mkdir()
    file = folder / "large.ply"
    file.write_bytes(np.random.default_rng(0).bytes(24 * CHUNK_BYTES))
    command = [sys.executable, str(Path(__file__).with_name("dying_client.py")), msgspec.json.encode(serving.target)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    died = subprocess.run([*command, str(file)], env=environment, check=False, timeout=120)
    assert died.returncode == -signal.SIGKILL

    backend = join()
    (job,) = backend.jobs()
    assert (job.name, job.status) == ("orphan", "running")
    deadline = time.monotonic() + 60
    while backend.job(job.job).state().step == job.step:
        assert time.monotonic() < deadline, "the job stands still"
        time.sleep(0.01)
    content = file.read_bytes()
    offset = backend.request(OpenUpload(size=len(content), sha256=sha256(content)), UploadOpened).offset
    assert 3 * CHUNK_BYTES <= offset < len(content) and offset % CHUNK_BYTES == 0
    told: list[int] = []
    digest = backend.send_file(file, lambda done, _all: told.append(done))
    assert told[0] > offset and told[-1] == len(content)
    assert (serving.desk.workspace / "incoming" / digest).read_bytes() == content
