"""What the parent and its working child tell each other, line by line over the child's standard input and output."""

from __future__ import annotations

from typing import Literal

import msgspec

from backend.server.listening import Address
from shared_protocol.errors import ErrorKind

AtEnd = Literal["finish", "checkpoint"]
FATAL = 71  # exit code of a child that cannot go on; what it said last tells why
UNABLE = 72  # of one that could not start; starting it again would not help


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long a child may take, in seconds; then it is killed."""

    starting_s: float = 180.0  # loading torch and opening the workspace, on a slow disk
    working_s: float = 60.0  # without an answer: its loop only passes messages on, so it is stuck
    ending_s: float = 15.0  # writing a checkpoint


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """The first thing a child hears."""

    workspace: str
    address: Address
    token: str
    keys: str  # folder
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = None
    allowed: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()  # why earlier children ended
    patience: Patience = Patience()


class OwnerGone(msgspec.Struct, frozen=True, tag=True):
    """Blender ended."""

    at_end: AtEnd


class EndNow(msgspec.Struct, frozen=True, tag=True):
    """Checkpoint what runs, and end."""


class AreYouThere(msgspec.Struct, frozen=True, tag=True):
    """Answered by the loop that serves clients: a job that is busy does not delay it, a deadlock does."""


class Here(msgspec.Struct, frozen=True, tag=True):
    """The answer."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    control: str
    bulk: str
    address: Address


class Dying(msgspec.Struct, frozen=True, tag=True):
    reason: str


class Unable(msgspec.Struct, frozen=True, tag=True):
    kind: ErrorKind
    message: str
    hint: str


FromParent = OwnerGone | EndNow | AreYouThere
FromChild = Ready | Here | Dying | Unable


def line(message: msgspec.Struct) -> bytes:
    return msgspec.json.encode(message) + b"\n"
