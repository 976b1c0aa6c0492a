"""Where the link connects to: a backend of this machine by its connection file, one elsewhere by address and key."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from ..protocol import connection, errors
from .backend_link import GoneError

Find = Callable[[], connection.Target]
_HERE_S, _ELSEWHERE_S = 0.3, 5.0  # for the other side's system to take the call


def local(file: Path, not_token: str | None = None) -> Find:
    """not_token: of a backend that is ending or dead; its successor is waited for."""

    def find() -> connection.Target:
        found = _read(file)
        if not_token is not None and (found is None or found.token == not_token):
            raise errors.UserError("connection", "The backend is starting.")
        if found is None:
            raise GoneError
        if found.ended:
            raise GoneError(found.ended)
        if not _answers(found.control, _HERE_S):
            raise errors.UserError("connection", "The backend does not answer.")
        return connection.Target(control=found.control, bulk=found.bulk, token=found.token)

    return find


def remote(address: str, key_file: Path) -> Find:
    """address: HOST:PORT. Raises UserError when it is none, or the key file cannot be read."""
    target = connection.remote_target(address, key_file)

    def find() -> connection.Target:
        if not _answers(target.control, _ELSEWHERE_S):
            raise errors.UserError(
                "connection", f"Nothing answers at {address}.", "Look at the address and the network."
            )
        return target

    return find


def token(file: Path) -> str:
    """Of whichever backend wrote the file last; "" = none did."""
    found = _read(file)
    return "" if found is None else found.token


def is_running(file: Path) -> bool:
    """Whether the backend that wrote the file is there. Raises UserError when the file cannot be trusted."""
    found = _read(file)
    return found is not None and not found.ended and _answers(found.control, _HERE_S)


def _read(file: Path) -> connection.Connection | None:
    try:
        return connection.read_private(file, connection.Connection)
    except errors.UserError as error:
        if error.kind == "not_found":
            return None
        raise


def _answers(endpoint: str, seconds: float) -> bool:
    """endpoint: tcp://host:port"""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), seconds).close()
    except (OSError, ValueError):
        return False
    return True
