"""Where a client finds the backend and what lets it in: the connection file, and key files for other machines."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import TypeVar

import msgspec

from .errors import UserError

HOME_VARIABLE = "SPLATWRIGHT_HOME"
PLAIN_USER = "splatwright"
CONNECTION_FILE = "backend.json"
_LARGEST_FILE = 2**16

Content = TypeVar("Content", bound=msgspec.Struct)


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a backend on this machine."""

    control: str  # tcp://127.0.0.1:port
    bulk: str
    token: str
    process: int  # of the parent
    ended: str = ""  # why there is no backend any more


class ClientKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What a client on another machine needs; the file is as secret as a password."""

    name: str
    server_public: str
    client_public: str
    client_secret: str


def user_folder() -> Path:
    """Where this user's backends and keys are noted."""
    chosen = os.environ.get(HOME_VARIABLE)
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "splatwright"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "splatwright"
    return Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local" / "state")) / "splatwright"


def connection_file() -> Path:
    return user_folder() / CONNECTION_FILE


def write_private(path: Path, content: msgspec.Struct) -> None:
    """Writes a JSON file, whole or not at all, that only this user can read. Raises UserError when it cannot."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        message = f"'{path}' cannot be written: {error.strerror or error}."
        raise UserError("bad_input", message, f"Choose another folder with {HOME_VARIABLE}.") from error
    finally:
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)


def read_private(path: Path, kind: type[Content]) -> Content:
    """Reads what `write_private` wrote. Raises UserError when it is missing, damaged, or open to other users."""
    try:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            text = stream.read(_LARGEST_FILE)
    except FileNotFoundError as error:
        raise UserError("not_found", f"There is no file '{path}'.") from error
    except OSError as error:
        raise UserError("bad_input", f"'{path}' cannot be read: {error.strerror or error}.") from error
    if os.name == "posix" and (status.st_uid != os.getuid() or status.st_mode & 0o077):
        message = f"'{path}' could have been read or written by another user."
        raise UserError("refused", message, "Remove it, and start the backend or make the key again.")
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, ValueError) as error:
        raise UserError("bad_input", f"'{path}' is damaged: {error}.", "Make it again.") from error


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where a backend is, and what opens its door."""

    control: str
    bulk: str
    token: str = ""
    keys: ClientKeys | None = None


def local_target(path: Path) -> Target:
    """From the connection file. Raises UserError when no backend runs, with the reason when it is known."""
    try:
        found = read_private(path, Connection)
    except UserError as error:
        if error.kind != "not_found":
            raise
        raise UserError("connection", "No backend is running.", "Start one: splatwright serve", "start") from error
    if found.ended:
        raise UserError("connection", f"The backend ended: {found.ended}", "Start it again: splatwright serve", "start")
    return Target(control=found.control, bulk=found.bulk, token=found.token)


def remote_target(address: str, key_file: Path) -> Target:
    """address: HOST:PORT of the control socket; bulk is the next port. Raises UserError."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65535:
        raise UserError("bad_input", f"'{address}' is no address.", "Give HOST:PORT, such as 192.168.1.20:7000.")
    keys = read_private(key_file, ClientKeys)
    return Target(control=f"tcp://{host}:{port}", bulk=f"tcp://{host}:{int(port) + 1}", keys=keys)
