"""The connection file: private, whole, and honest about a backend that is gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared_protocol.client import connect
from shared_protocol.connection import Connection, local_target, read_private, remote_target, write_private
from shared_protocol.errors import UserError

CONNECTION = Connection(control="tcp://127.0.0.1:1", bulk="tcp://127.0.0.1:2", token="t", process=1)


def test_it_is_written_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "backend.json"
    write_private(path, CONNECTION)
    assert read_private(path, Connection) == CONNECTION
    assert os.listdir(path.parent) == ["backend.json"]
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_a_file_that_others_could_write_is_not_trusted(tmp_path: Path) -> None:
    write_private(tmp_path / "a", CONNECTION)
    (tmp_path / "a").chmod(0o620)
    with pytest.raises(UserError, match="another user"):
        read_private(tmp_path / "a", Connection)


@pytest.mark.parametrize("text", ["", "{", '{"control": 5}', "[]", "\xff"])
def test_a_damaged_file_is_said_to_be_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "backend.json"
    write_private(path, CONNECTION)
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match="damaged"):
        local_target(path)


def test_without_a_backend_one_is_told_how_to_start_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLATWRIGHT_HOME", str(tmp_path))
    with pytest.raises(UserError, match="No backend is running") as raised:
        connect()
    assert "splatwright serve" in str(raised.value)


def test_another_machine_needs_an_address_and_a_key(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="key file"):
        connect("192.168.1.20:7000")
    for address in ("192.168.1.20", "host:x", "host:0", ":7000"):
        with pytest.raises(UserError, match="is no address"):
            remote_target(address, tmp_path / "laptop.key")
