"""Answers the requests that move files between the machines."""

from __future__ import annotations

from typing import assert_never

from backend.server.incoming import Incoming
from backend.server.incoming_captures import IncomingCaptures
from backend.server.outgoing import Outgoing
from backend.server.seam import Desk
from shared_protocol.messages import (
    AddCaptureFiles,
    BeginCapture,
    CloseDownload,
    Done,
    FinishCapture,
    OpenDownload,
    OpenUpload,
    UploadChunk,
    WantChunk,
)
from shared_protocol.things import Message

TransferRequest = OpenUpload | UploadChunk | BeginCapture | AddCaptureFiles | FinishCapture | WantChunk | CloseDownload


class Transfers:
    """For one thread, except `open_download` and `forget`."""

    def __init__(self, desk: Desk) -> None:
        self.incoming = Incoming(desk.workspace / "incoming")
        self._captures = IncomingCaptures(desk, self.incoming)
        self._outgoing = Outgoing(desk, desk.workspace / "outgoing")

    def remove_forgotten(self) -> None:
        self.incoming.remove_forgotten()
        self._outgoing.remove_forgotten()

    def open_download(self, session: str, request: OpenDownload) -> Message:
        """May take long: the file is written first."""
        return self._outgoing.open(session, request)

    def answer(self, session: str, request: TransferRequest) -> Message:
        """Raises UserError for what the user can mend."""
        match request:
            case OpenUpload():
                return self.incoming.open(request)
            case UploadChunk():
                return self.incoming.take(request)
            case BeginCapture():
                return self._captures.begin(request)
            case AddCaptureFiles():
                return self._captures.add(request)
            case FinishCapture():
                return self._captures.finish(request)
            case WantChunk():
                return self._outgoing.chunk(session, request)
            case CloseDownload():
                self._outgoing.close(session, request.download)
                return Done()
            case _:
                assert_never(request)

    def forget(self, session: str) -> None:
        """The client is gone."""
        self._outgoing.forget(session)
