"""What can happen to a session."""

from __future__ import annotations

import msgspec

from ..protocol import messages, things
from .backend_state import LifeChanged, LinkChanged


class Heard(msgspec.Struct, frozen=True):
    """An event of the backend. at: seconds on a clock that never goes back."""

    message: messages.Event | messages.Preview
    at: float


class CatalogCame(msgspec.Struct, frozen=True):
    """reads, writes: suffixes of splat files."""

    methods: tuple[things.MethodInfo, ...]
    reads: tuple[str, ...] = (".ply",)
    writes: tuple[str, ...] = (".ply",)


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


Event = LifeChanged | LinkChanged | Heard | CatalogCame | JobsCame | AssetsCame | FailureCame | Dismissed
