"""Who can still reach which versions: saved files that name them, and open sessions that can undo to them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from typing import Literal

import msgspec

from backend.store.cards import HolderCard
from backend.store.workspace import Workspace

HolderKind = Literal["file", "session"]


class Holders:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def hold(self, kind: HolderKind, name: str, versions: Iterable[str]) -> HolderCard:
        """From now on this holder reaches just these versions; one that is not here may come with another file."""
        return self._keep(kind, name, sorted(set(versions)))

    def add(self, kind: HolderKind, name: str, version: str) -> None:
        """This holder reaches one version more."""
        known = self._workspace.catalogue.find(HolderCard, holder_id(kind, name))
        self._keep(kind, name, sorted({version, *(known.versions if known else ())}))

    def release(self, kind: HolderKind, name: str) -> None:
        """The session ended, or the file is gone."""
        known = self._workspace.catalogue.find(HolderCard, holder_id(kind, name))
        if known is not None:
            self._workspace.drop(known)

    def all(self) -> list[HolderCard]:
        return self._workspace.catalogue.all(HolderCard)

    def _keep(self, kind: HolderKind, name: str, versions: list[str]) -> HolderCard:
        now, identifier = time.time(), holder_id(kind, name)
        known = self._workspace.catalogue.find(HolderCard, identifier)
        card = HolderCard(id=identifier, created=now, kind=kind, name=name, versions=tuple(versions), seen=now)
        if known is not None:
            card = msgspec.structs.replace(card, created=known.created)
        self._workspace.keep(card)
        return card


def holder_id(kind: HolderKind, name: str) -> str:
    return hashlib.sha256(f"{kind} {name}".encode()).hexdigest()[:32]
