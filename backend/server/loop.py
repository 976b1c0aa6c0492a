"""The server's loop: waits for the sockets, and hands what comes to the conversation."""

from __future__ import annotations

import contextlib
import errno
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import zmq

from backend.server import door
from backend.server.allowed_folders import AllowedFolders
from backend.server.conversation import Conversation, PeerGoneError, Terms, Threads
from backend.server.listening import Sockets
from backend.server.seam import Desk
from backend.server.sessions import Lane
from backend.server.workers import Mailbox, Worker
from shared_protocol.codec import Buffer
from shared_protocol.messages import Event

log = logging.getLogger(__name__)

_TICK_S = 0.1
_RETRY_S = 0.005  # while something waits for a client that reads slowly
_AT_ONCE = 32  # messages of one socket before the others have their turn
_COPIED_BELOW = 2**16  # bytes; sending larger frames without a copy pays
_ENDING_S = 5.0


class _Line:
    def __init__(self, sockets: Sockets) -> None:
        self._sockets: dict[Lane, zmq.Socket[bytes]] = {"control": sockets.control, "bulk": sockets.bulk}

    def send(self, lane: Lane, peer: bytes, frames: Sequence[Buffer]) -> bool:
        try:
            self._sockets[lane].send_multipart(
                [peer, *frames], zmq.DONTWAIT, copy=sum(map(len, frames)) < _COPIED_BELOW
            )
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno in (zmq.EHOSTUNREACH, errno.ECONNRESET):
                raise PeerGoneError from error
            raise
        return True


class Server:
    """Serves one desk on two sockets until it is asked to end."""

    def __init__(self, *, allowed: Sequence[Path] = (), ended: tuple[str, ...] = ()) -> None:
        """allowed: folders that clients may name. ended: why earlier working processes ended."""
        self._mailbox = Mailbox()
        self._workers = [Worker(name, self._mailbox) for name in ("desk", "chunks", "files")]
        self._allowed, self._ended = allowed, ended
        self._conversation: Conversation | None = None
        self._sockets: Sockets | None = None
        self._running = True

    def on_event(self, event: Event) -> None:
        """For the desk: from any thread."""
        self.post(lambda: self._conversation.happened(event) if self._conversation else None)

    def post(self, call: Callable[[], None]) -> None:
        """Makes a call on the loop; from any thread."""
        self._mailbox.post(call)

    def end(self) -> None:
        """Ends the loop; from any thread."""
        self.post(self._stop)

    def run(self, desk: Desk, sockets: Sockets, on_tick: Callable[[], None] = lambda: None) -> None:
        """Returns when `end` was called. on_tick: called a few times a second."""
        self._sockets = sockets
        local = sockets.address.is_loopback
        folders = AllowedFolders([desk.workspace, *self._allowed], may_grow=local)
        conversation = self._conversation = Conversation(
            desk, _Line(sockets), Threads(*self._workers), folders, Terms(local, self._ended), self.post
        )
        poller = zmq.Poller()
        for waited_for in (sockets.questions, sockets.control, sockets.bulk, self._mailbox):
            poller.register(waited_for, zmq.POLLIN)
        due = 0.0
        while self._running:
            now = time.monotonic()
            if now >= due or conversation.blocked:
                conversation.tick()
                on_tick()
                due = now + _TICK_S
            wait_s = _RETRY_S if conversation.blocked else max(due - now, 0)
            if poller.poll(int(1000 * wait_s) + 1):
                self._answer_the_door(sockets)
                # Control first: what waits there is small and in a hurry.
                self._read("control", sockets.control, conversation)
                self._mailbox.make_calls()
                self._read("bulk", sockets.bulk, conversation)

    def close(self) -> None:
        """After `run`, once the desk is closed: sends what is still to be sent, and frees everything."""
        for worker in self._workers:
            worker.end(_ENDING_S)
        self._mailbox.make_calls()
        if self._sockets is not None:
            self._sockets.close()
        self._mailbox.close()

    def _stop(self) -> None:
        self._running = False

    def _answer_the_door(self, sockets: Sockets) -> None:
        with contextlib.suppress(zmq.Again):
            while True:
                question = sockets.questions.recv_multipart(zmq.DONTWAIT)
                sockets.questions.send_multipart(door.answer(question, sockets.lock))

    def _read(self, lane: Lane, socket: zmq.Socket[bytes], conversation: Conversation) -> None:
        with contextlib.suppress(zmq.Again):
            for _ in range(_AT_ONCE):
                peer, *frames = socket.recv_multipart(zmq.DONTWAIT, copy=False)
                conversation.receive(lane, peer.bytes, [frame.buffer for frame in frames])
