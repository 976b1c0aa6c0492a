"""A client that starts a job, sends a file, and kills its own process in the middle: TARGET FILE."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec

from shared_protocol.client import connect_to
from shared_protocol.connection import Target
from shared_protocol.messages import CHUNK_BYTES


def main(target: Target, file: Path) -> None:
    def progress(done: int, _all: int) -> None:
        if done >= 3 * CHUNK_BYTES:
            os.kill(os.getpid(), signal.SIGKILL)

    with connect_to(lambda: target) as backend:
        backend.train(file.parent, name="orphan", steps=1_000_000)
        backend.send_file(file, progress)


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Target), Path(sys.argv[2]))
