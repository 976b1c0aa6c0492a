"""Assets and their versions: a version never changes, and an edit stores only what it changed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from backend.splats.bounds import robust_bounds
from backend.splats.change import SplatChange
from backend.splats.cloud import SplatCloud
from backend.store.cards import AssetCard, VersionCard, new_id
from backend.store.delta import SplatDelta
from backend.store.figures import FiguresStore
from backend.store.payload import (
    Arrays,
    arrays_to_cloud,
    binding_of,
    cloud_to_arrays,
    extra_of,
    read_arrays,
    with_binding,
    with_extra,
    write_arrays,
)
from backend.store.selections import SelectionStore
from backend.store.workspace import Workspace
from shared_protocol.errors import UserError
from shared_protocol.things import Matrix

_LONGEST_CHAIN = 25  # deltas to be applied before a version is stored whole again
_WORTHWHILE = 0.5  # of the whole cloud's bytes; a larger delta is not worth its chain


class AssetStore:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._catalogue = workspace.catalogue

    def create(
        self,
        name: str,
        *,
        job: str = "",
        frame: str = "opencv",
        up: tuple[float, float, float] = (0.0, 0.0, 0.0),
        notes: tuple[str, ...] = (),
        identifier: str = "",
    ) -> AssetCard:
        """An asset without a version yet. identifier: creating the same one again leaves it as it is."""
        known = self._catalogue.find(AssetCard, identifier) if identifier else None
        if known is not None:
            return known
        card = AssetCard(
            id=identifier or new_id(), created=time.time(), name=name, job=job, frame=frame, up=up, notes=notes
        )
        self._workspace.keep(card)
        return card

    def assets(self) -> list[AssetCard]:
        """Those that are not deleted, oldest first."""
        return [card for card in self._catalogue.all(AssetCard) if not card.deleted]

    def asset(self, asset: str) -> AssetCard:
        """Raises UserError when there is none, or it was deleted."""
        card = self._workspace.find(AssetCard, asset, "asset")
        if card.deleted:
            raise UserError("not_found", f"The asset '{card.name}' was deleted.")
        return card

    def rename(self, asset: str, name: str) -> AssetCard:
        card = msgspec.structs.replace(self.asset(asset), name=name)
        self._workspace.keep(card)
        return card

    def delete(self, asset: str) -> None:
        """Takes it off the list. Its versions stay until nothing reaches them and they are collected."""
        self._workspace.keep(msgspec.structs.replace(self.asset(asset), deleted=True))

    def frame(self, asset: str) -> str:
        """Which way the axes of its numbers point, also of an asset that was deleted."""
        return self._workspace.find(AssetCard, asset, "asset").frame

    def stand_upright(self, asset: str, up: tuple[float, float, float]) -> AssetCard:
        """Remembers which way is up, [3] in the asset's frame."""
        card = msgspec.structs.replace(self._workspace.find(AssetCard, asset, "asset"), up=up)
        self._workspace.keep(card)
        return card

    def discard(self, asset: str) -> None:
        """Removes an asset that never got a version."""
        card = self._workspace.find(AssetCard, asset, "asset")
        if self.versions(asset):
            raise ValueError(f"the asset {asset} has versions")
        self._workspace.drop(card)
        remove_empty_folders(self._workspace.asset_folder(asset))

    def versions(self, asset: str) -> list[VersionCard]:
        """Oldest first."""
        return self._catalogue.all(VersionCard, asset)

    def version(self, asset: str, version: str = "") -> VersionCard:
        """The version, or the newest one. Raises UserError when there is none."""
        if not version:
            name = self.asset(asset).name
            versions = self.versions(asset)
            if not versions:
                raise UserError("not_found", f"The asset '{name}' holds no splats yet.", "Wait for its first steps.")
            return versions[-1]
        card = self._workspace.find(VersionCard, version, "version")
        if card.asset != asset:
            raise UserError("not_found", f"The version '{version}' belongs to another asset.")
        return card

    def add(
        self,
        asset: str,
        cloud: SplatCloud,
        *,
        label: str,
        job: str = "",
        antialiased: bool = False,
        binding: Arrays | None = None,
        extra: Arrays | None = None,
        parent: str = "",
        moved: Matrix | None = None,
        photo_edits: tuple[tuple[str, str], ...] = (),
        identifier: str = "",
    ) -> VersionCard:
        """Stores a whole cloud as the newest version.

        binding: what the splats are bound to, as arrays by name; the mesh's vertices are called mesh_vertices, each
            splat's face is in faces (negative = none), and rigid says which of them are far.
        extra: further numbers of each splat by name, [N] each.
        parent: the version that it was made from.
        moved, photo_edits: as in `VersionCard`.
        identifier: of the version; adding the same one again leaves it as it is.
        Raises UserError when the disk is full.
        """
        known = self._catalogue.find(VersionCard, identifier) if identifier else None
        if known is not None:
            return known
        card = VersionCard(
            id=identifier or new_id(),
            created=self._now(asset),
            asset=asset,
            kind="whole",
            parent=parent,
            moved=moved,
            photo_edits=photo_edits,
            label=label,
            job=job,
            splats=len(cloud),
            sh_degree=cloud.sh_degree,
            antialiased=antialiased,
            bounds=_bounds(cloud),
            extra=tuple(extra or ()),
        )
        card = _with_counts(card, binding)
        return self._write(card, with_extra(_with_binding(cloud_to_arrays(cloud), binding), extra or {}))

    def edit(
        self,
        parent: VersionCard,
        cloud: SplatCloud,
        *,
        label: str,
        keep: np.ndarray | None = None,
        copies: np.ndarray | None = None,
        change: SplatChange | None = None,
        before: SplatCloud | None = None,
        binding: Arrays | None = None,
        asked: dict[str, Any] | None = None,
        moved: np.ndarray | None = None,
        job: str = "",
        identifier: str = "",
    ) -> VersionCard:
        """Stores what became of a version, as what changed where that is smaller. Further numbers of splats go along.

        keep, copies, change: as in `SplatDelta.between`.
        before: the parent's splats, where they have been read already.
        asked: what the edit was, to be done again elsewhere.
        moved: [4, 4], what carried all into another frame; None = the frame is the parent's.
        binding, identifier: as in `add`.
        """
        known = self._catalogue.find(VersionCard, identifier) if identifier else None
        if known is not None:
            return known
        card = VersionCard(
            id=identifier or new_id(),
            created=self._now(parent.asset),
            asset=parent.asset,
            kind="whole",
            parent=parent.id,
            label=label,
            job=job,
            splats=len(cloud),
            sh_degree=cloud.sh_degree,
            antialiased=parent.antialiased,
            bounds=_bounds(cloud),
            extra=parent.extra,
            photo_edits=parent.photo_edits,
            edited_from=parent.edited_from or ("" if asked is None else parent.id),
            moved=parent.moved if moved is None else _wire(moved @ parent.frame_from_made),
            asked=asked,
        )
        card = _with_counts(card, binding)
        delta = SplatDelta.between(self.read(parent) if before is None else before, cloud, keep, copies, change)
        arrays = cloud_to_arrays(cloud)
        is_short = len(self._chain(parent)) <= _LONGEST_CHAIN
        if is_short and delta.nbytes < _WORTHWHILE * sum(array.nbytes for array in arrays.values()):
            card, arrays = msgspec.structs.replace(card, kind="delta", base=parent.id), delta.to_arrays()
        elif parent.extra:
            arrays = with_extra(arrays, delta.carried(self.extra(parent)))
        made = self._write(card, _with_binding(arrays, binding))
        self._workspace.alive.put(made.id, cloud)
        return made

    def remove(self, card: VersionCard) -> None:
        """With all that is kept about it. Nobody may be based on it."""
        self._workspace.drop(card)
        self._workspace.alive.forget(card.id)
        self.payload_path(card).unlink(missing_ok=True)
        FiguresStore(self._workspace).forget(card)
        SelectionStore(self._workspace).forget(card)

    def binding(self, card: VersionCard) -> Arrays | None:
        """What the version's splats are bound to, as it was stored; None = to nothing.

        Raises UserError when its file is missing or damaged.
        """
        return binding_of(read_arrays(self.payload_path(card))) if card.bound_vertices else None

    def extra(self, card: VersionCard) -> Arrays:
        """Further numbers of each splat, [N] each. Raises UserError when the version's file is missing or damaged."""
        if not card.extra:
            return {}
        whole, *deltas = reversed(self._chain(card))
        extra = extra_of(read_arrays(self.payload_path(whole)))
        for step in deltas:
            with self._damage_explained(step):
                extra = self._delta(step).carried(extra)
        return extra

    def read(self, card: VersionCard) -> SplatCloud:
        """Raises UserError when a file that it needs is missing or damaged."""
        alive, chain = self._workspace.alive, self._chain(card)
        number, cloud = next(
            ((number, found) for number, step in enumerate(chain) if (found := alive.find(step.id)) is not None),
            (len(chain) - 1, None),
        )
        if cloud is None:
            path = self.payload_path(chain[-1])
            cloud = arrays_to_cloud(read_arrays(path), path)
        for step in reversed(chain[:number]):
            with self._damage_explained(step):
                cloud = self._delta(step).apply(cloud)
        alive.put(card.id, cloud)
        return cloud

    def _delta(self, card: VersionCard) -> SplatDelta:
        return SplatDelta.from_arrays(read_arrays(self.payload_path(card)))

    @contextmanager
    def _damage_explained(self, card: VersionCard) -> Iterator[None]:
        try:
            yield
        except (KeyError, ValueError, IndexError) as error:
            hint = "Restore the file from a backup, or go back to an older version."
            raise UserError("bad_input", f"'{self.payload_path(card)}' is damaged.", hint) from error

    def payload_path(self, card: VersionCard) -> Path:
        return self._workspace.version_path(card.asset, card.id).with_suffix(".safetensors")

    def _chain(self, card: VersionCard) -> list[VersionCard]:
        """The version and what it is based on, down to a whole one."""
        chain = [card]
        while chain[-1].kind == "delta":
            chain.append(self._workspace.find(VersionCard, chain[-1].base, "version"))
            if len(chain) > 4 * _LONGEST_CHAIN:
                raise UserError("bad_input", f"The version '{card.id}' is based on itself.", "Run doctor --rebuild.")
        return chain

    def _write(self, card: VersionCard, arrays: dict[str, np.ndarray]) -> VersionCard:
        size, sha256 = write_arrays(self.payload_path(card), arrays)
        card = msgspec.structs.replace(card, bytes=size, sha256=sha256)
        self._workspace.keep(card)
        return card

    def _now(self, asset: str) -> float:
        """The newest version is the head, also when the clock was set back."""
        versions = self.versions(asset)
        return max(time.time(), versions[-1].created + 1e-3) if versions else time.time()


def _bounds(cloud: SplatCloud) -> tuple[float, float, float, float, float, float] | None:
    corners = robust_bounds(cloud)
    if corners is None:
        return None
    (a, b, c), (d, e, f) = corners.tolist()
    return (a, b, c, d, e, f)


def _with_counts(card: VersionCard, binding: Arrays | None) -> VersionCard:
    """The card that also says how much of the version is bound."""
    if binding is None:
        return card
    return msgspec.structs.replace(
        card,
        bound_vertices=len(binding["mesh_vertices"]),
        mesh_bounds=_corners(binding["mesh_vertices"]),
        bound_splats=int((binding["faces"] >= 0).sum()),
        far_splats=int(binding["rigid"].sum()),
    )


def _corners(places: np.ndarray) -> tuple[float, float, float, float, float, float]:
    """Of a box around places [N, 3] that are numbers."""
    (a, b, c), (d, e, f) = places.min(axis=0).tolist(), places.max(axis=0).tolist()
    return (a, b, c, d, e, f)


def _wire(matrix: np.ndarray) -> Matrix:
    return tuple(matrix.ravel().tolist())  # type: ignore[return-value]  16 of them


def _with_binding(arrays: Arrays, binding: Arrays | None) -> Arrays:
    return arrays if binding is None else with_binding(arrays, binding)


def remove_empty_folders(folder: Path) -> None:
    """Removes a folder in which nothing but empty folders are left."""
    for inside in sorted(folder.glob("*/")):
        remove_empty_folders(inside)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
