"""What nothing reaches is collected, and nothing else ever is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from backend.splats.cloud import SplatCloud
from backend.store.assets import AssetStore
from backend.store.captures import CaptureStore
from backend.store.cards import JobCard, VersionCard
from backend.store.garbage import DAY, HOUR, collect
from backend.store.holders import Holders
from backend.store.workspace import Workspace

MakeCloud = Callable[..., SplatCloud]


def later(seconds: float = 2 * HOUR) -> float:
    return time.time() + seconds


@pytest.fixture
def edits(workspace: Workspace, make_cloud: MakeCloud) -> list[VersionCard]:
    """An import, a crop of it, a crop of that, and a new training, which is the head."""
    store = AssetStore(workspace)
    cloud = make_cloud()
    versions = [store.add(store.create("A").id, cloud, label="import")]
    for i in range(2):
        keep = np.arange(len(cloud)) >= 10
        cloud = cloud.select(keep)
        versions.append(store.edit(versions[-1], cloud, label=f"crop {i}", keep=keep))
    return [*versions, store.add(versions[0].asset, make_cloud(seed=1), label="trained")]


def left(workspace: Workspace) -> list[str]:
    return [card.label for card in workspace.catalogue.all(VersionCard)]


def test_only_the_head_is_reached_when_nobody_names_anything(workspace: Workspace, edits: list[VersionCard]) -> None:
    would = collect(workspace, dry_run=True, now=later())
    assert left(workspace) == ["import", "crop 0", "crop 1", "trained"]
    collected = collect(workspace, now=later())
    assert collected == would and sum(item.bytes for item in collected) == sum(v.bytes for v in edits[:3])
    assert left(workspace) == ["trained"]
    assert len(list(workspace.folder.glob("assets/*/versions/*"))) == 2
    assert collect(workspace, now=later()) == []


def test_what_is_young_stays(workspace: Workspace, edits: list[VersionCard]) -> None:
    assert collect(workspace) == [] and len(left(workspace)) == len(edits)


@pytest.mark.parametrize("kind", ["file", "session"])
def test_a_named_version_keeps_what_its_delta_needs(workspace: Workspace, edits: list[VersionCard], kind) -> None:
    holders = Holders(workspace)
    holders.hold(kind, "/home/me/statue.blend", [edits[1].id])
    collect(workspace, now=later())
    assert left(workspace) == ["import", "crop 0", "trained"]
    store = AssetStore(workspace)
    assert len(store.read(edits[1])) == 190
    holders.add(kind, "/home/me/statue.blend", edits[3].id)
    assert set(holders.all()[0].versions) == {edits[1].id, edits[3].id}
    holders.release(kind, "/home/me/statue.blend")
    collect(workspace, now=later())
    assert left(workspace) == ["trained"]


def test_a_file_is_remembered_for_ever_and_a_session_for_a_month(
    workspace: Workspace, edits: list[VersionCard]
) -> None:
    holders = Holders(workspace)
    holders.hold("file", "a.blend", [edits[0].id])
    holders.hold("session", "blender 7", [edits[1].id])
    collect(workspace, now=later(29 * DAY))
    assert left(workspace) == ["import", "crop 0", "trained"]
    collect(workspace, now=later(31 * DAY))
    assert left(workspace) == ["import", "trained"]
    assert [holder.name for holder in holders.all()] == ["a.blend"]


def test_a_file_may_name_a_version_that_is_not_here(workspace: Workspace, edits: list[VersionCard]) -> None:
    Holders(workspace).hold("file", "a.blend", ["abc", edits[0].id])
    collect(workspace, now=later())
    assert left(workspace) == ["import", "trained"]


def test_a_deleted_asset_goes_when_nobody_can_undo_to_it(workspace: Workspace, edits: list[VersionCard]) -> None:
    store, holders = AssetStore(workspace), Holders(workspace)
    holders.hold("session", "s", [edits[3].id])
    store.delete(edits[0].asset)
    collect(workspace, now=later())
    assert left(workspace) == ["trained"]
    holders.release("session", "s")
    collect(workspace, now=later())
    assert left(workspace) == [] and not list(workspace.folder.glob("assets/*"))


def test_what_cannot_be_read_is_never_collected(workspace: Workspace, edits: list[VersionCard]) -> None:
    """A damaged card must not cost the splats that it spoke of."""
    path = workspace.asset_folder(edits[0].asset) / "asset.json"
    content = path.read_bytes()
    path.write_bytes(b"{")
    workspace.rebuild()
    assert collect(workspace, now=later(60 * DAY)) == []
    path.write_bytes(content)
    Holders(workspace).hold("file", "a.blend", [edits[1].id])
    (holder,) = (workspace.folder / "holders").glob("*.json")
    holder.write_bytes(b"")
    workspace.rebuild()
    assert collect(workspace, now=later()) == []
    assert len(list(workspace.folder.glob("assets/*/versions/*.safetensors"))) == 4


def test_an_asset_that_a_job_will_write_stays(workspace: Workspace) -> None:
    store = AssetStore(workspace)
    card = JobCard(id="j1", created=1, name="A", method="mcmc", status="queued", asset="", request=msgspec.Raw(b"{}"))
    for status in ("queued", "running", "paused", "failed", "cancelled"):
        asset = store.create(status)
        workspace.keep(msgspec.structs.replace(card, id=f"j{status}", status=status, asset=asset.id))
    collect(workspace, now=later())
    assert [asset.name for asset in store.assets()] == ["queued", "running", "paused", "failed"]


def test_what_crashes_leave_behind_is_collected_after_a_while(workspace: Workspace, edits: list[VersionCard]) -> None:
    folder = workspace.asset_folder(edits[0].asset) / "versions"
    half, orphan = folder / ".x.json.0a1b.part", folder / "dead.safetensors"
    upload = CaptureStore(workspace).begin("ab" * 32, "Garden") / "a.png"
    checkpoints = workspace.job_folder("j1") / "training"
    checkpoints.mkdir(parents=True)
    mesh = checkpoints.parent / "mesh.safetensors"
    for path in (half, orphan, upload, checkpoints / "step_00000010.json", mesh):
        path.write_bytes(bytes(100))
    job = JobCard(id="j1", created=1, name="A", method="mcmc", status="failed", asset="", request=msgspec.Raw(b"{}"))
    workspace.keep(job)
    assert collect(workspace) == []
    collected = {item.what: item.bytes for item in collect(workspace, now=later(31 * DAY))}
    assert collected["splats that belong to no version"] == collected["a half-written file"] == 100
    assert (
        collected["checkpoints of A"] == collected["arrays of A"] == 100
        and collected["a capture that was never sent to the end"] == 106
    )
    assert not any(path.exists() for path in (half, orphan, upload.parent, checkpoints, mesh))
    assert workspace.path_of(job).exists()


def test_a_transfer_that_still_comes_in_is_left_alone(workspace: Workspace) -> None:
    folder = CaptureStore(workspace).begin("ab" * 32, "Garden")
    os.utime(folder, (1, 1))
    os.utime(folder / ".name", (1, 1))
    assert len(collect(workspace, dry_run=True)) == 1
    (folder / "new.png").write_bytes(b"x")
    assert collect(workspace) == []
