"""Collects what nothing can reach any more: versions, deleted assets, and what crashes left behind."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from backend.store.assets import AssetStore, remove_empty_folders
from backend.store.cards import AssetCard, HolderCard, JobCard, VersionCard, damaged
from backend.store.workspace import Workspace
from shared_protocol.things import ENDED

HOUR = 3600.0
DAY = 24 * HOUR
YOUNG = HOUR  # who made something this recently may not have told yet that it is needed
SESSION_FORGOTTEN = 30 * DAY  # after it was last heard of
CHECKPOINTS_KEPT = 30 * DAY  # of a job that did not finish
UPLOADS_KEPT = 7 * DAY


class Garbage(msgspec.Struct, frozen=True):
    what: str
    bytes: int


def collect(workspace: Workspace, *, dry_run: bool = False, now: float | None = None) -> list[Garbage]:
    """Removes what nothing reaches and says what it was, or with `dry_run` only says.

    Reached are: the newest version of every asset, what a saved file or an open session names, what the delta of
    another reached version needs or a training that goes on from it, and whatever is less than an hour old.
    """
    now = time.time() if now is None else now
    found: list[Garbage] = []
    for holder in _forgotten_sessions(workspace, now):
        if not dry_run:
            workspace.drop(holder)
    for asset, version in _unreachable_versions(workspace, now):
        found.append(Garbage(f"a version of {asset.name} ({version.label or version.id})", version.bytes))
        if not dry_run:
            AssetStore(workspace).remove(version)
    for asset in _empty_assets(workspace, now, {version.id for _, version in _unreachable_versions(workspace, now)}):
        if not dry_run:
            workspace.drop(asset)
            remove_empty_folders(workspace.asset_folder(asset.id))
    for what, path in _leftovers(workspace, now):
        found.append(Garbage(what, _size_of(path)))
        if not dry_run:
            _remove(path)
    return found


def _forgotten_sessions(workspace: Workspace, now: float) -> list[HolderCard]:
    holders = workspace.catalogue.all(HolderCard)
    return [h for h in holders if h.kind == "session" and now - h.seen > SESSION_FORGOTTEN]


def _unreachable_versions(workspace: Workspace, now: float) -> list[tuple[AssetCard, VersionCard]]:
    versions = {version.id: version for version in workspace.catalogue.all(VersionCard)}
    forgotten = {holder.id for holder in _forgotten_sessions(workspace, now)}
    reached = {v for h in workspace.catalogue.all(HolderCard) if h.id not in forgotten for v in h.versions}
    assets = workspace.catalogue.all(AssetCard)
    for asset in assets:
        own = [version for version in versions.values() if version.asset == asset.id]
        if own and not asset.deleted:
            reached.add(own[-1].id)
    reached |= {version.id for version in versions.values() if now - version.created < YOUNG}
    waiting = [identifier for identifier in reached if identifier in versions]
    while waiting:
        version = versions[waiting.pop()]
        for needed in (version.base, *itertools.chain(*version.edits)):
            if needed in versions and needed not in reached:
                waiting.append(needed)
                reached.add(needed)
    by_id = {asset.id: asset for asset in assets}
    # Where the card of an asset or of a holder is damaged, nobody knows what is still wanted.
    if any(damaged(workspace.folder / "holders", "*.json")):
        return []
    return [(by_id[v.asset], v) for v in versions.values() if v.id not in reached and v.asset in by_id]


def _empty_assets(workspace: Workspace, now: float, going: set[str]) -> list[AssetCard]:
    """Assets without a version that no job will give one any more; a job that failed can be resumed."""
    busy = {job.asset for job in workspace.catalogue.all(JobCard) if job.status not in ("finished", "cancelled")}
    kept = {version.asset for version in workspace.catalogue.all(VersionCard) if version.id not in going}
    return [
        asset
        for asset in workspace.catalogue.all(AssetCard)
        if asset.id not in kept and asset.id not in busy and (asset.deleted or now - asset.created >= YOUNG)
    ]


def _leftovers(workspace: Workspace, now: float) -> Iterator[tuple[str, Path]]:
    for path in sorted(workspace.folder.rglob(".*.part")):
        if now - path.stat().st_mtime > DAY:
            yield "a half-written file", path
    known = {version.id for version in workspace.catalogue.all(VersionCard)}
    for path in sorted(workspace.folder.glob("assets/*/versions/*.safetensors")):
        is_orphan = path.stem not in known and not path.with_suffix(".json").exists()
        if is_orphan and now - path.stat().st_mtime > YOUNG:
            yield "splats that belong to no version", path
    for path in sorted((workspace.folder / "captures" / ".incoming").glob("*/")):
        if now - _newest_change(path) > UPLOADS_KEPT:
            yield "a capture that was never sent to the end", path
    for job in workspace.catalogue.all(JobCard):
        folder = workspace.job_folder(job.id)
        for what, path in (
            ("checkpoints", folder / "training"),
            *(("arrays", p) for p in folder.glob("*.safetensors")),
        ):
            if job.status in ENDED and path.exists() and now - _newest_change(path) > CHECKPOINTS_KEPT:
                yield f"{what} of {job.name}", path


def _newest_change(folder: Path) -> float:
    return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))


def _size_of(path: Path) -> int:
    return sum(p.stat().st_size for p in (path, *path.rglob("*")) if p.is_file())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
