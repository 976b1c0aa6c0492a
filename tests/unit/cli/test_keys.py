"""`splatwright keys`: made, listed, removed; and what `serve` refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from backend.cli.command import run
from shared_protocol.connection import ClientKeys, read_private


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPLATWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def test_a_key_is_made_listed_and_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "make", "laptop"]) == 0
    assert "keep it as safe as a password" in capsys.readouterr().out
    keys = read_private(tmp_path / "laptop.key", ClientKeys)
    assert run(["keys", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"name": "laptop", "public": keys.client_public}]
    assert run(["keys", "remove", "laptop"]) == 0
    capsys.readouterr()
    assert run(["keys", "list"]) == 0
    assert "No client has a key" in capsys.readouterr().out


def test_all_keys_of_a_backend_know_the_same_server(tmp_path: Path) -> None:
    assert run(["keys", "make", "a"]) == 0 and run(["keys", "make", "b", "-o", "other.key"]) == 0
    one, other = (read_private(tmp_path / name, ClientKeys) for name in ("a.key", "other.key"))
    assert one.server_public == other.server_public and one.client_secret != other.client_secret


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["keys", "make", "../laptop"], "cannot be the name"),
        (["keys", "remove", "laptop"], "no client key called 'laptop'"),
        (["serve", "--address", "nowhere at all"], "is no address"),
        (["serve", "--address", "0.0.0.0"], "has no port"),
        (["serve", "--address", "300.1.1.1:7000"], "is no address"),
        (["serve", "--allow", "no/such/folder"], "is no folder"),
    ],
)
def test_what_cannot_be_is_said(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 1
    assert told in capsys.readouterr().err


def test_only_one_backend_serves_a_user(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from backend.store.folder_lock import FolderLock

    home.mkdir()
    lock = FolderLock(home / "serve.lock")
    assert run(["serve"]) == 1
    assert "Another Splatwright backend" in capsys.readouterr().err
    lock.release()


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_keys_are_private(tmp_path: Path, home: Path) -> None:
    assert run(["keys", "make", "laptop"]) == 0
    files = [tmp_path / "laptop.key", *(path for path in home.rglob("*") if path.is_file())]
    assert len(files) == 3 and all(path.stat().st_mode & 0o077 == 0 for path in files)
