"""Uploads: bytes that a client sends, named by their hash, resumable, and checked before they are used."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from backend.server.workers import DISK_FULL
from shared_protocol.errors import UserError
from shared_protocol.hashing import HashBeside
from shared_protocol.messages import CHUNK_BYTES, ChunkTaken, OpenUpload, UploadChunk, UploadOpened

_KEPT_FOR_S = 7 * 86400  # an upload that nobody went on with, or asked for
_MOST_OPEN = 64


@dataclass
class _Upload:
    size: int
    offset: int
    hash: HashBeside = field(default_factory=HashBeside)


class Incoming:
    """The folder of uploads. `<sha256>.part` grows, `<sha256>` is complete. For one thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._uploads: dict[str, _Upload] = {}  # that are open, the one that was used last at the end

    def remove_forgotten(self) -> None:
        """Removes what was left behind a week ago."""
        for path in self._folder.glob("*"):
            if path.is_file() and path.stat().st_mtime < time.time() - _KEPT_FOR_S:
                path.unlink()

    def path(self, sha256: str) -> Path:
        """Of a complete upload. Raises UserError when it is not here."""
        path = self._folder / sha256
        if not path.is_file():
            raise UserError("not_found", "The file was not uploaded, or not to its end.", "Send it again.")
        return path

    def has(self, sha256: str) -> bool:
        return (self._folder / sha256).is_file()

    def open(self, request: OpenUpload) -> UploadOpened:
        """Tells how much is here already. Raises UserError when the rest would not fit on the disk."""
        if self.has(request.sha256):
            return UploadOpened(upload=request.sha256, offset=request.size)
        upload = self._uploads.pop(request.sha256, None) or self._from_disk(request)
        if upload.size != request.size:
            raise UserError("bad_input", "The same upload was announced with another size.", "Send the file again.")
        if shutil.disk_usage(self._folder).free < request.size - upload.offset:
            raise DISK_FULL
        self._uploads[request.sha256] = upload
        while len(self._uploads) > _MOST_OPEN:
            del self._uploads[next(iter(self._uploads))]
        if upload.offset == upload.size:  # an empty file, or a crash between the last byte and the name
            self._finish(request.sha256, upload)
        return UploadOpened(upload=request.sha256, offset=upload.offset)

    def take(self, chunk: UploadChunk) -> ChunkTaken:
        """Writes a chunk. Raises UserError for one that was not expected, and when the whole is not what was announced.

        A chunk that is here already is taken without a word: two clients may send the same file.
        """
        upload = self._uploads.get(chunk.upload)
        if upload is None:
            if self.has(chunk.upload):
                return ChunkTaken(upload=chunk.upload, offset=(self._folder / chunk.upload).stat().st_size)
            raise UserError("connection", "This upload is not open.", "Open it again; it goes on where it was.")
        data = chunk.data
        if data.dtype != np.uint8 or data.ndim != 1 or not 0 < len(data) <= CHUNK_BYTES:
            raise UserError("bad_input", f"A chunk must hold 1 to {CHUNK_BYTES} bytes.")
        if chunk.offset < upload.offset:
            return ChunkTaken(upload=chunk.upload, offset=upload.offset)
        if chunk.offset > upload.offset or chunk.offset + len(data) > upload.size:
            message = f"A chunk starts at byte {chunk.offset}, but {upload.offset} of {upload.size} are here."
            raise UserError("bad_input", message, "Open the upload again.")
        self._write(chunk.upload, upload, data.data)
        if upload.offset == upload.size:
            self._finish(chunk.upload, upload)
        return ChunkTaken(upload=chunk.upload, offset=upload.offset)

    def remove(self, sha256: str) -> None:
        self._uploads.pop(sha256, None)
        for path in (self._folder / sha256, self._part(sha256)):
            path.unlink(missing_ok=True)

    def _from_disk(self, request: OpenUpload) -> _Upload:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part, upload = self._part(request.sha256), _Upload(request.size, 0)
        if part.is_file():
            if part.stat().st_size > request.size:
                part.unlink()
            else:
                with part.open("rb") as stream:
                    while block := stream.read(CHUNK_BYTES):
                        upload.hash.update(block)
                        upload.offset += len(block)
        return upload

    def _write(self, sha256: str, upload: _Upload, data: memoryview) -> None:
        with self._part(sha256).open("r+b" if upload.offset else "wb") as stream:
            stream.seek(upload.offset)
            stream.write(data)
        upload.hash.update(data)
        upload.offset += len(data)

    def _finish(self, sha256: str, upload: _Upload) -> None:
        del self._uploads[sha256]
        if upload.hash.hexdigest() != sha256:
            self.remove(sha256)
            message = "The file arrived changed, so it was thrown away."
            raise UserError("bad_input", message, "Send it again, and do not change it meanwhile.")
        part = self._part(sha256)
        with part.open("ab") as stream:
            os.fsync(stream.fileno())
        os.replace(part, self._folder / sha256)

    def _part(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.part"
