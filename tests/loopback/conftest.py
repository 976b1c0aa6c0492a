"""A real server on real sockets, with a desk that only pretends to work."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from backend.server.keys import KeyFolder
from backend.server.listening import Address, listen
from backend.server.loop import Server
from shared_protocol.client import connect_to
from shared_protocol.connection import Target
from shared_protocol.remote import Backend

from .fake_desk import FakeDesk

TOKEN = "5" * 64


class Serving:
    """A server on a thread of this process."""

    def __init__(
        self,
        workspace: Path,
        *,
        address: Address | None = None,
        keys: KeyFolder | None = None,
        allowed: Sequence[Path] = (),
        **desk: int,
    ):
        keys = keys or KeyFolder(workspace.parent / "keys")
        self.sockets = listen(address or Address(), token=TOKEN, keys=keys)
        self.server = Server(allowed=allowed)
        self.desk = FakeDesk(workspace, self.server.on_event, **desk)
        self.target = Target(
            control=self.sockets.address.endpoint(self.sockets.address.control_port),
            bulk=self.sockets.address.endpoint(self.sockets.address.bulk_port),
            token=TOKEN,
        )
        self._thread = threading.Thread(target=self.server.run, args=(self.desk, self.sockets), daemon=True)
        self._thread.start()

    @property
    def is_well(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        if self.desk.closed:
            return
        self.server.end()
        self._thread.join(10)
        assert not self._thread.is_alive(), "the server does not end"
        self.desk.close()
        self.server.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    with contextlib.ExitStack() as stack:

        def start(**options) -> Serving:
            serving = Serving(tmp_path / "workspace", **options)
            stack.callback(serving.close)
            return serving

        yield start


@pytest.fixture
def serving(serve: Callable[..., Serving]) -> Serving:
    return serve()


@pytest.fixture
def join(serving: Serving) -> Iterator[Callable[..., Backend]]:
    with contextlib.ExitStack() as stack:

        def connect(target: Target | None = None, **options) -> Backend:
            return stack.enter_context(connect_to(lambda: target or serving.target, timeout_s=10, **options))

        yield connect


@pytest.fixture
def backend(join: Callable[..., Backend]) -> Backend:
    return join()
