"""The CURVE keys that let clients on other machines in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import msgspec
import zmq

from shared_protocol.connection import ClientKeys, read_private, user_folder, write_private
from shared_protocol.errors import UserError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class ServerKeys(msgspec.Struct, frozen=True, kw_only=True):
    public: str
    secret: str


class KnownClient(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    public: str


@dataclass(frozen=True)
class KeyFolder:
    """Holds the backend's own key pair and the public keys of the clients it lets in."""

    path: Path

    @classmethod
    def of_user(cls) -> KeyFolder:
        return cls(user_folder() / "keys")

    def server_keys(self) -> ServerKeys:
        """The backend's own keys, made when they are asked for the first time."""
        path = self.path / "server.json"
        if not path.exists():
            public, secret = zmq.curve_keypair()
            write_private(path, ServerKeys(public=public.decode(), secret=secret.decode()))
        return read_private(path, ServerKeys)

    def make(self, name: str, client_file: Path) -> ClientKeys:
        """Writes the secret file for a new client, and remembers the client. Raises UserError for a name in use."""
        path = self._client_path(name)
        if path.exists():
            raise UserError("bad_input", f"There is a client key called '{name}' already.", "Choose another name.")
        if client_file.exists():
            raise UserError("bad_input", f"'{client_file}' exists already.", "Choose another file with --output.")
        server = self.server_keys()
        public, secret = zmq.curve_keypair()
        keys = ClientKeys(
            name=name, server_public=server.public, client_public=public.decode(), client_secret=secret.decode()
        )
        write_private(client_file, keys)
        write_private(path, KnownClient(name=name, public=keys.client_public))
        return keys

    def remove(self, name: str) -> None:
        """Lets the client in no longer. Raises UserError when it is not known."""
        path = self._client_path(name)
        if not path.is_file():
            raise UserError("not_found", f"There is no client key called '{name}'.", "See: splatwright keys list")
        path.unlink()

    def clients(self) -> tuple[KnownClient, ...]:
        paths = sorted((self.path / "clients").glob("*.json"))
        return tuple(read_private(path, KnownClient) for path in paths)

    def _client_path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            message = f"'{name}' cannot be the name of a key."
            raise UserError("bad_input", message, "Use up to 64 letters, digits, - and _.")
        return self.path / "clients" / f"{name}.json"
