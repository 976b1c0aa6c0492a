"""Uploads to a disk that becomes full, then has space again; run by test_full_disk_upload.py: SMALL_DISK."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import numpy as np

from backend.server.incoming import Incoming
from backend.server.workers import attempt
from shared_protocol.messages import CHUNK_BYTES, Failed, OpenUpload, UploadChunk


def main(disk: Path) -> None:
    content = np.random.default_rng(0).integers(0, 256, 2 * CHUNK_BYTES, np.uint8)
    digest = hashlib.sha256(content.data).hexdigest()
    first, second = (
        UploadChunk(upload=digest, offset=start, data=content[start : start + CHUNK_BYTES])
        for start in (0, CHUNK_BYTES)
    )
    announced = OpenUpload(size=len(content), sha256=digest)
    incoming = Incoming(disk / "incoming")
    incoming.open(announced)
    incoming.take(first)
    status = os.statvfs(disk)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(status.f_bavail * status.f_frsize - CHUNK_BYTES // 2))
    failed = attempt(lambda: incoming.take(second))
    assert isinstance(failed, Failed)
    print(f"failed: {failed.kind}")
    refused = attempt(lambda: incoming.open(announced))
    assert isinstance(refused, Failed)
    print(f"refused: {refused.kind}")
    ballast.unlink()
    print(f"offset in the same process: {incoming.open(announced).offset}")
    print(f"offset after a restart: {Incoming(disk / 'incoming').open(announced).offset}")
    again = Incoming(disk / "incoming")
    offset = again.open(announced).offset
    again.take(UploadChunk(upload=digest, offset=offset, data=content[offset:]))
    assert hashlib.sha256(again.path(digest).read_bytes()).hexdigest() == digest
    print("whole: yes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
