"""The working process: a desk and a server, from its parent's orders to its end."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Protocol

import msgspec

from backend.server.family import (
    FATAL,
    UNABLE,
    AreYouThere,
    Dying,
    EndNow,
    FromChild,
    FromParent,
    Here,
    Orders,
    OwnerGone,
    Ready,
    Unable,
    line,
)
from backend.server.keys import KeyFolder
from backend.server.listening import listen
from backend.server.loop import Server
from backend.server.seam import Desk
from shared_protocol.errors import UserError
from shared_protocol.messages import Event

log = logging.getLogger(__name__)

_MOST_FILES = 2**16


class DeskMaker(Protocol):
    def __call__(
        self, orders: Orders, on_event: Callable[[Event], None], on_fatal: Callable[[str], None], /
    ) -> Desk: ...


def run(make_desk: DeskMaker) -> int:
    """Works until the parent says so or is gone. Returns the exit code."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    _show_stacks_in_the_log()
    _make_room_for_connections()
    # Ctrl-C reaches the whole terminal; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Unbuffered: a thread that waits in a buffered reader would hold its lock when Python ends.
    orders_in, reports_out = FileIO(sys.stdin.fileno(), closefd=False), _own_standard_output()
    orders = msgspec.json.decode(orders_in.readline(), type=Orders)
    return _Child(orders, reports_out).run(make_desk, orders_in)


def _show_stacks_in_the_log() -> None:
    """Where every thread stood: of a crash, and when the parent asks before it kills a child that hangs."""
    faulthandler.enable()
    if sys.platform != "win32":
        faulthandler.register(signal.SIGUSR1)


def _make_room_for_connections() -> None:
    """A stranger's connection lasts for the seconds of a handshake; many of them must not use up our files."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _own_standard_output() -> FileIO:
    """Standard output for reports alone: what libraries print goes to standard error."""
    own = FileIO(os.dup(1), "wb")
    os.dup2(2, 1)
    return own


class _Child:
    def __init__(self, orders: Orders, reports: FileIO) -> None:
        self._orders, self._reports = orders, reports
        self._ends_when_idle = False
        self._server = Server(allowed=[Path(path) for path in orders.allowed], ended=orders.ended)

    def run(self, make_desk: DeskMaker, orders_in: FileIO) -> int:
        orders = self._orders
        try:
            desk = make_desk(orders, self._server.on_event, self._die)
            try:
                sockets = listen(orders.address, token=orders.token, keys=KeyFolder(Path(orders.keys)))
            except UserError:
                desk.close()
                raise
        except UserError as error:
            self._report(Unable(kind=error.kind, message=error.message, hint=error.hint))
            return UNABLE
        address = sockets.address
        control, bulk = address.endpoint(address.control_port), address.endpoint(address.bulk_port)
        threading.Thread(target=self._listen_to_parent, args=(orders_in,), name="parent", daemon=True).start()
        self._report(Ready(control=control, bulk=bulk, address=address))
        self._server.run(desk, sockets, lambda: self._look_whether_idle(desk))
        desk.close()
        self._server.close()
        return 0

    def _look_whether_idle(self, desk: Desk) -> None:
        if self._ends_when_idle and desk.is_idle:
            self._server.end()

    def _listen_to_parent(self, orders_in: FileIO) -> None:
        for text in orders_in:
            match msgspec.json.decode(text, type=FromParent):
                case EndNow() | OwnerGone(at_end="checkpoint"):
                    self._server.end()
                case OwnerGone():
                    self._ends_when_idle = True
                case AreYouThere():
                    self._server.post(lambda: self._report(Here()))
        # The parent is gone: nobody would restart us, so leave nothing half done. Nobody would kill us either.
        faulthandler.dump_traceback_later(self._orders.patience.ending_s, exit=True)
        self._server.end()

    def _die(self, reason: str) -> None:
        """For the desk: the process is broken, and would only write nonsense."""
        self._report(Dying(reason))
        os._exit(FATAL)

    def _report(self, message: FromChild) -> None:
        try:
            self._reports.write(line(message))
        except BrokenPipeError:
            log.warning("The parent is gone.")
