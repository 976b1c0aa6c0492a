"""What can happen to a session."""

from __future__ import annotations

import msgspec

from ..protocol import messages, things
from .backend_state import LifeChanged, LinkChanged
from .session import Wish


class Heard(msgspec.Struct, frozen=True):
    """An event of the backend. at: seconds on a clock that never goes back."""

    message: messages.Event | messages.Preview
    at: float


class CatalogCame(msgspec.Struct, frozen=True):
    """reads, writes: suffixes of splat files. formats: what is known of those that have a name."""

    methods: tuple[things.MethodInfo, ...]
    reads: tuple[str, ...] = (".ply",)
    writes: tuple[str, ...] = (".ply",)
    formats: tuple[things.FormatInfo, ...] = ()


class JobsCame(msgspec.Struct, frozen=True):
    """All jobs of the workspace, or what one request said of some of them."""

    jobs: tuple[things.JobState, ...]
    at: float
    is_all: bool = True


class AssetsCame(msgspec.Struct, frozen=True):
    assets: tuple[things.AssetInfo, ...]


class FailureCame(msgspec.Struct, frozen=True):
    failure: things.Failed


class Dismissed(msgspec.Struct, frozen=True):
    """The user has read the failure."""


class SteerAsked(msgspec.Struct, frozen=True):
    """The user wants something of a job; up to one of its steps may go by before it happens."""

    job: str
    wish: Wish


class SteerAnswered(msgspec.Struct, frozen=True):
    """What the backend said to it. status: of the job by then; None = it was refused, or never heard."""

    job: str
    status: things.JobStatus | None


class UploadWent(msgspec.Struct, frozen=True):
    """done, all: bytes; all = 0: how many there are is not known yet."""

    upload: int
    name: str
    done: int
    all: int
    at: float  # seconds on a clock that never goes back


class UploadEnded(msgspec.Struct, frozen=True):
    upload: int


Event = (
    LifeChanged
    | LinkChanged
    | Heard
    | CatalogCame
    | JobsCame
    | AssetsCame
    | FailureCame
    | Dismissed
    | SteerAsked
    | SteerAnswered
    | UploadWent
    | UploadEnded
)
