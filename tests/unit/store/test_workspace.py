"""The files are the truth and the catalogue follows them, whatever happens to either."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from backend.splats.cloud import SplatCloud
from backend.store import catalogue as catalogue_module
from backend.store.assets import AssetStore
from backend.store.captures import CaptureStore
from backend.store.cards import AssetCard, VersionCard
from backend.store.checking import check_workspace
from backend.store.local_disk import is_local
from backend.store.payload import CLOUD_FIELDS
from backend.store.workspace import Workspace
from shared_protocol.errors import UserError

MakeCloud = Callable[..., SplatCloud]


def same(one: SplatCloud, two: SplatCloud) -> bool:
    return all(getattr(one, name).tobytes() == getattr(two, name).tobytes() for name in CLOUD_FIELDS)


def reopened(workspace: Workspace) -> Workspace:
    workspace.close()
    return Workspace(workspace.folder)


def test_versions_come_back_bit_for_bit_after_reopening(tmp_path: Path, make_cloud: MakeCloud) -> None:
    workspace = Workspace(tmp_path / "w")
    store = AssetStore(workspace)
    asset = store.create("Statue")
    first = store.add(asset.id, make_cloud(), label="import", antialiased=True)
    keep = np.arange(200) > 20
    second = store.edit(first, make_cloud().select(keep), label="crop", keep=keep)
    third = store.edit(second, make_cloud(seed=3), label="other")
    assert (first.kind, second.kind, third.kind) == ("whole", "delta", "whole")
    assert second.bytes < first.bytes / 20 and second.antialiased
    workspace = reopened(workspace)
    store = AssetStore(workspace)
    assert workspace.mended == 0
    assert [card.name for card in store.assets()] == ["Statue"]
    assert [card.label for card in store.versions(asset.id)] == ["import", "crop", "other"]
    assert store.version(asset.id).id == third.id
    assert same(store.read(first), make_cloud())
    assert same(store.read(second), make_cloud().select(keep))
    assert same(store.read(third), make_cloud(seed=3))
    workspace.close()


def test_long_chains_of_edits_are_cut(workspace: Workspace, make_cloud: MakeCloud) -> None:
    store = AssetStore(workspace)
    cloud = make_cloud()
    version = store.add(store.create("A").id, cloud, label="import")
    kinds = []
    for i in range(70):
        keep = np.arange(len(cloud)) != i
        cloud = cloud.select(keep)
        version = store.edit(version, cloud, label=f"edit {i}", keep=keep)
        kinds.append(version.kind)
    assert kinds.count("whole") == 2 and same(store.read(version), cloud)


def test_adding_the_same_version_again_leaves_it_as_it_is(workspace: Workspace, make_cloud: MakeCloud) -> None:
    store = AssetStore(workspace)
    asset = store.create("A")
    once = store.add(asset.id, make_cloud(), label="x", identifier="abc1")
    again = store.add(asset.id, make_cloud(), label="x", identifier="abc1")
    assert once == again and len(store.versions(asset.id)) == 1


def test_the_newest_version_is_the_head_even_when_the_clock_goes_back(
    workspace: Workspace, make_cloud: MakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = AssetStore(workspace)
    asset = store.create("A")
    store.add(asset.id, make_cloud(), label="first")
    monkeypatch.setattr("time.time", lambda: 1000.0)
    assert store.version(asset.id, "").label == "first"
    second = store.add(asset.id, make_cloud(seed=1), label="second")
    assert store.version(asset.id).id == second.id


@pytest.mark.parametrize("harm", ["lost", "garbage", "empty", "truncated", "older"])
def test_the_catalogue_may_be_lost_or_damaged(tmp_path: Path, make_cloud: MakeCloud, harm: str) -> None:
    workspace = Workspace(tmp_path / "w")
    store = AssetStore(workspace)
    asset = store.create("Statue")
    old = None
    if harm == "older":  # a catalogue from a backup, that knows too little and too much
        gone = store.create("Gone")
        workspace.catalogue.close()
        old = (tmp_path / "w" / "catalogue.sqlite").read_bytes()
        workspace.catalogue = catalogue_module.Catalogue(tmp_path / "w" / "catalogue.sqlite")
        store = AssetStore(workspace)
        store.discard(gone.id)
        store.rename(asset.id, "Bust")
    version = store.add(asset.id, make_cloud(), label="import")
    workspace.close()
    path = tmp_path / "w" / "catalogue.sqlite"
    content = path.read_bytes()
    for leftover in path.parent.glob("catalogue.sqlite-*"):
        leftover.unlink()
    replacement = {"garbage": b"garbage" * 500, "empty": b"", "truncated": content[: len(content) // 2], "older": old}
    if harm == "lost":
        path.unlink()
    else:
        path.write_bytes(replacement[harm] or b"")
    workspace = Workspace(tmp_path / "w")
    store = AssetStore(workspace)
    assert [card.name for card in store.assets()] == ["Bust" if harm == "older" else "Statue"]
    assert same(store.read(store.version(asset.id)), make_cloud()) and store.version(asset.id).id == version.id
    assert workspace.mended > 0
    workspace.close()


def test_one_process_at_a_time(workspace: Workspace) -> None:
    with pytest.raises(UserError, match="Another Splatwright"):
        Workspace(workspace.folder)
    code = "import sys, pathlib; from backend.store.workspace import *; Workspace(pathlib.Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(workspace.folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0 and "Another Splatwright" in done.stderr


def test_a_folder_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(UserError, match="no workspace"):
        Workspace(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot be used"):
        Workspace(tmp_path / "file" / "below")


def test_a_newer_workspace_is_refused(tmp_path: Path) -> None:
    Workspace(tmp_path / "w").close()
    (tmp_path / "w" / "workspace.json").write_text('{"format": 2}')
    with pytest.raises(UserError, match="newer version"):
        Workspace(tmp_path / "w")


@pytest.mark.parametrize("name", ["..", "../x", "a/b", "", "x" * 65, "\0", "é", "a.b"])
def test_names_from_outside_cannot_leave_the_workspace(workspace: Workspace, name: str) -> None:
    for path_of in (
        workspace.asset_folder,
        workspace.capture_folder,
        workspace.incoming_folder,
        workspace.job_folder,
        lambda text: workspace.version_path("a", text),
    ):
        with pytest.raises(UserError, match="no name"):
            path_of(name)


def test_what_is_not_there_is_said_in_words(workspace: Workspace, make_cloud: MakeCloud) -> None:
    store = AssetStore(workspace)
    with pytest.raises(UserError, match="no asset 'abc'"):
        store.asset("abc")
    asset, other = store.create("A"), store.create("B")
    with pytest.raises(UserError, match="'A' holds no splats yet"):
        store.version(asset.id)
    version = store.add(other.id, make_cloud(), label="x")
    with pytest.raises(UserError, match="another asset"):
        store.version(asset.id, version.id)
    store.delete(other.id)
    with pytest.raises(UserError, match="'B' was deleted"):
        store.asset(other.id)
    assert same(store.read(store.version(other.id, version.id)), make_cloud())  # undo may still want it


def test_a_full_disk_leaves_what_there_was(
    workspace: Workspace, make_cloud: MakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = AssetStore(workspace)
    asset = store.create("A")
    first = store.add(asset.id, make_cloud(), label="first")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="disk is full") as caught:
        store.add(asset.id, make_cloud(seed=1), label="second")
    monkeypatch.undo()
    assert caught.value.kind == "disk_full"
    assert store.version(asset.id).id == first.id
    assert sorted(path.suffix for path in workspace.asset_folder(asset.id).rglob("*.*")) == [
        ".json",
        ".json",
        ".safetensors",
    ]


def test_damaged_payloads_are_errors_and_found_by_the_check(workspace: Workspace, make_cloud: MakeCloud) -> None:
    store = AssetStore(workspace)
    asset = store.create("A")
    whole, flipped, gone = (store.add(asset.id, make_cloud(seed=i), label=str(i)) for i in range(3))
    assert check_workspace(workspace) == []
    store.payload_path(whole).write_bytes(b"12345")
    content = bytearray(store.payload_path(flipped).read_bytes())
    content[-1] ^= 1
    store.payload_path(flipped).write_bytes(content)
    store.payload_path(gone).unlink()
    with pytest.raises(UserError, match="damaged"):
        store.read(whole)
    with pytest.raises(UserError, match="gone"):
        store.read(gone)
    said = [problem.message for problem in check_workspace(workspace)]
    assert len(said) == 3
    assert all(any(version.id in message for message in said) for version in (whole, flipped, gone))


def test_damaged_cards_are_named_and_the_rest_goes_on(tmp_path: Path, make_cloud: MakeCloud) -> None:
    workspace = Workspace(tmp_path / "w")
    store = AssetStore(workspace)
    asset, bad = store.create("Good"), store.create("Bad")
    store.add(asset.id, make_cloud(), label="x")
    (workspace.asset_folder(bad.id) / "asset.json").write_text("{")
    swapped = workspace.asset_folder("wrong")
    swapped.mkdir()
    (swapped / "asset.json").write_bytes((workspace.asset_folder(asset.id) / "asset.json").read_bytes())
    workspace = reopened(workspace)
    assert [card.name for card in AssetStore(workspace).assets()] == ["Good"]
    problems = workspace.rebuild()
    assert len(problems) == 2 and any("damaged" in p.message for p in problems)
    assert [card.name for card in AssetStore(workspace).assets()] == ["Good"]
    workspace.close()


def test_many_threads_may_use_it_at_once(workspace: Workspace, make_cloud: MakeCloud) -> None:
    store = AssetStore(workspace)
    failures: list[Exception] = []

    def use(number: int) -> None:
        try:
            asset = store.create(f"asset {number}")
            for _ in range(3):
                store.add(asset.id, make_cloud(seed=number, count=5), label="x")
                assert len(store.assets()) >= 1
        except (UserError, sqlite3.Error, AssertionError) as error:
            failures.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(store.assets()) == 8 and len(workspace.catalogue.all(VersionCard)) == 24


def test_a_catalogue_on_a_network_disk_uses_no_shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(tmp_path / "here")
    assert workspace.catalogue.journal_mode() == "wal"
    workspace.close()
    monkeypatch.setattr(catalogue_module, "is_local", lambda folder: False)
    workspace = Workspace(tmp_path / "here")
    assert workspace.catalogue.journal_mode() == "delete"
    AssetStore(workspace).create("A")
    assert len(workspace.catalogue.all(AssetCard)) == 1
    workspace.close()


def test_network_disks_are_told_by_the_list_of_mounts(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    lines = [
        "/dev/sda / ext4 rw 0 0",
        f"server:/x {tmp_path}/net nfs4 rw 0 0",
        f"x {tmp_path}/a\\040b fuse.sshfs rw 0 0",
    ]
    mounts.write_text("\n".join(lines) + "\n")
    assert is_local(tmp_path / "workspace", mounts)
    assert not is_local(tmp_path / "net" / "workspace", mounts)
    assert is_local(tmp_path / "network", mounts)
    assert not is_local(tmp_path / "a b" / "w", mounts)
    assert not is_local(tmp_path, tmp_path / "no such file")


def test_an_uploaded_capture_appears_when_it_is_complete(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    store = CaptureStore(workspace)
    identifier = "ab" * 32
    folder = store.begin(identifier, "Garden")
    (folder / "images").mkdir()
    (folder / "images" / "a.png").write_bytes(b"123")
    assert not store.is_complete(identifier)
    with pytest.raises(UserError, match="no capture"):
        store.folder(identifier)
    workspace = reopened(workspace)
    store = CaptureStore(workspace)
    folder = store.begin(identifier, "Garden")
    assert (folder / "images" / "a.png").read_bytes() == b"123"  # what was sent before the connection was lost
    card = store.complete(identifier)
    assert (card.name, card.files, card.bytes) == ("Garden", 1, 3)
    assert (store.folder(identifier) / "images" / "a.png").is_file()
    with pytest.raises(UserError, match="here already"):
        store.begin(identifier, "Garden")
    # Killed between the move and the card: it can be completed once more.
    (workspace.capture_folder(identifier) / ".capture.json").unlink()
    workspace = reopened(workspace)
    assert not CaptureStore(workspace).is_complete(identifier)
    assert CaptureStore(workspace).complete(identifier).files == 1
    workspace.close()


def test_cards_are_plain_readable_json(workspace: Workspace) -> None:
    asset = AssetStore(workspace).create("Büste")
    written = json.loads((workspace.asset_folder(asset.id) / "asset.json").read_text(encoding="utf-8"))
    assert written["name"] == "Büste" and written["type"] == "asset" and written["format"] == 1
