"""What the user chose about the backend, as plain data."""

from __future__ import annotations

from typing import Literal

import msgspec

from .backend_state import Mode

Device = Literal["auto", "cpu", "cuda"]
AtEnd = Literal["finish", "checkpoint"]


class BackendSettings(msgspec.Struct, frozen=True):
    """Paths are absolute; "" = found by ourselves, or the usual place.

    command: the `splatwright` of a checkout or another environment; then no private environment is needed.
    wheel: a file, a URL, or "" for the index. index, extra_index: pip's, "" = what pip is configured for.
    """

    mode: Mode = "local"
    connection_file: str = ""
    address: str = ""  # HOST:PORT
    key_file: str = ""
    python: str = ""
    device: Device = "auto"
    workspace: str = ""
    wheel: str = ""
    index: str = ""
    extra_index: str = ""
    command: str = ""
    at_end: AtEnd = "finish"


PATHS = ("connection_file", "key_file", "python", "workspace", "wheel", "command")
