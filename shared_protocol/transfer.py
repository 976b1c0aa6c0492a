"""Sends and fetches files: several chunks on their way at once, going on after a lost connection, hash at the end."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import numpy as np

from .errors import UserError
from .hashing import HashBeside
from .manifest import hash_file, list_capture, manifest_id
from .messages import (
    CHUNK_BYTES,
    FILES_A_PAGE,
    WINDOW,
    AddCaptureFiles,
    BackendToAddon,
    BeginCapture,
    CaptureMissing,
    CaptureOpened,
    CaptureReady,
    ChunkTaken,
    CloseDownload,
    Done,
    DownloadChunk,
    DownloadOpened,
    FinishCapture,
    OpenDownload,
    OpenUpload,
    UploadChunk,
    UploadOpened,
    WantChunk,
)
from .things import Array, ExportChoices, FileFormat, ManifestFile, Message

if TYPE_CHECKING:
    from .remote import Backend

Progress = Callable[[int, int], None]
Reply = TypeVar("Reply", bound=Message)
CHUNK_S = 120.0  # for one chunk, also on a slow network
FILE_S = 3600.0
_LOOK_S = 0.1  # how soon a transfer that waits sees that it is to stop


class TransferStopped(Exception):
    """Nobody wants it to go on. What was sent stays: started again, it goes on there."""


class Stop(threading.Event):
    """Set from any thread, it ends a transfer within a moment; the transfer then raises TransferStopped."""

    def look(self, _: object = None) -> None:
        if self.is_set():
            raise TransferStopped


def send_file(backend: Backend, path: Path, on_progress: Progress, stop: Stop) -> str:
    """Returns the SHA-256 that names the content. Raises UserError or TransferStopped."""
    try:
        size, sha256 = hash_file(path, stop.look)
    except OSError as error:
        raise UserError("bad_input", f"'{path}' cannot be read: {error.strerror or error}.") from error
    backend.again_when_back(lambda: _send(backend, path, size, sha256, lambda done: on_progress(done, size), stop))
    return sha256


def send_capture(backend: Backend, folder: Path, on_progress: Progress, stop: Stop) -> str:
    """Returns the capture's id. Raises UserError or TransferStopped."""
    files = list_capture(folder, stop.look)
    id, size = manifest_id(files), sum(file.size for file in files)
    backend.again_when_back(lambda: _send_capture(backend, folder, files, id, size, on_progress, stop))
    return id


def _send_capture(
    backend: Backend,
    folder: Path,
    files: tuple[ManifestFile, ...],
    id: str,
    size: int,
    on_progress: Progress,
    stop: Stop,
) -> None:
    begin = BeginCapture(id=id, name=folder.name[:200], files=len(files), bytes=size)
    if backend.request(begin, CaptureOpened).complete:
        on_progress(size, size)
        return
    missing: set[str] = set()
    for start in range(0, len(files), FILES_A_PAGE):
        page = AddCaptureFiles(id=id, files=files[start : start + FILES_A_PAGE])
        missing.update(backend.request(page, CaptureMissing, CHUNK_S).sha256s)
    there = 0
    for file in files:
        stop.look()
        if file.sha256 in missing:
            missing.discard(file.sha256)
            before = there
            _send(
                backend,
                folder / file.path,
                file.size,
                file.sha256,
                lambda done, before=before: on_progress(before + done, size),
                stop,
            )
        there += file.size
        on_progress(there, size)
    backend.request(FinishCapture(id=id), CaptureReady, FILE_S)
    stop.look()


def _send(backend: Backend, path: Path, size: int, sha256: str, taken: Callable[[int], None], stop: Stop) -> None:
    """Sends what the backend lacks of a file."""
    offset = backend.request(OpenUpload(size=size, sha256=sha256), UploadOpened, CHUNK_S).offset
    waiting: deque[Future[BackendToAddon]] = deque()
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            while offset < size or waiting:
                while offset < size and len(waiting) < WINDOW:
                    data = np.frombuffer(stream.read(CHUNK_BYTES), np.uint8)
                    if not len(data):
                        raise UserError("bad_input", f"'{path}' became shorter while it was sent.", "Send it again.")
                    waiting.append(backend.ask(UploadChunk(upload=sha256, offset=offset, data=data)))
                    offset += len(data)
                taken(_answer(waiting.popleft(), ChunkTaken, stop).offset)
    except OSError as error:
        raise UserError("bad_input", f"'{path}' cannot be read: {error.strerror or error}.") from error


@dataclass
class _Part:
    """What of a file has arrived."""

    stream: BinaryIO
    offset: int = 0
    hash: HashBeside = field(default_factory=HashBeside)

    def take(self, data: Array) -> None:
        self.stream.write(data.data)
        self.hash.update(data.data)
        self.offset += len(data)


def fetch_file(
    backend: Backend,
    asset: str,
    version: str,
    path: Path,
    format: FileFormat,
    choices: ExportChoices,
    on_progress: Progress,
) -> None:
    """Writes the file whole or not at all; what arrived before a lost connection is not asked for again."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    request = OpenDownload(asset=asset, version=version, format=format, choices=choices)
    try:
        with temporary.open("xb") as stream:
            part = _Part(stream)
            name = backend.again_when_back(lambda: _fetch(backend, request, part, on_progress))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        kind = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "bad_input"
        raise UserError(kind, f"'{path}' could not be written: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)
    backend.request(CloseDownload(download=name), Done)


def _fetch(backend: Backend, request: OpenDownload, part: _Part, on_progress: Progress) -> str:
    """Fetches what is missing. Returns the download's name."""
    opened = backend.request(request, DownloadOpened, FILE_S)
    wanted, hash = part.offset, ""
    waiting: deque[Future[BackendToAddon]] = deque()
    while part.offset < opened.size:
        while wanted < opened.size and len(waiting) < WINDOW:
            waiting.append(backend.ask(WantChunk(download=opened.download, offset=wanted)))
            wanted += CHUNK_BYTES
        chunk = _answer(waiting.popleft(), DownloadChunk)
        whole = min(CHUNK_BYTES, opened.size - part.offset)
        if chunk.offset != part.offset or chunk.data.dtype != np.uint8 or chunk.data.shape != (whole,):
            raise UserError("bad_input", "The file arrived in pieces that do not fit together.", "Fetch it again.")
        part.take(chunk.data)
        hash = chunk.sha256
        on_progress(part.offset, opened.size)
    if opened.size and hash != part.hash.hexdigest():
        raise UserError("bad_input", "The file arrived changed.", "Fetch it again.")
    return opened.download


def _answer(future: Future[BackendToAddon], kind: type[Reply], stop: Stop | None = None) -> Reply:
    deadline = time.monotonic() + CHUNK_S
    while not future.done():
        if stop is not None:
            stop.look()
        if time.monotonic() >= deadline:
            raise UserError("connection", "The backend did not answer in time.", "Try again; it goes on there.")
        with contextlib.suppress(TimeoutError):
            future.result(_LOOK_S)
    said = future.result()
    if not isinstance(said, kind):
        raise UserError("bad_input", f"The backend answered {type(said).__name__}, not {kind.__name__}.")
    return said
