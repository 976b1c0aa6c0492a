"""A working child whose desk is the fake one; asset names are commands that make it die or hang."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from backend.server import child
from backend.server.family import Orders
from shared_protocol.errors import UserError
from shared_protocol.messages import Event, Picture, Render
from shared_protocol.things import AssetInfo

sys.path.insert(0, str(Path(__file__).parent))
from fake_desk import FakeDesk


class MortalDesk(FakeDesk):
    def __init__(self, workspace: Path, on_event: Callable[[Event], None], on_fatal: Callable[[str], None]) -> None:
        super().__init__(workspace, on_event, splats=int(os.environ.get("FAKE_DESK_SPLATS", "10")))
        self._on_fatal = on_fatal
        print("libraries print to standard output")

    def rename(self, asset: str, name: str) -> AssetInfo:
        if asset == "poison":
            self._on_fatal("The GPU stopped working (an illegal address).")
        os.kill(os.getpid(), signal.Signals[asset])
        return super().rename(asset, name)

    def render(self, request: Render) -> Future[Picture]:
        """Called by the server's loop, as in the real desk."""
        if request.stream == "deadlock":
            lock = threading.Lock()
            with lock:
                lock.acquire()
        if request.stream == "deadlock in C":
            ctypes.PyDLL(None).pause()  # without letting any other thread of Python go on
        return super().render(request)

    def close(self) -> None:
        (self.workspace / "closed").write_text(str(os.getpid()))
        super().close()


def make_desk(orders: Orders, on_event: Callable[[Event], None], on_fatal: Callable[[str], None]) -> MortalDesk:
    if orders.workspace.endswith("locked"):
        raise UserError("refused", "Another backend works here.", "End it.")
    if orders.workspace.endswith("stuck"):
        threading.Event().wait()
    return MortalDesk(Path(orders.workspace), on_event, on_fatal)


if __name__ == "__main__":
    sys.exit(child.run(make_desk))
