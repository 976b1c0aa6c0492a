"""Captures that were sent from another machine, whole or on their way."""

from __future__ import annotations

import os
import time
from pathlib import Path

from backend.store.cards import CaptureCard
from backend.store.workspace import Workspace
from shared_protocol.errors import UserError

_NAME_FILE = ".name"


class CaptureStore:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def is_complete(self, capture: str) -> bool:
        return self._workspace.catalogue.find(CaptureCard, capture) is not None

    def folder(self, capture: str) -> Path:
        """Of a complete capture. Raises UserError for any other."""
        self._workspace.find(CaptureCard, capture, "capture")
        return self._workspace.capture_folder(capture)

    def begin(self, capture: str, name: str) -> Path:
        """A folder to put the files into; it holds what came before the connection was lost."""
        if self.is_complete(capture):
            raise UserError("refused", f"The capture '{name}' is here already.")
        folder = self._workspace.incoming_folder(capture)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / _NAME_FILE).write_text(name, encoding="utf-8")
        except OSError as error:
            message = f"'{folder}' cannot be written to: {error.strerror or error}."
            raise UserError("bad_input", message, "Free some disk space.") from error
        return folder

    def complete(self, capture: str) -> CaptureCard:
        """Everything is there: from now on the capture can be trained on, and nothing in it changes."""
        incoming, target = self._workspace.incoming_folder(capture), self._workspace.capture_folder(capture)
        if self.is_complete(capture):
            return self._workspace.find(CaptureCard, capture, "capture")
        if not incoming.is_dir() and not target.is_dir():
            raise UserError("not_found", "Nothing of this capture was sent.", "Begin it anew.")
        if incoming.is_dir():
            for path in sorted(incoming.rglob("*")):
                _reach_the_disk(path)
            os.replace(incoming, target)
        files = [path for path in target.rglob("*") if path.is_file() and path != target / _NAME_FILE]
        card = CaptureCard(
            id=capture,
            created=time.time(),
            name=(target / _NAME_FILE).read_text(encoding="utf-8"),
            files=len(files),
            bytes=sum(path.stat().st_size for path in files),
        )
        self._workspace.keep(card)
        return card


def _reach_the_disk(path: Path) -> None:
    if path.is_file():
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
