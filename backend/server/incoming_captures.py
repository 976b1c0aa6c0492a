"""Capture folders that a client sends: their list of files is checked, only what is missing is asked for."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from backend.server.incoming import Incoming
from backend.server.seam import Desk
from shared_protocol.errors import UserError
from shared_protocol.manifest import complaint_about, manifest_id
from shared_protocol.messages import (
    AddCaptureFiles,
    BeginCapture,
    CaptureMissing,
    CaptureOpened,
    CaptureReady,
    FinishCapture,
)
from shared_protocol.things import ManifestFile

_MOST_OPEN = 8


@dataclass
class _Capture:
    folder: Path
    announced: BeginCapture
    files: dict[str, ManifestFile] = field(default_factory=dict)  # by path


class IncomingCaptures:
    """For one thread, that of `Incoming`."""

    def __init__(self, desk: Desk, incoming: Incoming) -> None:
        self._desk, self._incoming = desk, incoming
        self._captures: dict[str, _Capture] = {}

    def begin(self, request: BeginCapture) -> CaptureOpened:
        if self._desk.capture(request.id):
            return CaptureOpened(id=request.id, complete=True)
        folder = self._desk.capture_begin(request.id, request.name)
        self._captures.pop(request.id, None)
        self._captures[request.id] = _Capture(folder, request)
        while len(self._captures) > _MOST_OPEN:
            del self._captures[next(iter(self._captures))]
        return CaptureOpened(id=request.id, complete=False)

    def add(self, request: AddCaptureFiles) -> CaptureMissing:
        """Raises UserError for a path that leads astray."""
        capture = self._open(request.id)
        for file in request.files:
            complaint = complaint_about(file.path)
            if complaint:
                raise UserError("refused", f"The capture holds a file that cannot be sent: {complaint}.")
            capture.files[file.path] = file
        if len(capture.files) > capture.announced.files:
            raise UserError("bad_input", "The capture holds more files than were announced.", "Send it again.")
        missing = {file.sha256 for file in request.files if not self._is_here(capture, file)}
        return CaptureMissing(sha256s=tuple(sorted(missing)))

    def finish(self, request: FinishCapture) -> CaptureReady:
        """Puts the files in place. Raises UserError when one is missing or the list is not the one announced."""
        if self._desk.capture(request.id):
            return CaptureReady(id=request.id)
        capture = self._open(request.id)
        files = list(capture.files.values())
        if len(files) != capture.announced.files or manifest_id(files) != request.id:
            raise UserError("bad_input", "The capture's list of files is not the one announced.", "Send it again.")
        missing = next((file.path for file in files if not self._is_here(capture, file)), None)
        if missing is not None:
            raise UserError("bad_input", f"The capture's file '{missing}' is missing.", "Send the capture again.")
        waiting: dict[str, list[Path]] = {}
        for file in files:
            place = capture.folder / PurePosixPath(file.path)
            if not _is_file_of_size(place, file.size):
                waiting.setdefault(file.sha256, []).append(place)
        for sha256, places in waiting.items():
            self._put_in_place(sha256, places)
        self._desk.capture_done(request.id)
        del self._captures[request.id]
        return CaptureReady(id=request.id)

    def _put_in_place(self, sha256: str, places: list[Path]) -> None:
        source = self._incoming.path(sha256)
        for place in places:
            place.parent.mkdir(parents=True, exist_ok=True)
        for place in places[1:]:  # files of the same content
            shutil.copyfile(source, place)
        os.replace(source, places[0])

    def _is_here(self, capture: _Capture, file: ManifestFile) -> bool:
        # What stands in its place was moved there whole, after its hash had been checked.
        place = capture.folder / PurePosixPath(file.path)
        return self._incoming.has(file.sha256) or _is_file_of_size(place, file.size)

    def _open(self, id: str) -> _Capture:
        capture = self._captures.get(id)
        if capture is None:
            raise UserError("connection", "This capture is not being sent.", "Begin again; what is here is kept.")
        return capture


def _is_file_of_size(path: Path, size: int) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size == size
