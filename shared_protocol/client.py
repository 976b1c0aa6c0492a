"""Connects to a backend and keeps connected: requests and answers, events, heartbeat, reconnecting after a restart."""

from __future__ import annotations

import contextlib
import itertools
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from pathlib import Path
from typing import Literal, cast

import zmq
from zmq.utils.monitor import recv_monitor_message

from . import packing
from .codec import Buffer, UnreadableError, client_codec
from .connection import PLAIN_USER, Target, connection_file, local_target, remote_target
from .errors import ErrorKind, UserError
from .messages import (
    FIRST_CREDIT,
    PROTOCOL_VERSION,
    AddonToBackend,
    BackendToAddon,
    Beat,
    Event,
    Failed,
    Frame,
    GrantFrames,
    Hello,
    JoinBulk,
    PackedPicture,
    Preview,
    UploadChunk,
    WantChunk,
    Welcome,
)
from .remote import Backend
from .remote_connection import BackendMistake, State
from .things import Message

log = logging.getLogger(__name__)

Lane = Literal["control", "bulk"]
ON_BULK = (UploadChunk, WantChunk, GrantFrames, JoinBulk)
_HIGH_WATER_MARK = 16
_HEARTBEAT_MS, _GONE_MS = 5000, 15000  # of the sockets' own threads
_BEAT_S, _BUSY_S = 2.0, 5.0  # of the backend's loop: silence means that it is busy, not that it is gone
_RETRY_S = 0.3
_HANDSHAKE_S = 10.0
_POLL_MS = 200


def connect(
    address: str | None = None,
    key_file: Path | None = None,
    *,
    name: str = "script",
    timeout_s: float = 20.0,
    on_event: Callable[[Event | Preview], None] | None = None,
    on_state: Callable[[State, str], None] | None = None,
) -> Backend:
    """The backend of this user on this machine, or the one at HOST:PORT with a key file from `splatwright keys make`.

    on_event, on_state: called on the link's thread, so they must be quick; the state comes with a sentence.
    Raises UserError when there is none, it does not let us in, or speaks another version.
    """
    if address is None:
        path = connection_file()

        def find() -> Target:
            return local_target(path)
    elif key_file is None:
        raise UserError("bad_input", "A backend on another machine needs a key file.", "splatwright keys make NAME")
    else:
        target = remote_target(address, key_file)

        def find() -> Target:
            return target

    return connect_to(find, name=name, timeout_s=timeout_s, on_event=on_event, on_state=on_state)


def connect_to(
    find: Callable[[], Target],
    *,
    name: str = "script",
    timeout_s: float = 20.0,
    on_event: Callable[[Event | Preview], None] | None = None,
    on_state: Callable[[State, str], None] | None = None,
) -> Backend:
    """find: asked before each attempt to connect, because a backend may come back elsewhere."""
    link = Link(find, name)
    backend = Backend(link, on_event, on_state)
    link.start(backend.happened, backend.state_changed)
    try:
        backend.wait_until_connected(timeout_s)
    except UserError:
        backend.close()
        raise
    return backend


class _LostError(Exception):
    """The connection ended, for the reason given."""


class Link:
    """One thread that owns the sockets. Everything else may be called from any thread."""

    def __init__(self, find: Callable[[], Target], name: str) -> None:
        self._find, self._name = find, name
        self._codec, self._codec_lock = client_codec(), threading.Lock()
        self._ids = itertools.count(1)
        self._asked: deque[tuple[int, AddonToBackend]] = deque()
        self._futures: dict[int, Future[BackendToAddon]] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._ears, self._mouth = socket.socketpair()
        self._ears.setblocking(False)
        self._mouth.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="backend link", daemon=True)
        self._on_event: Callable[[Event | Preview], None] = lambda _event: None
        self._on_state: Callable[[State, str, Welcome | None], None] = lambda _state, _why, _welcome: None

    def start(
        self, on_event: Callable[[Event | Preview], None], on_state: Callable[[State, str, Welcome | None], None]
    ) -> None:
        self._on_event, self._on_state = on_event, on_state
        self._thread.start()

    def ask(self, message: AddonToBackend) -> Future[BackendToAddon]:
        """The answer, as soon as it comes; a UserError or BackendMistake when it is a failure or the link breaks."""
        future: Future[BackendToAddon] = Future()
        with self._lock:
            if self._closing.is_set():
                raise UserError("connection", "The connection to the backend is closed.", "Connect again.")
            id = next(self._ids)
            self._futures[id] = future
            self._asked.append((id, message))
        self._wake()
        return future

    def close(self) -> None:
        self._closing.set()
        self._wake()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(5)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it wakes anyway; closed: nobody sleeps
            self._mouth.send(b"!")

    def _run(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self._stay_connected(context)
        finally:
            context.term()
            self._closing.set()
            self._on_state("closed", "", None)
            self._fail_all("The connection to the backend is closed.")
            self._ears.close()
            self._mouth.close()

    def _stay_connected(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        why = ""
        while not self._closing.is_set():
            try:
                target = self._find()
                with _Wire(context, target) as wire:
                    self._converse(wire)
            except UserError as error:
                why = str(error)
                self._on_state("refused" if error.kind == "refused" else "absent", why, None)
            except _LostError as lost:
                why = str(lost)
                self._on_state("lost", why, None)
            self._fail_all(why or "The connection to the backend is closed.")
            self._closing.wait(_RETRY_S)

    def _fail_all(self, why: str) -> None:
        with self._lock:
            futures, self._futures = self._futures, {}
            self._asked.clear()
        for future in futures.values():
            _fail(future, UserError("connection", why, "Ask again when the connection is back."))

    # ---- one connection, on the link's thread

    def _converse(self, wire: _Wire) -> None:
        """Returns when the link closes. Raises _LostError or UserError."""
        welcome = self._say_hello(wire)
        self._on_state("connected", " ".join(welcome.ended[-1:]), welcome)
        beaten, is_busy = time.monotonic(), False
        beat: Future[BackendToAddon] | None = None
        while not self._closing.is_set():
            self._send_asked(wire)
            for frames in wire.wait(self._ears):
                self._received(frames, wire)
            now = time.monotonic()
            if beat is None and now - beaten >= _BEAT_S:
                beat, beaten = self.ask(Beat()), now
            if beat is not None and beat.done():
                beat = None
                if is_busy:
                    is_busy = False
                    self._on_state("connected", "", welcome)
            elif beat is not None and now - beaten > _BUSY_S and not is_busy:
                is_busy = True
                self._on_state("busy", "The backend is busy.", welcome)

    def _say_hello(self, wire: _Wire) -> Welcome:
        wire.send("control", self._pack(0, Hello(version=PROTOCOL_VERSION, client=self._name)))
        welcome = cast(Welcome, self._first_answer(wire, Welcome))
        wire.send("bulk", self._pack(0, JoinBulk(session=welcome.session)))
        wire.send("bulk", self._pack(0, GrantFrames(count=FIRST_CREDIT)))
        return welcome

    def _first_answer(self, wire: _Wire, kind: type[Message]) -> Message:
        deadline = time.monotonic() + _HANDSHAKE_S
        while time.monotonic() < deadline and not self._closing.is_set():
            for frames in wire.wait(self._ears):
                _, message = self._unpack(frames)
                if isinstance(message, kind):
                    return message
                if isinstance(message, Failed):
                    raise UserError(cast(ErrorKind, message.kind), message.message, message.hint, message.fix)
        raise _LostError("The backend does not answer.")

    def _send_asked(self, wire: _Wire) -> None:
        while True:
            with self._lock:
                if not self._asked:
                    return
                id, message = self._asked.popleft()
            try:
                frames = self._pack(id, message)
            except TypeError as error:  # the caller's mistake, and not the link's
                future = self._futures.pop(id)
                _fail(future, error)
                continue
            has_arrays = len(frames) > 1
            wire.send("bulk" if has_arrays or isinstance(message, ON_BULK) else "control", frames)

    def _received(self, frames: Sequence[Buffer], wire: _Wire) -> None:
        id, message = self._unpack(frames)
        if isinstance(message, Frame):
            wire.send("bulk", self._pack(0, GrantFrames(count=1)))
        if id == 0:
            if isinstance(message, Event | Preview):
                self._on_event(message)
            elif isinstance(message, Failed):
                raise _LostError(message.message)  # our hello was forgotten, or the backend cannot read us
            return
        with self._lock:
            future = self._futures.pop(id, None)
        if future is None:
            return
        if not isinstance(message, Failed):
            with contextlib.suppress(InvalidStateError):  # cancelled meanwhile
                future.set_result(_unpacked(message))
        elif message.kind == "mistake":
            _fail(future, BackendMistake(message.message))
        else:
            _fail(future, UserError(message.kind, message.message, message.hint, message.fix))

    def _pack(self, id: int, message: AddonToBackend) -> list[Buffer]:
        return self._codec.pack(id, message)

    def _unpack(self, frames: Sequence[Buffer]) -> tuple[int, BackendToAddon]:
        try:
            return self._codec.unpack(frames)
        except UnreadableError as error:
            raise _LostError(f"The backend said something that this version does not understand: {error}") from error


def _unpacked(message: BackendToAddon) -> BackendToAddon:
    if not isinstance(message, PackedPicture):
        return message
    try:
        return packing.unpacked(message)
    except ValueError as error:
        raise _LostError(f"The backend said something that this version does not understand: {error}") from error


def _fail(future: Future[BackendToAddon], error: Exception) -> None:
    with contextlib.suppress(InvalidStateError):  # cancelled meanwhile
        future.set_exception(error)


class _Wire:
    """The two sockets of one connection. Raises _LostError when it ends, UserError when the door stays shut."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], target: Target) -> None:
        self._has_keys = target.keys is not None
        self._sockets = {lane: context.socket(zmq.DEALER) for lane in ("control", "bulk")}
        self._waiting: dict[str, deque[list[Buffer]]] = {lane: deque() for lane in self._sockets}
        wanted = zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        wanted |= zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
        self._monitors = [s.get_monitor_socket(wanted) for s in self._sockets.values()]
        try:
            for lane, endpoint in (("control", target.control), ("bulk", target.bulk)):
                _set_up(self._sockets[lane], target)
                self._sockets[lane].connect(endpoint)
        except (zmq.ZMQError, ValueError) as error:
            self.__exit__()
            message = f"'{target.control}' cannot be connected to: {error}."
            raise UserError("bad_input", message, "Check the address and the key file.") from error

    def __enter__(self) -> _Wire:
        return self

    def __exit__(self, *_: object) -> None:
        for wire in self._sockets.values():
            wire.disable_monitor()
            wire.close(linger=0)
        for monitor in self._monitors:
            monitor.close(linger=0)  # else the context would wait for it

    def send(self, lane: Lane, frames: list[Buffer]) -> None:
        self._waiting[lane].append(frames)
        self._flush(lane)

    def wait(self, ears: socket.socket) -> list[list[Buffer]]:
        """What came, after a moment at most, or as soon as the ears hear something."""
        poller = zmq.Poller()
        poller.register(ears, zmq.POLLIN)
        for lane, wire in self._sockets.items():
            poller.register(wire, zmq.POLLIN | (zmq.POLLOUT if self._waiting[lane] else 0))
        for monitor in self._monitors:
            poller.register(monitor, zmq.POLLIN)
        ready = dict(poller.poll(_POLL_MS))
        if ears.fileno() in ready:
            with contextlib.suppress(BlockingIOError):
                ears.recv(4096)
        received: list[list[Buffer]] = []
        for lane in ("control", "bulk"):
            self._flush(lane)
            with contextlib.suppress(zmq.Again):
                for _ in range(_HIGH_WATER_MARK):
                    frames = self._sockets[lane].recv_multipart(zmq.DONTWAIT, copy=False)
                    received.append([frame.buffer for frame in frames])
        if not received:  # what came before the end is read first
            for monitor in self._monitors:
                if monitor in ready:
                    self._ended(recv_monitor_message(monitor)["event"])
        return received

    def _flush(self, lane: str) -> None:
        waiting = self._waiting[lane]
        with contextlib.suppress(zmq.Again):
            while waiting:
                self._sockets[lane].send_multipart(waiting[0], zmq.DONTWAIT, copy=False)
                waiting.popleft()

    def _ended(self, event: zmq.Event | int) -> None:
        if event == zmq.EVENT_DISCONNECTED:
            raise _LostError("The connection to the backend was lost.")
        if event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL and not self._has_keys:
            raise _LostError("The backend went away.")
        hint = "Ask for a new key file: splatwright keys make NAME" if self._has_keys else "Start the backend again."
        raise UserError("refused", "The backend did not let this client in.", hint)


def _set_up(wire: zmq.Socket[bytes], target: Target) -> None:
    wire.set_hwm(_HIGH_WATER_MARK)
    wire.set(zmq.IPV6, 1)
    wire.set(zmq.IMMEDIATE, 1)  # nothing waits for a connection that may never be
    wire.set(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
    wire.set(zmq.HEARTBEAT_TIMEOUT, _GONE_MS)
    if target.keys is None:
        wire.set(zmq.PLAIN_USERNAME, PLAIN_USER.encode())
        wire.set(zmq.PLAIN_PASSWORD, target.token.encode())
    else:
        wire.set(zmq.CURVE_SERVERKEY, target.keys.server_public.encode())
        wire.set(zmq.CURVE_PUBLICKEY, target.keys.client_public.encode())
        wire.set(zmq.CURVE_SECRETKEY, target.keys.client_secret.encode())
