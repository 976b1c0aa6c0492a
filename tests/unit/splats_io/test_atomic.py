"""Files are replaced whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from backend.splats.io.atomic import atomic_file, write_bytes
from shared_protocol.errors import UserError


def test_the_old_file_stays_when_writing_fails_half_way(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")
    with pytest.raises(RuntimeError), atomic_file(path) as stream:
        stream.write(b"half of the new")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_path = Path.open

    def open_on_full_disk(self: Path, mode: str = "r", **rest):
        stream = open_path(self, mode, **rest)
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, stream.fileno())
        os.close(full)
        return stream

    monkeypatch.setattr(Path, "open", open_on_full_disk)
    with pytest.raises(UserError) as caught:
        write_bytes(tmp_path / "a.bin", bytes(100_000))
    assert caught.value.kind == "disk_full" and "a.bin" in caught.value.message
    assert not list(tmp_path.iterdir())


def test_folders_and_devices_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/dev/null")):
        with pytest.raises(UserError, match="not a file"):
            write_bytes(path, b"x")
    assert not Path("/dev/null").is_file()


def test_a_path_below_a_file_is_one_sentence(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a.bin", b"x")
    with pytest.raises(UserError, match=r"b\.bin.*could not be written"):
        write_bytes(tmp_path / "a.bin" / "b.bin", b"y")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    write_bytes(tmp_path / "real.bin", b"old")
    (tmp_path / "link.bin").symlink_to("real.bin")
    write_bytes(tmp_path / "link.bin", b"new")
    assert (tmp_path / "link.bin").is_symlink() and (tmp_path / "real.bin").read_bytes() == b"new"


def test_bytes_are_synced_before_the_name_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    real_sync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append("sync"), real_sync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("replace"), real_replace(a, b)))
    write_bytes(tmp_path / "a.bin", b"x")
    assert events == ["sync", "replace"]


def test_other_errors_of_the_system_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(a, b):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(UserError, match="Permission denied"):
        write_bytes(tmp_path / "a.bin", b"x")
    assert not list(tmp_path.iterdir())
