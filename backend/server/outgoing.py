"""Downloads: versions of assets as files, read chunk by chunk, hashed on the way."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from backend.server.seam import Desk
from shared_protocol.errors import UserError
from shared_protocol.messages import CHUNK_BYTES, DownloadChunk, DownloadOpened, OpenDownload, WantChunk

_KEPT_FOR_S = 86400


@dataclass
class _Download:
    path: Path
    size: int
    hashed: int = 0  # bytes that are in the hash
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)


class Outgoing:
    """Files that were written to be fetched. `open` may run on another thread than the rest."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self._desk, self._folder = desk, folder
        self._lock = threading.Lock()
        self._downloads: dict[tuple[str, str], _Download] = {}  # by session and name

    def remove_forgotten(self) -> None:
        """Removes files that nobody fetched to their end."""
        for path in self._folder.glob("*"):
            if path.is_file() and path.stat().st_mtime < time.time() - _KEPT_FOR_S:
                path.unlink()

    def open(self, session: str, request: OpenDownload) -> DownloadOpened:
        """Writes the file, unless it is still here from an earlier try: a version never changes."""
        if not request.version:
            raise UserError("bad_input", "A download needs a version.", "Ask for the asset's versions.")
        name = hashlib.sha256(f"{request.asset}\n{request.version}\n{request.format}".encode()).hexdigest()[:32]
        path = self._folder / f"{name}.{request.format}"
        with self._lock:
            if not path.is_file():
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._desk.export_file(request.asset, request.version, path)
            size = path.stat().st_size
            self._downloads[session, name] = _Download(path, size)
        return DownloadOpened(download=name, size=size, file_name=f"{request.asset}.{request.format}")

    def chunk(self, session: str, request: WantChunk) -> DownloadChunk:
        download = self._downloads.get((session, request.download))
        if download is None:
            raise UserError("connection", "This download is not open.", "Open it again.")
        if request.offset >= max(download.size, 1):
            raise UserError("bad_input", f"The file has {download.size} bytes, none at {request.offset}.")
        data = np.fromfile(download.path, np.uint8, CHUNK_BYTES, offset=request.offset)
        self._hash_up_to(download, request.offset)
        fresh = request.offset + len(data) - download.hashed
        if fresh > 0:
            download.hash.update(data[len(data) - fresh :].data)
            download.hashed += fresh
        is_last = request.offset + len(data) >= download.size
        return DownloadChunk(
            download=request.download,
            offset=request.offset,
            data=data,
            sha256=download.hash.hexdigest() if is_last else "",
        )

    def close(self, session: str, name: str) -> None:
        with self._lock:
            download = self._downloads.pop((session, name), None)
            if download is not None and all(other.path != download.path for other in self._downloads.values()):
                download.path.unlink(missing_ok=True)

    def forget(self, session: str) -> None:
        """The client is gone. Its files stay: it may come back for the rest."""
        with self._lock:
            for key in [key for key in self._downloads if key[0] == session]:
                del self._downloads[key]

    def _hash_up_to(self, download: _Download, offset: int) -> None:
        """A client that went on from an earlier try did not ask for what is before."""
        with download.path.open("rb") as stream:
            stream.seek(download.hashed)
            while download.hashed < offset:
                block = stream.read(min(CHUNK_BYTES, offset - download.hashed))
                if not block:
                    raise UserError("bad_input", "The file became shorter.", "Open the download again.")
                download.hash.update(block)
                download.hashed += len(block)
