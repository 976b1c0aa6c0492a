"""Binds the two sockets, with every limit set before anybody can connect."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

import zmq

from backend.server import door
from backend.server.keys import KeyFolder
from shared_protocol.errors import UserError
from shared_protocol.messages import BULK_FRAME_BYTES, CONTROL_FRAME_BYTES

HIGH_WATER_MARK = 16  # messages, each way, a peer
HANDSHAKE_MS = 5000
HEARTBEAT_MS, GONE_MS = 5000, 15000
_LINGER_MS = 500
_BACKLOG = 64
_HOST_AND_PORT = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<host>[^:]*))(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True)
class Address:
    """Where to listen. Port 0 = the operating system chooses."""

    host: str = "127.0.0.1"
    control_port: int = 0
    bulk_port: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        """From HOST or HOST:PORT, the bulk socket being one port higher. Raises UserError for what is no address."""
        parts = _HOST_AND_PORT.fullmatch(text)
        host, port = (parts["six"] or parts["host"], parts["port"]) if parts else (text, None)
        host = "127.0.0.1" if host == "localhost" else host
        wrong = UserError(
            "bad_input", f"'{text}' is no address to listen on.", "Use an IP address, such as 192.168.1.20:7000."
        )
        try:
            ipaddress.ip_address(host)
            number = int(port or "0")
        except ValueError as error:
            raise wrong from error
        if not 0 <= number < 65535:
            raise wrong
        return cls(host, number, number + 1 if number else 0)

    @property
    def is_loopback(self) -> bool:
        return ipaddress.ip_address(self.host).is_loopback

    def endpoint(self, port: int) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{port or '*'}"


@dataclass(frozen=True)
class Sockets:
    context: zmq.Context[zmq.Socket[bytes]]
    control: zmq.Socket[bytes]
    bulk: zmq.Socket[bytes]
    questions: zmq.Socket[bytes]  # of libzmq: may this one connect?
    lock: door.Lock
    address: Address  # with the ports that were chosen

    def close(self) -> None:
        for socket in (self.control, self.bulk):
            socket.close(linger=_LINGER_MS)
        self.questions.close(linger=0)
        self.context.term()


def listen(address: Address, *, token: str, keys: KeyFolder) -> Sockets:
    """Binds. Raises UserError when the address is not this machine's, is in use, or would let strangers in."""
    if not address.is_loopback and not keys.clients():
        message = f"{address.host} can be reached from other machines, and no client has a key."
        raise UserError("refused", message, "Make one first: splatwright keys make NAME", "splatwright keys make")
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    questions = context.socket(zmq.REP)
    questions.bind(door.ENDPOINT)  # before the others: from now on nobody comes in unasked
    lock: door.Lock = door.TokenLock(token) if address.is_loopback else door.KeyLock(keys)
    own_keys = None if address.is_loopback else keys
    control, bulk = _socket(context, CONTROL_FRAME_BYTES, own_keys), _socket(context, BULK_FRAME_BYTES, own_keys)
    try:
        control.bind(address.endpoint(address.control_port))
        bulk.bind(address.endpoint(address.bulk_port))
    except zmq.ZMQError as error:
        for socket in (control, bulk, questions):
            socket.close(linger=0)
        context.term()
        message = (
            f"The backend cannot listen on {address.host}, port {address.control_port or 'any'}: {error.strerror}."
        )
        raise UserError("connection", message, "Choose another address or port with --address.") from error
    return Sockets(context, control, bulk, questions, lock, Address(address.host, _port(control), _port(bulk)))


def _port(socket: zmq.Socket[bytes]) -> int:
    return int(socket.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])


def _socket(context: zmq.Context[zmq.Socket[bytes]], frame_limit: int, keys: KeyFolder | None) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.ROUTER)
    socket.set(zmq.MAXMSGSIZE, frame_limit)
    socket.set_hwm(HIGH_WATER_MARK)
    socket.set(zmq.IPV6, 1)
    socket.set(zmq.ROUTER_MANDATORY, 1)  # a client that is gone is an error and not silence
    socket.set(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    socket.set(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.set(zmq.HEARTBEAT_TIMEOUT, GONE_MS)
    socket.set(zmq.BACKLOG, _BACKLOG)
    socket.set(zmq.ZAP_DOMAIN, b"splatwright")
    if keys is None:
        socket.set(zmq.PLAIN_SERVER, 1)
    else:
        own = keys.server_keys()
        socket.set(zmq.CURVE_SERVER, 1)
        socket.set(zmq.CURVE_SECRETKEY, own.secret.encode())
        socket.set(zmq.CURVE_PUBLICKEY, own.public.encode())
    return socket
