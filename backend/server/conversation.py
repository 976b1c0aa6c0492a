"""Who said what, and what is answered: every message of every client passes here. Knows no socket."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from backend import machine
from backend.server.allowed_folders import AllowedFolders
from backend.server.answers import Answers, FileRequest, QuickRequest
from backend.server.frames import Frames
from backend.server.seam import Desk
from backend.server.sessions import (
    ASKED_AFTER_S,
    FORGOTTEN_AFTER_S,
    MOST_CREDIT,
    MOST_SESSIONS,
    Lane,
    Session,
    SessionBook,
)
from backend.server.transfers import TransferRequest, Transfers
from backend.server.workers import attempt
from shared_protocol.codec import Buffer, UnreadableError, backend_codec
from shared_protocol.messages import (
    PROTOCOL_VERSION,
    WINDOW,
    AddCaptureFiles,
    AddonToBackend,
    Alive,
    Beat,
    BeginCapture,
    CloseDownload,
    Done,
    DownloadChunk,
    Event,
    ExportFile,
    Failed,
    FetchMesh,
    FetchPhoto,
    FetchSplats,
    FinishCapture,
    GrantFrames,
    Hello,
    ImportFile,
    ImportUpload,
    JobChanged,
    JoinBulk,
    Joined,
    ListFigures,
    ListViews,
    MeasureViews,
    MeshData,
    OpenDownload,
    OpenUpload,
    PhotoData,
    Render,
    Select,
    Splats,
    UploadChunk,
    WantChunk,
    WatchJob,
    Welcome,
)
from shared_protocol.selecting import (
    FetchHistogram,
    FetchSelection,
    FetchValues,
    IndexVersion,
    LabelSplats,
    ListSelections,
    NameSelection,
    PickSplat,
    SelectedSplats,
    SelectionQuestion,
    SplatValues,
    takes_long,
)
from shared_protocol.things import Message

log = logging.getLogger(__name__)

ThreadRequest = (
    QuickRequest
    | FileRequest
    | TransferRequest
    | OpenDownload
    | FetchSplats
    | FetchMesh
    | FetchPhoto
    | Select
    | SelectionQuestion
)

_MOST_UNANSWERED = 256
_MOST_CHUNKS = 2 * WINDOW  # in work for one client; each is as large as a chunk


class PeerGoneError(Exception):
    """There is no such connection any more."""


class Line(Protocol):
    """The sockets, as far as the conversation knows them."""

    def send(self, lane: Lane, peer: bytes, frames: Sequence[Buffer]) -> bool:
        """False when it must wait. Raises PeerGoneError."""
        ...


class Work(Protocol):
    """A thread, as far as the conversation knows it."""

    def ask(self, call: Callable[[], Any], then: Callable[[Any], None]) -> None: ...


@dataclass(frozen=True)
class Threads:
    quick: Work  # calls of the desk, in the order they came
    chunks: Work  # the bytes of uploads and downloads
    slow: Work  # whole files


@dataclass(frozen=True)
class Terms:
    """What holds for every client of this backend."""

    local: bool  # the client is on this machine
    ended: tuple[str, ...] = ()  # why earlier working processes ended


class Conversation:
    """Lives on the server's loop."""

    def __init__(
        self,
        desk: Desk,
        line: Line,
        threads: Threads,
        folders: AllowedFolders,
        terms: Terms,
        post: Callable[[Callable[[], None]], None],
    ) -> None:
        self._desk, self._line, self._threads, self._terms = desk, line, threads, terms
        self._version = machine.splatwright_version()
        self._codec = backend_codec()
        self._sessions = SessionBook()
        self._frames = Frames(desk, post, self._say, self._send_waiting, threads.chunks.ask)
        self._transfers = Transfers(desk)
        self._answers = Answers(desk, folders, self._transfers.incoming)
        threads.chunks.ask(self._transfers.remove_forgotten, lambda _: None)

    @property
    def sessions(self) -> int:
        return len(self._sessions)

    @property
    def blocked(self) -> bool:
        """Something waits for a client that reads slowly."""
        return any(session.said or session.chunks for session in self._sessions)

    def receive(self, lane: Lane, peer: bytes, frames: Sequence[Buffer]) -> None:
        """One message came. Never raises for what is in it."""
        try:
            id, message = self._codec.unpack(frames)
        except UnreadableError as error:
            failed = Failed(kind="refused", message=f"A message could not be read: {error}")
            self._reply(lane, peer, error.id, failed)
            return
        session = self._sessions.of(lane, peer)
        match message:
            case Hello() if lane == "control":
                self._hello(peer, id, message)
            case JoinBulk() if lane == "bulk":
                self._join(peer, id, message)
            case _ if session is None:
                self._reply(lane, peer, id, Failed(kind="refused", message="Say hello first."))
            case _:
                session.heard = time.monotonic()
                self._answer(session, id, message)

    def happened(self, event: Event) -> None:
        """Tells every client."""
        for session in self._sessions:
            if isinstance(event, JobChanged):
                self._frames.happened(session, event)
            self._say(session, 0, event)

    def tick(self) -> None:
        """Sends what had to wait, asks for previews, forgets clients that are gone. Call it a few times a second."""
        now = time.monotonic()
        for session in self._sessions:
            if now - session.heard > FORGOTTEN_AFTER_S:
                self._close(session)
                continue
            if now - session.heard > ASKED_AFTER_S and now - session.asked > ASKED_AFTER_S:
                session.asked = now
                self._ask_whether_there(session)
            self._frames.tick(session, now)
            self._send_waiting(session)

    def _hello(self, peer: bytes, id: int, hello: Hello) -> None:
        if hello.version != PROTOCOL_VERSION:
            message = f"The backend speaks protocol version {PROTOCOL_VERSION}, the client version {hello.version}."
            newer = "client" if hello.version > PROTOCOL_VERSION else "backend"
            older = "backend" if newer == "client" else "client"
            hint = f"Update the {older}: the {newer} is newer."
            self._reply("control", peer, id, Failed(kind="refused", message=message, hint=hint))
            return
        before = self._sessions.of("control", peer)
        if before is not None:
            self._close(before)
        if len(self._sessions) >= MOST_SESSIONS:
            for session in self._sessions:
                self._ask_whether_there(session)
        if len(self._sessions) >= MOST_SESSIONS:
            message = f"The backend serves {MOST_SESSIONS} clients already."
            self._reply("control", peer, id, Failed(kind="refused", message=message, hint="End one of them."))
            return
        session = self._sessions.open(hello.client, peer, time.monotonic())
        welcome = Welcome(
            session=session.id,
            version=PROTOCOL_VERSION,
            backend=self._version,
            device=self._desk.device,
            local=self._terms.local,
            ended=self._terms.ended,
        )
        self._say(session, id, welcome)

    def _ask_whether_there(self, session: Session) -> None:
        """Forgets the client if its connection is gone, which only shows when something is sent."""
        if not session.said:
            self._say(session, 0, self._alive())

    def _alive(self) -> Alive:
        age = self._desk.step_age()
        return Alive(busy=age is not None, step_age_s=age)

    def _join(self, peer: bytes, id: int, join: JoinBulk) -> None:
        session = self._sessions.join(join.session, peer)
        if session is None:
            self._reply("bulk", peer, id, Failed(kind="refused", message="Say hello first."))
            return
        session.heard = time.monotonic()
        self._reply("bulk", peer, id, Joined())

    def _answer(self, session: Session, id: int, message: AddonToBackend) -> None:
        match message:
            case Beat():
                self._say(session, id, self._alive())
            case GrantFrames():
                session.credit = min(session.credit + message.count, MOST_CREDIT)
                self._frames.tick(session, time.monotonic())
                self._send_waiting(session)
            case Render():
                self._frames.render(session, id, message)
            case WatchJob():
                self._say(session, id, attempt(lambda: self._frames.watch(session, message)) or Done())
            case Hello() | JoinBulk():
                self._say(session, id, Failed(kind="refused", message="That belongs on the other socket."))
            case _:
                self._ask(session, id, message)

    def _ask(self, session: Session, id: int, message: ThreadRequest) -> None:
        """Lets a thread find the answer."""
        is_chunk = isinstance(message, UploadChunk | WantChunk)
        if session.unanswered >= _MOST_UNANSWERED or (is_chunk and session.chunks_in_work >= _MOST_CHUNKS):
            hint = f"At most {WINDOW} chunks may be on their way."
            failed = Failed(kind="refused", message="Too many requests are not answered yet.", hint=hint)
            self._say(session, id, failed)
            return
        session.unanswered += 1
        session.chunks_in_work += is_chunk
        thread, call = self._work_for(session, message)

        def then(outcome: Message) -> None:
            session.unanswered -= 1
            session.chunks_in_work -= is_chunk
            if isinstance(outcome, Splats) and isinstance(message, FetchSplats):
                self._frames.put(session, f"splats {message.asset} {message.version}", id, outcome)
            elif isinstance(outcome, MeshData) and isinstance(message, FetchMesh):
                self._frames.put(session, f"mesh {message.job} {message.asset} {message.version}", id, outcome)
            elif isinstance(outcome, PhotoData) and isinstance(message, FetchPhoto):
                self._frames.put(session, f"photo {message.asset} {message.version} {message.view}", id, outcome)
            elif isinstance(outcome, SelectedSplats):
                self._frames.put(session, f"selection {outcome.version} {outcome.selection}", id, outcome)
            elif isinstance(outcome, SplatValues):
                self._frames.put(session, f"values {outcome.version} {outcome.attribute}", id, outcome)
            else:
                self._say(session, id, outcome)

        thread.ask(call, then)

    def _work_for(self, session: Session, message: ThreadRequest) -> tuple[Work, Callable[[], Message]]:
        match message:
            case FetchSplats():
                return self._threads.slow, lambda: self._desk.bake(message.asset, message.version, message.most)
            case FetchMesh(job=""):
                return self._threads.slow, lambda: self._desk.bound_mesh(message.asset, message.version)
            case FetchMesh():
                return self._threads.slow, lambda: self._desk.mesh(message.job)
            case FetchPhoto():
                return self._threads.slow, lambda: self._desk.photo(message)
            case Select():
                work = self._threads.slow if takes_long(message.by) else self._threads.quick
                return work, lambda: self._desk.select(message)
            case (
                PickSplat()
                | NameSelection()
                | ListSelections()
                | FetchSelection()
                | FetchValues()
                | FetchHistogram()
                | IndexVersion()
                | LabelSplats()
            ):
                return self._threads.slow, lambda: self._desk.about_selections(message)
            case OpenDownload():
                return self._threads.slow, lambda: self._transfers.open_download(session.id, message)
            case ImportFile() | ImportUpload() | ExportFile() | ListViews() | MeasureViews() | ListFigures():
                return self._threads.slow, lambda: self._answers.about_files(message)
            case (
                OpenUpload()
                | UploadChunk()
                | BeginCapture()
                | AddCaptureFiles()
                | FinishCapture()
                | WantChunk()
                | CloseDownload()
            ):
                return self._threads.chunks, lambda: self._transfers.answer(session.id, message)
            case _:
                return self._threads.quick, lambda: self._answers.quick(message)

    def _say(self, session: Session, id: int, message: Message) -> None:
        """To a client that said hello; waits if it reads slowly."""
        if isinstance(message, DownloadChunk):
            session.chunks.append((id, message))
        else:
            session.put(id, message)
        if session.reads_too_slowly:
            log.warning("The client %s does not read what it is told; its session ends.", session.client)
            self._close(session)
        else:
            self._send_waiting(session)

    def _send_waiting(self, session: Session) -> None:
        try:
            while session.said:
                key, (id, message) = next(iter(session.said.items()))
                if not self._line.send("control", session.control, self._codec.pack(id, message)):
                    break
                del session.said[key]
        except PeerGoneError:
            self._close(session)
            return
        try:
            self._send_bulk(session)
        except PeerGoneError:
            session.chunks.clear()
            self._sessions.leave_bulk(session)

    def _send_bulk(self, session: Session) -> None:
        while session.bulk is not None and session.chunks:
            id, message = session.chunks[0]
            if not self._line.send("bulk", session.bulk, self._codec.pack(id, message)):
                return
            session.chunks.popleft()
        while session.bulk is not None and session.credit > 0 and session.frames:
            stream, (id, frame) = next(iter(session.frames.items()))
            if not self._line.send("bulk", session.bulk, self._codec.pack(id, frame)):
                return
            del session.frames[stream]
            session.credit -= 1

    def _reply(self, lane: Lane, peer: bytes, id: int, message: Message) -> None:
        """To a connection that need not have said hello: what cannot be sent at once is not sent at all."""
        with contextlib.suppress(PeerGoneError):
            self._line.send(lane, peer, self._codec.pack(id, message))

    def _close(self, session: Session) -> None:
        self._sessions.close(session)
        self._transfers.forget(session.id)
