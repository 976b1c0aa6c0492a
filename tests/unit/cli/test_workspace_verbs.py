"""`gc` and `doctor --rebuild` on a real workspace."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from backend.cli.command import run
from backend.splats.cloud import SplatCloud
from backend.store.assets import AssetStore
from backend.store.cards import VersionCard
from backend.store.workspace import Workspace


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One asset with two versions that were made long ago, and a capture."""
    generator = np.random.default_rng(1)
    shapes = ((600, 3), (600, 4), (600, 3), (600,), (600, 4, 3))
    workspace = Workspace(tmp_path / "w")
    store = AssetStore(workspace)
    asset = store.create("Statue")
    for i in range(2):
        cloud = SplatCloud(*(generator.normal(size=shape).astype(np.float32) for shape in shapes))
        store.add(asset.id, cloud, label=f"training {i}")
    for version in workspace.catalogue.all(VersionCard):
        path = workspace.path_of(version)
        path.write_text(path.read_text().replace(str(int(version.created)), str(int(version.created) - 9000)))
    workspace.close()
    return tmp_path / "w"


def test_gc_shows_sizes_and_removes_only_without_dry_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    payloads = sorted(folder.glob("assets/*/versions/*.safetensors"), key=os.path.getmtime)
    assert run(["gc", "--workspace", str(folder), "--dry-run"]) == 0
    output = capsys.readouterr()
    assert "54.3 KiB  a version of Statue (training 0)" in output.out and "Would free 54.3 KiB" in output.err
    assert all(path.exists() for path in payloads)
    assert run(["gc", "--workspace", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["removed"] and [item["bytes"] for item in told["garbage"]] == [payloads[1].stat().st_size]
    assert [path.exists() for path in payloads] == [False, True]
    assert run(["gc", "--workspace", str(folder)]) == 0
    assert "nothing to free" in capsys.readouterr().err


def test_rebuild_finds_what_is_damaged(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "catalogue.sqlite").write_bytes(b"rubbish" * 99)
    assert run(["doctor", "--rebuild", "--workspace", str(folder)]) == 0
    output = capsys.readouterr().out
    assert "versions   2" in output and "Everything is there and whole." in output
    payload = next(folder.glob("assets/*/versions/*.safetensors"))
    payload.write_bytes(payload.read_bytes()[:-1] + b"x")
    assert run(["doctor", "--rebuild", "--workspace", str(folder), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["assets"] == 1 and len(told["problems"]) == 1 and payload.name in told["problems"][0]["what"]


@pytest.mark.parametrize("verb", [["gc"], ["doctor", "--rebuild"]])
def test_a_folder_that_is_no_workspace_is_left_alone(
    verb: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*verb, "--workspace", str(tmp_path)]) == 1
    assert "is no workspace" in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", [["gc"], ["doctor", "--rebuild"]])
def test_a_workspace_in_use_is_left_alone(verb: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    working = Workspace(folder)
    assert run([*verb, "--workspace", str(folder)]) == 1
    assert "Another Splatwright backend is working" in capsys.readouterr().err
    working.close()


def test_without_a_word_the_users_own_workspace_is_meant(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.rename(folder.with_name("workspace"))
    monkeypatch.setenv("SPLATWRIGHT_HOME", str(folder.parent))
    start = time.monotonic()
    assert run(["gc", "--dry-run"]) == 0 and "Statue" in capsys.readouterr().out
    assert time.monotonic() - start < 5
    assert run(["doctor", "--workspace", "x"]) == 2
