"""A peer that speaks the transport by hand (ZMTP 3.1), so that it can say what no library would."""

from __future__ import annotations

import socket
import struct
from typing import Self

from shared_protocol.connection import PLAIN_USER


class RawPeer:
    def __init__(self, endpoint: str) -> None:
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def greet(self, mechanism: bytes = b"PLAIN") -> None:
        greeting = b"\xff" + bytes(8) + b"\x7f\x03\x01" + mechanism.ljust(20, b"\0") + bytes(32)
        self.socket.sendall(greeting)
        self.read(64)

    def log_in(self, token: str) -> bool:
        """False when the other side closed the door."""
        self.greet()
        user, password = PLAIN_USER.encode(), token.encode()
        self.command(b"HELLO", bytes([len(user)]) + user + bytes([len(password)]) + password)
        if not self.next_frame().startswith(b"\x07WELCOME"):
            return False
        self.command(b"INITIATE", b"\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER")
        return self.next_frame().startswith(b"\x05READY")

    def command(self, name: bytes, body: bytes) -> None:
        self.frame(bytes([len(name)]) + name + body, flags=4)

    def frame(self, body: bytes, flags: int = 0) -> None:
        self.socket.sendall(self.header(len(body), flags) + body)

    def header(self, size: int, flags: int = 0) -> bytes:
        return bytes([flags, size]) if size < 256 else bytes([flags | 2]) + struct.pack(">Q", size)

    def next_frame(self) -> bytes:
        """The next frame's body; b"" when the connection is closed."""
        head = self.read(2)
        if len(head) < 2:
            return b""
        size = struct.unpack(">Q", head[1:] + self.read(7))[0] if head[0] & 2 else head[1]
        return self.read(size)

    def read(self, size: int) -> bytes:
        data = b""
        try:
            while len(data) < size and (part := self.socket.recv(size - len(data))):
                data += part
        except ConnectionError:
            pass
        return data

    def is_cut_off(self, seconds: float) -> bool:
        """Whether the other side ends the connection within that time."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True
