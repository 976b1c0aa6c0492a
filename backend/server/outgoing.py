"""Downloads: versions of assets as files, read chunk by chunk, hashed on the way."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from backend.server.seam import Desk
from shared_protocol.errors import UserError
from shared_protocol.messages import CHUNK_BYTES, DownloadChunk, DownloadOpened, OpenDownload, WantChunk

_KEPT_FOR_S = 86400


@dataclass
class _Download:
    path: Path
    # Mapped, not read: fresh memory for every chunk costs more than hashing it. The file is replaced, never cut short.
    content: np.ndarray  # uint8 [bytes]
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
        """Writes the file, unless it is still here from an earlier try: a version never changes, but a pose may."""
        if not request.version:
            raise UserError("bad_input", "A download needs a version.", "Ask for the asset's versions.")
        name = hashlib.sha256(msgspec.json.encode(request)).hexdigest()[:32]
        path = self._folder / f"{name}.{request.format}"
        with self._lock:
            if request.choices.pose or not path.is_file():
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._desk.export_file(request.asset, request.version, path, request.choices)
            if path.is_dir():
                shutil.rmtree(path)
                message = f"What '{request.format}' writes is a folder, which cannot be fetched."
                raise UserError("unsupported", message, "Ask for safetensors, which holds the same.")
            content = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.empty(0, np.uint8)
            self._downloads[session, name] = _Download(path, content)
        return DownloadOpened(download=name, size=len(content), file_name=f"{request.asset}.{request.format}")

    def chunk(self, session: str, request: WantChunk) -> DownloadChunk:
        download = self._downloads.get((session, request.download))
        if download is None:
            raise UserError("connection", "This download is not open.", "Open it again.")
        size = len(download.content)
        if request.offset >= size:
            raise UserError("bad_input", f"The file has {size} bytes, none at {request.offset}.")
        end = min(request.offset + CHUNK_BYTES, size)
        # A client that went on from an earlier try did not ask for what is before.
        for start in range(download.hashed, end, CHUNK_BYTES):
            download.hash.update(download.content[start : min(start + CHUNK_BYTES, end)].data)
        download.hashed = max(download.hashed, end)
        return DownloadChunk(
            download=request.download,
            offset=request.offset,
            data=download.content[request.offset : end],
            sha256=download.hash.hexdigest() if end == size else "",
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
