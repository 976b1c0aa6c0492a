"""Decides who may connect, before a peer can send its first message (ZeroMQ's authentication protocol, RFC 27)."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Sequence
from typing import Protocol

import zmq.utils.z85

from backend.server.keys import KeyFolder
from shared_protocol.connection import PLAIN_USER
from shared_protocol.errors import UserError

log = logging.getLogger(__name__)

ENDPOINT = "inproc://zeromq.zap.01"
_PARTS = 6  # of a request, before the credentials


class Lock(Protocol):
    mechanism: bytes

    def opens_for(self, credentials: Sequence[bytes]) -> str | None:
        """The name of whoever has the right credentials, else None."""
        ...


class TokenLock:
    """On loopback: whoever could read the connection file."""

    mechanism = b"PLAIN"

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def opens_for(self, credentials: Sequence[bytes]) -> str | None:
        if len(credentials) != 2 or credentials[0] != PLAIN_USER.encode():
            return None
        return PLAIN_USER if hmac.compare_digest(credentials[1], self._token) else None


class KeyLock:
    """Elsewhere: whoever holds the secret of a key that stands in the folder now."""

    mechanism = b"CURVE"

    def __init__(self, folder: KeyFolder) -> None:
        self._folder = folder

    def opens_for(self, credentials: Sequence[bytes]) -> str | None:
        if len(credentials) != 1:
            return None
        public = zmq.utils.z85.encode(credentials[0]).decode()
        try:
            return next((client.name for client in self._folder.clients() if client.public == public), None)
        except UserError as error:
            log.warning("Nobody is let in: %s", error)
            return None


def answer(request: Sequence[bytes], lock: Lock) -> list[bytes]:
    """The frames that libzmq expects for the frames of its question."""
    if len(request) < _PARTS or request[0] != b"1.0":
        return [b"1.0", request[1] if len(request) > 1 else b"", b"500", b"not understood", b"", b""]
    version, request_id, _domain, address, _routing_id, mechanism = request[:_PARTS]
    name = lock.opens_for(request[_PARTS:]) if mechanism == lock.mechanism else None
    if name is None:
        log.warning("A connection from %s was refused.", address.decode(errors="replace"))
        return [version, request_id, b"400", b"refused", b"", b""]
    return [version, request_id, b"200", b"", name.encode(), b""]
