"""Who gets in, and what those who do not can cost."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from backend.server.keys import KeyFolder
from backend.server.listening import HANDSHAKE_MS, Address, listen
from shared_protocol.client import connect_to
from shared_protocol.codec import backend_codec, client_codec
from shared_protocol.connection import Target, remote_target
from shared_protocol.errors import UserError
from shared_protocol.messages import (
    BULK_FRAME_BYTES,
    CONTROL_FRAME_BYTES,
    AllowFolder,
    AssetList,
    Done,
    ExportFile,
    Failed,
    Hello,
    ImportFile,
    JobAccepted,
    ListJobs,
    ListViews,
    MeasureViews,
    Train,
)
from shared_protocol.remote import Backend
from shared_protocol.things import FolderCapture

from .conftest import TOKEN, Serving
from .raw_peer import RawPeer


def refused(target: Target) -> str:
    """The sentence that a client hears which must not get in."""
    with pytest.raises(UserError) as raised:
        connect_to(lambda: target, timeout_s=15)
    assert raised.value.kind in ("refused", "connection")
    return raised.value.message


def still_serves(serving: Serving) -> bool:
    with connect_to(lambda: serving.target, timeout_s=15) as backend:
        return bool(backend.methods()) and serving.is_well


def asked_raw(serving: Serving, *frames: bytes) -> Failed:
    """What a peer with the token, but without a hello, is answered on control."""
    with RawPeer(serving.target.control) as peer:
        assert peer.log_in(TOKEN)
        for number, frame in enumerate(frames):
            peer.frame(frame, flags=int(number < len(frames) - 1))
        _, answer = client_codec().unpack([peer.next_frame()])
    assert isinstance(answer, Failed)
    return answer


# ---- the token


@pytest.mark.parametrize("token", ["wrong", TOKEN[:-1], TOKEN + "5", "é" * 64])
def test_a_wrong_token_opens_nothing(serving: Serving, token: str) -> None:
    assert "did not let" in refused(msgspec.structs.replace(serving.target, token=token))
    assert still_serves(serving)


def test_connection_settings_that_are_none_are_refused_in_words(serving: Serving) -> None:
    for wrong in ({"token": ""}, {"control": "tcp://no host:x"}, {"bulk": ""}):
        with pytest.raises(UserError, match="cannot be connected to"):
            connect_to(lambda wrong=wrong: msgspec.structs.replace(serving.target, **wrong), timeout_s=5)


@pytest.mark.parametrize("mechanism", [b"NULL", b"CURVE", b"GSSAPI", b""])
def test_another_way_to_log_in_is_cut_off(serving: Serving, mechanism: bytes) -> None:
    for endpoint in (serving.target.control, serving.target.bulk):
        with RawPeer(endpoint) as peer:
            peer.greet(mechanism)
            peer.frame(b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER", flags=4)
            assert peer.is_cut_off(2)
    assert still_serves(serving)


def test_a_message_before_the_handshake_is_cut_off(serving: Serving) -> None:
    with RawPeer(serving.target.control) as peer:
        peer.greet()
        with contextlib.suppress(ConnectionError):
            peer.frame(client_codec().pack(1, ListJobs())[0])
        assert peer.is_cut_off(2)


def test_who_says_nothing_is_cut_off(serving: Serving) -> None:
    with RawPeer(serving.target.control) as silent, RawPeer(serving.target.bulk) as greeter:
        greeter.greet()
        assert silent.is_cut_off(HANDSHAKE_MS / 1000 + 3) and greeter.is_cut_off(3)


# ---- the hello


def test_another_version_is_refused_and_both_are_named(serving: Serving) -> None:
    for version, older in ((99, "Update the backend"), (0, "Update the client")):
        failed = asked_raw(serving, client_codec().pack(1, Hello(version=version))[0])
        assert failed.kind == "refused" and "version 1" in failed.message and f"version {version}" in failed.message
        assert older in failed.hint


def test_without_a_hello_nothing_is_done(serving: Serving) -> None:
    request = Train(name="a", capture=FolderCapture(path="/"))
    assert asked_raw(serving, client_codec().pack(7, request)[0]).message == "Say hello first."
    assert serving.desk.trained == []


@pytest.mark.parametrize("garbage", [b"", b"GET / HTTP/1.1", b"\xc1" * 100, os.urandom(1000), b"\x92\x01" * 50_000])
def test_garbage_is_answered_and_harms_nobody(serving: Serving, garbage: bytes) -> None:
    assert asked_raw(serving, garbage).kind == "refused"
    assert still_serves(serving)


# ---- sizes and floods


def test_an_oversized_frame_is_cut_off_before_it_is_stored(serving: Serving) -> None:
    for endpoint, limit in ((serving.target.control, CONTROL_FRAME_BYTES), (serving.target.bulk, BULK_FRAME_BYTES)):
        for size in (limit + 1, 2**40, 2**63 - 1, 2**64 - 1):
            with RawPeer(endpoint) as peer:
                assert peer.log_in(TOKEN)
                peer.socket.sendall(peer.header(size) + b"x")
                assert peer.is_cut_off(2), size
    assert still_serves(serving)


def test_a_stranger_is_cut_off_at_an_oversized_handshake(serving: Serving) -> None:
    for size in (CONTROL_FRAME_BYTES + 1, 2**62):
        with RawPeer(serving.target.control) as peer:
            peer.greet()
            with contextlib.suppress(ConnectionError):
                peer.socket.sendall(peer.header(size, flags=4) + b"x")
            assert peer.is_cut_off(2), size


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory the Linux way")
def test_a_flood_of_strangers_leaves_the_memory_flat(serving: Serving) -> None:
    megabyte = b"x" * 2**20

    def flood(seconds: float) -> int:
        sent, deadline = 0, time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), RawPeer(serving.target.control) as peer:
                peer.greet()
                # An endless message: parts that always promise another one.
                while time.monotonic() < deadline:
                    peer.frame(megabyte[: CONTROL_FRAME_BYTES - 1], flags=1)
                    sent += len(megabyte)
        return sent

    flood(0.5)
    before = resident_bytes()
    threads = [threading.Thread(target=flood, args=(3.0,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    with connect_to(lambda: serving.target, timeout_s=15) as backend:
        answers = 0
        while any(thread.is_alive() for thread in threads):
            backend.methods()  # fails when nobody answers in time
            answers += 1
    assert resident_bytes() - before < 16 * 2**20
    assert answers > 1 and serving.is_well


def test_a_client_that_does_not_read_costs_little_and_only_itself(serving: Serving, tmp_path: Path) -> None:
    with RawPeer(serving.target.control) as deaf:
        assert deaf.log_in(TOKEN)
        deaf.frame(client_codec().pack(1, Hello(version=1))[0])
        deaf.next_frame()
        with contextlib.suppress(OSError):
            deaf.socket.settimeout(1)
            for id in range(2, 20_000):
                deaf.frame(client_codec().pack(id, ListJobs())[0])
        assert still_serves(serving)


# ---- keys


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    return KeyFolder(tmp_path / "keys")


OUTSIDE = Address("127.0.0.1", 0, 0)


def test_an_address_that_others_reach_is_refused_without_keys(keys: KeyFolder) -> None:
    with pytest.raises(UserError, match="no client has a key") as raised:
        listen(Address("0.0.0.0", 0, 0), token=TOKEN, keys=keys)
    assert "keys make" in raised.value.hint


@pytest.fixture
def guarded(serve: Callable[..., Serving], keys: KeyFolder, tmp_path: Path) -> Serving:
    """A backend that only lets keys in, and in "given" its clients; the key of "laptop" is in laptop.key."""
    keys.make("laptop", tmp_path / "laptop.key")
    (tmp_path / "given").mkdir()
    serving = serve(address=Address("0.0.0.0", 0, 0), keys=keys, allowed=[tmp_path / "given"])
    ports = serving.sockets.address
    serving.target = msgspec.structs.replace(
        remote_target("127.0.0.1:1", tmp_path / "laptop.key"),
        control=f"tcp://127.0.0.1:{ports.control_port}",
        bulk=f"tcp://127.0.0.1:{ports.bulk_port}",
    )
    return serving


def test_the_right_key_opens(guarded: Serving) -> None:
    with connect_to(lambda: guarded.target, timeout_s=15) as backend:
        assert backend.methods() and not backend.is_local


def test_an_unknown_key_does_not_open(guarded: Serving, tmp_path: Path) -> None:
    other = KeyFolder(tmp_path / "elsewhere").make("stranger", tmp_path / "stranger.key")
    assert guarded.target.keys is not None
    known_server = msgspec.structs.replace(other, server_public=guarded.target.keys.server_public)
    assert "did not let" in refused(msgspec.structs.replace(guarded.target, keys=known_server))
    assert still_serves(guarded)


def test_a_key_for_another_backend_does_not_open(guarded: Serving, tmp_path: Path) -> None:
    other = KeyFolder(tmp_path / "elsewhere").make("stranger", tmp_path / "stranger.key")
    refused(msgspec.structs.replace(guarded.target, keys=other))
    assert still_serves(guarded)


def test_without_a_key_nobody_gets_in_where_keys_are_asked_for(guarded: Serving) -> None:
    refused(msgspec.structs.replace(guarded.target, keys=None, token=TOKEN))
    assert still_serves(guarded)


def test_a_removed_key_opens_no_longer(guarded: Serving, keys: KeyFolder) -> None:
    keys.remove("laptop")
    assert "did not let" in refused(guarded.target)


def test_what_goes_over_the_wire_is_encrypted_and_the_key_file_private(keys: KeyFolder, tmp_path: Path) -> None:
    made = keys.make("laptop", tmp_path / "laptop.key")
    assert (tmp_path / "laptop.key").stat().st_mode & 0o777 == 0o600
    assert made.client_secret not in "".join(p.read_text() for p in keys.path.rglob("*.json"))
    with pytest.raises(UserError, match="already"):
        keys.make("laptop", tmp_path / "again.key")
    with pytest.raises(UserError, match="cannot be the name"):
        keys.make("../escape", tmp_path / "again.key")


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_a_key_file_that_others_can_read_is_not_used(keys: KeyFolder, tmp_path: Path) -> None:
    keys.make("laptop", tmp_path / "laptop.key")
    (tmp_path / "laptop.key").chmod(0o644)
    with pytest.raises(UserError, match="another user"):
        remote_target("127.0.0.1:7000", tmp_path / "laptop.key")


# ---- paths


def test_on_loopback_a_folder_that_the_user_picked_is_used_and_no_other(
    serving: Serving, backend: Backend, tmp_path: Path
) -> None:
    picked, other = tmp_path / "picked", tmp_path / "other"
    picked.mkdir()
    other.mkdir()
    backend.request(AllowFolder(path=str(picked)), Done)
    (picked / "link").symlink_to(other)
    for path in (str(other), f"{picked}/../other", f"{picked}/link", f"{picked}/nothing/../../other"):
        with pytest.raises(UserError) as raised:
            backend.request(Train(name="a", capture=FolderCapture(path=path)), Done)
        assert raised.value.kind == "refused", path
    assert serving.desk.trained == []
    with pytest.raises(UserError, match="absolute"):
        backend.request(Train(name="a", capture=FolderCapture(path="picked")), Done)


def test_a_remote_client_picks_no_folders(guarded: Serving, tmp_path: Path) -> None:
    with connect_to(lambda: guarded.target, timeout_s=15) as backend:
        for path in ("/etc", str(tmp_path), "/no/such/folder"):
            with pytest.raises(UserError, match="may not use") as raised:
                backend.request(AllowFolder(path=path), Done)
            assert raised.value.kind == "refused"


def test_a_remote_client_uses_the_folders_given_at_the_start_and_the_workspace(
    guarded: Serving, tmp_path: Path
) -> None:
    given = tmp_path / "given"
    (given / "out").symlink_to(tmp_path)
    (guarded.desk.workspace / "inside").mkdir()
    with connect_to(lambda: guarded.target, timeout_s=15) as backend:
        for path in (given, guarded.desk.workspace / "inside"):
            backend.request(AllowFolder(path=str(path)), Done)
            backend.request(Train(name="a", capture=FolderCapture(path=str(path))), JobAccepted)
        for path in (given / "out", given / "..", tmp_path / "given too"):
            with pytest.raises(UserError, match="may not use"):
                backend.request(Train(name="a", capture=FolderCapture(path=str(path))), JobAccepted)
    assert len(guarded.desk.trained) == 2


def test_no_request_reads_or_writes_through_a_link_that_leads_out(
    serving: Serving, backend: Backend, tmp_path: Path
) -> None:
    picked, other = tmp_path / "picked", tmp_path / "other"
    picked.mkdir()
    other.mkdir()
    (picked / "own.ply").write_bytes(b"own")
    (other / "secret.ply").write_bytes(b"secret")
    (picked / "read.ply").symlink_to(other / "secret.ply")
    (picked / "write.ply").symlink_to(other / "new.ply")
    backend.request(AllowFolder(path=str(picked)), Done)
    (asset,) = backend.request(ImportFile(path=str(picked / "own.ply")), AssetList).assets
    backend.request(ExportFile(asset=asset.asset, version="v1", path=str(picked / "copy.ply")), Done)
    for path in (picked / "read.ply", picked / "write.ply", picked / ".." / "other" / "secret.ply"):
        for request in (
            ImportFile(path=str(path)),
            ExportFile(asset=asset.asset, version="v1", path=str(path)),
            ListViews(capture=FolderCapture(path=str(path))),
            MeasureViews(asset=asset.asset, capture=FolderCapture(path=str(path))),
        ):
            with pytest.raises(UserError) as raised:
                backend.request(request, Done)
            assert raised.value.kind == "refused", request
    assert [path.name for path in other.iterdir()] == ["secret.ply"]
    assert (other / "secret.ply").read_bytes() == b"secret" and len(backend.assets()) == 1


def test_what_the_backend_says_without_a_hello_is_small(serving: Serving) -> None:
    failed = asked_raw(serving, b"x" * 100_000)
    assert len(backend_codec().pack(0, failed)[0]) < 1000
