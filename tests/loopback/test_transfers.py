"""Files and capture folders both ways: whole, resumed, sent once, and never outside their folder."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import msgspec
import numpy as np
import pytest

from shared_protocol import transfer
from shared_protocol.client import connect_to
from shared_protocol.connection import Target
from shared_protocol.errors import UserError
from shared_protocol.manifest import complaint_about, list_capture, manifest_id
from shared_protocol.messages import (
    CHUNK_BYTES,
    AddCaptureFiles,
    BeginCapture,
    CaptureMissing,
    CaptureOpened,
    CaptureReady,
    ChunkTaken,
    DownloadChunk,
    DownloadOpened,
    FinishCapture,
    OpenDownload,
    OpenUpload,
    UploadChunk,
    UploadOpened,
    WantChunk,
)
from shared_protocol.remote import Backend
from shared_protocol.things import IDENTITY, ExportChoices, ManifestFile

from .conftest import Serving
from .fake_desk import sha256

ONE = b"x" * 10


def file_of(tmp_path: Path, size: int, seed: int = 0) -> Path:
    path = tmp_path / f"file-{size}-{seed}.ply"
    path.write_bytes(np.random.default_rng(seed).bytes(size))
    return path


def far(backend: Backend) -> Backend:
    """The same backend, as if it stood in another room."""
    assert backend.welcome is not None
    backend.welcome = msgspec.structs.replace(backend.welcome, local=False)
    return backend


def chunk(content: bytes, offset: int = 0, data: bytes | None = None) -> UploadChunk:
    return UploadChunk(
        upload=sha256(content), offset=offset, data=np.frombuffer(content if data is None else data, np.uint8)
    )


# ---- uploads


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 11 * CHUNK_BYTES + 77])
def test_a_file_arrives_whole_and_comes_back_the_same(backend: Backend, tmp_path: Path, size: int) -> None:
    path, back, told = file_of(tmp_path, size), tmp_path / "back.ply", []
    asset = far(backend).import_file(path, on_progress=lambda done, all: told.append((done, all)))
    assert asset.bytes == size and told == sorted(told) and (not told or told[-1] == (size, size))
    backend.fetch_file(asset.asset, "v1", back)
    assert back.read_bytes() == path.read_bytes()
    assert {p.name for p in tmp_path.glob(".*")} == set()


@pytest.mark.parametrize("place", [far, lambda backend: backend])
def test_a_file_becomes_a_version_of_the_asset_that_is_named(
    backend: Backend, tmp_path: Path, place: Callable[[Backend], Backend]
) -> None:
    path = file_of(tmp_path, 1000)
    asset = place(backend).import_file(path).asset
    assert place(backend).import_file(path, asset=asset).asset == asset and len(backend.assets()) == 1


def test_what_was_sent_is_not_sent_again(serving: Serving, backend: Backend, tmp_path: Path) -> None:
    path = file_of(tmp_path, 3 * CHUNK_BYTES)
    digest = backend.send_file(path)
    opened = backend.request(OpenUpload(size=3 * CHUNK_BYTES, sha256=digest), UploadOpened)
    assert opened.offset == 3 * CHUNK_BYTES


def test_a_client_killed_in_mid_transfer_goes_on_where_it_was(join: Callable[..., Backend], tmp_path: Path) -> None:
    path = file_of(tmp_path, 6 * CHUNK_BYTES + 5)
    content = path.read_bytes()
    first, second = join(), join()
    first.request(OpenUpload(size=len(content), sha256=sha256(content)), UploadOpened)
    first.request(chunk(content, data=content[:CHUNK_BYTES]), ChunkTaken)
    first.request(chunk(content, CHUNK_BYTES, content[CHUNK_BYTES : 2 * CHUNK_BYTES]), ChunkTaken)
    first.close()
    opened = second.request(OpenUpload(size=len(content), sha256=sha256(content)), UploadOpened)
    assert opened.offset == 2 * CHUNK_BYTES
    told: list[int] = []
    second.send_file(path, lambda done, _: told.append(done))
    assert len(told) == 5 and told[-1] == len(content)


def test_an_upload_that_was_stopped_goes_on_where_it_was(backend: Backend, tmp_path: Path) -> None:
    path, stop, told = file_of(tmp_path, 24 * CHUNK_BYTES), transfer.Stop(), list[int]()

    def progress(done: int, _: int) -> None:
        told.append(done)
        if len(told) == 3:
            stop.set()

    with pytest.raises(transfer.TransferStopped):
        backend.send_file(path, progress, stop)
    before = len(told)
    assert before < 24, "what was on its way may still arrive, and nothing more is sent"
    assert told == [(i + 1) * CHUNK_BYTES for i in range(before)]
    backend.send_file(path, lambda done, _: told.append(done))
    assert min(told[before:]) > told[before - 1] and told[-1] == 24 * CHUNK_BYTES


class Silent:
    """A connection on which chunks are never answered."""

    def __init__(self, stop: transfer.Stop) -> None:
        self.stop = stop

    def ask(self, message: object) -> Future[object]:
        future: Future[object] = Future()
        if isinstance(message, OpenUpload):
            future.set_result(UploadOpened(upload=message.sha256, offset=0))
        else:
            self.stop.set()
        return future

    def close(self) -> None:
        pass


def test_an_upload_is_stopped_also_while_nobody_answers(tmp_path: Path) -> None:
    stop = transfer.Stop()
    with pytest.raises(transfer.TransferStopped):
        Backend(Silent(stop)).send_file(file_of(tmp_path, 100), None, stop)  # type: ignore[arg-type]


@pytest.mark.parametrize("send", [Backend.send_capture, Backend.send_file])
def test_what_is_stopped_before_it_begins_is_not_even_read(tmp_path: Path, send: Callable[..., str]) -> None:
    stop, path = transfer.Stop(), file_of(tmp_path, 100)
    stop.set()
    with pytest.raises(transfer.TransferStopped):
        send(Backend(Silent(stop)), path if send is Backend.send_file else tmp_path, None, stop)  # type: ignore[arg-type]


def test_an_upload_goes_on_after_the_backend_was_restarted(
    serve: Callable[..., Serving], join: Callable[..., Backend], tmp_path: Path
) -> None:
    path = file_of(tmp_path, 5 * CHUNK_BYTES)
    content = path.read_bytes()
    backend = join()
    backend.request(OpenUpload(size=len(content), sha256=sha256(content)), UploadOpened)
    backend.request(chunk(content, data=content[:CHUNK_BYTES]), ChunkTaken)
    again = serve()
    restarted = join(target=again.target)
    opened = restarted.request(OpenUpload(size=len(content), sha256=sha256(content)), UploadOpened)
    assert opened.offset == CHUNK_BYTES
    restarted.send_file(path)
    assert (again.desk.workspace / "incoming" / sha256(content)).read_bytes() == content


def test_a_connection_lost_in_mid_transfer_is_taken_up_by_itself(
    serve: Callable[..., Serving], join: Callable[..., Backend], tmp_path: Path
) -> None:
    serving, targets = serve(), []
    targets.append(serving.target)
    path = file_of(tmp_path, 24 * CHUNK_BYTES)
    with connect_to(lambda: targets[-1], timeout_s=10) as backend:
        told: list[int] = []

        def progress(done: int, _all: int) -> None:
            told.append(done)
            if len(told) == 3:  # the backend dies, and another one takes its place
                serving.close()
                targets.append(serve().target)

        digest = backend.send_file(path, progress)
    assert told[-1] == 24 * CHUNK_BYTES and len(told) < 40
    assert (serving.desk.workspace / "incoming" / digest).read_bytes() == path.read_bytes()


def test_two_clients_send_the_same_file_at_once(serving: Serving, join: Callable[..., Backend], tmp_path: Path) -> None:
    path = file_of(tmp_path, 9 * CHUNK_BYTES)
    clients, digests = [join(), join()], []
    threads = [threading.Thread(target=lambda c=client: digests.append(c.send_file(path))) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(digests) == 2
    assert (serving.desk.workspace / "incoming" / digests[0]).read_bytes() == path.read_bytes()


def test_content_that_is_not_what_was_announced_is_thrown_away(serving: Serving, backend: Backend) -> None:
    backend.request(OpenUpload(size=10, sha256=sha256(ONE)), UploadOpened)
    with pytest.raises(UserError, match="arrived changed"):
        backend.request(chunk(ONE, data=b"y" * 10), ChunkTaken)
    assert backend.request(OpenUpload(size=10, sha256=sha256(ONE)), UploadOpened).offset == 0
    assert backend.request(chunk(ONE), ChunkTaken).offset == 10


@pytest.mark.parametrize(
    ("offset", "data", "complaint"),
    [(5, b"x", "starts at byte 5"), (0, b"x" * 11, "starts at byte 0"), (0, b"", "must hold")],
)
def test_chunks_that_do_not_fit_are_refused(backend: Backend, offset: int, data: bytes, complaint: str) -> None:
    backend.request(OpenUpload(size=10, sha256=sha256(ONE)), UploadOpened)
    with pytest.raises(UserError, match=complaint):
        backend.request(chunk(ONE, offset, data), ChunkTaken)


def test_a_chunk_of_nothing_that_was_opened_is_refused(backend: Backend) -> None:
    with pytest.raises(UserError, match="not open"):
        backend.request(chunk(ONE), ChunkTaken)


def test_more_than_the_disk_holds_is_refused_before_it_is_sent(backend: Backend) -> None:
    with pytest.raises(UserError) as raised:
        backend.request(OpenUpload(size=2**52, sha256="0" * 64), UploadOpened)
    assert raised.value.kind == "disk_full"


# ---- captures


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    folder = tmp_path / "garden"
    (folder / "images").mkdir(parents=True)
    (folder / "transforms.json").write_text("{}")
    for number in range(20):
        (folder / "images" / f"{number}.png").write_bytes(os.urandom(1000) + bytes([number]))
    (folder / "images" / "twin.png").write_bytes((folder / "images" / "3.png").read_bytes())
    (folder / "images" / "empty.txt").touch()
    (folder / ".hidden").write_text("not sent")
    return folder


def test_a_capture_is_sent_whole_with_progress_and_only_once(serving: Serving, backend: Backend, capture: Path) -> None:
    told: list[tuple[int, int]] = []
    job = far(backend).train(capture, on_progress=lambda done, all: told.append((done, all)), steps=1)
    size = sum(path.stat().st_size for path in capture.rglob("*") if path.is_file() and path.name != ".hidden")
    assert told == sorted(told) and told[-1] == (size, size) and len(told) > 5
    (request,) = serving.desk.trained
    there = serving.desk.workspace / "captures" / request.capture.id
    sent = {p.relative_to(there): p.read_bytes() for p in there.rglob("*") if p.is_file()}
    assert sent == {
        p.relative_to(capture): p.read_bytes() for p in capture.rglob("*") if p.is_file() and p.name != ".hidden"
    }
    assert not list((serving.desk.workspace / "incoming").iterdir())
    assert job.wait(10)
    told.clear()
    backend.train(capture, on_progress=lambda done, all: told.append((done, all)), steps=1)
    assert told == [(size, size)], "nothing was sent again"


def test_on_loopback_a_capture_is_read_where_it_is(serving: Serving, backend: Backend, capture: Path) -> None:
    backend.train(capture, steps=1)
    assert serving.desk.trained[0].capture.path == str(capture)
    assert not (serving.desk.workspace / "captures").exists()


def test_of_a_capture_sent_in_part_only_the_rest_is_sent(backend: Backend, capture: Path) -> None:
    files = list_capture(capture)
    for file in files[:10]:
        backend.send_file(capture / file.path)
    request = BeginCapture(id=manifest_id(files), name="garden", files=len(files), bytes=1)
    assert not backend.request(request, CaptureOpened).complete
    missing = backend.request(AddCaptureFiles(id=request.id, files=files), CaptureMissing).sha256s
    assert set(missing) == {file.sha256 for file in files} - {file.sha256 for file in files[:10]}


@pytest.mark.parametrize(
    "path",
    ["../a", "a/../../b", "/etc/passwd", "a//b", "./a", "a/.", "C:/a", "a\\b", "con", "a/NUL.png", "a.", "a\0b", "a\nb",
     "a/" * 20 + "b", "\u202egnp.a"],
)  # fmt: skip
def test_a_path_that_leads_astray_is_refused_by_the_backend(serving: Serving, backend: Backend, path: str) -> None:
    assert complaint_about(path)
    file = ManifestFile(path=path, size=10, sha256=sha256(ONE))
    request = BeginCapture(id="0" * 64, name="evil", files=1, bytes=10)
    backend.request(request, CaptureOpened)
    with pytest.raises(UserError, match="cannot be sent") as raised:
        backend.request(AddCaptureFiles(id=request.id, files=(file,)), CaptureMissing)
    assert raised.value.kind == "refused"


def test_a_capture_that_is_not_the_one_announced_is_refused(serving: Serving, backend: Backend) -> None:
    file = ManifestFile(path="a.png", size=10, sha256=sha256(ONE))
    for id, complaint in (("0" * 64, "not the one announced"), (manifest_id([file]), "is missing")):
        backend.request(BeginCapture(id=id, name="a", files=1, bytes=10), CaptureOpened)
        backend.request(AddCaptureFiles(id=id, files=(file,)), CaptureMissing)
        with pytest.raises(UserError, match=complaint):
            backend.request(FinishCapture(id=id), CaptureReady)
    assert not serving.desk.capture(manifest_id([file]))


def test_paths_that_are_one_on_some_systems_are_refused() -> None:
    def file(path: str) -> ManifestFile:
        return ManifestFile(path=path, size=10, sha256=sha256(ONE))

    for one, other in (("a.png", "A.PNG"), ("a", "a/b"), ("straße", "STRASSE")):
        with pytest.raises(UserError, match="collides"):
            manifest_id([file(one), file(other)])


def test_links_in_a_capture_folder_are_sent_as_their_content_and_not_followed_out(tmp_path: Path) -> None:
    folder, outside = tmp_path / "capture", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "secret").write_bytes(ONE)
    (folder / "a.png").symlink_to(outside / "secret")
    (folder / "linked").symlink_to(outside)
    assert [file.path for file in list_capture(folder)] == ["a.png"]


# ---- downloads


def test_a_download_goes_on_after_the_connection_was_lost(serve: Callable[..., Serving], tmp_path: Path) -> None:
    serving = serve()
    targets: list[Target] = [serving.target]
    path, back = file_of(tmp_path, 20 * CHUNK_BYTES + 3), tmp_path / "back.ply"
    with connect_to(lambda: targets[-1], timeout_s=10) as backend:
        asset = backend.import_file(path)
        told: list[int] = []

        def progress(done: int, _all: int) -> None:
            told.append(done)
            if len(told) == 4:
                serving.close()
                again = serve()
                again.desk._assets.update(serving.desk._assets)
                targets.append(again.target)

        backend.fetch_file(asset.asset, "v1", back, on_progress=progress)
    assert back.read_bytes() == path.read_bytes()
    assert told == sorted(set(told)), "what had arrived was not asked for again"


def test_a_download_that_arrives_changed_leaves_no_file(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = backend.import_file(file_of(tmp_path, 1000))
    monkeypatch.setattr(transfer._Part, "take", lambda part, data: setattr(part, "offset", part.offset + len(data)))
    with pytest.raises(UserError, match="arrived changed"):
        backend.fetch_file(asset.asset, "v1", tmp_path / "back.ply")
    assert not (tmp_path / "back.ply").exists() and not list(tmp_path.glob(".back*"))


def test_chunks_beyond_the_end_or_of_nothing_are_refused(backend: Backend, tmp_path: Path) -> None:
    asset = backend.import_file(file_of(tmp_path, 1000)).asset
    opened = backend.request(OpenDownload(asset=asset, version="v1"), DownloadOpened)
    for download, offset in ((opened.download, 1000), (opened.download, 2**50), ("no such download", 0)):
        with pytest.raises(UserError):
            backend.request(WantChunk(download=download, offset=offset), DownloadChunk)


def test_small_messages_do_not_wait_behind_a_transfer(backend: Backend, tmp_path: Path) -> None:
    path = file_of(tmp_path, 40 * CHUNK_BYTES)
    sending = threading.Thread(target=backend.send_file, args=(path,))
    sending.start()
    waits = []
    while sending.is_alive():
        started = time.monotonic()
        backend.methods()
        waits.append(time.monotonic() - started)
    sending.join()
    assert sorted(waits)[len(waits) // 2] < 0.1


def test_the_frame_of_a_file_and_the_choices_of_an_export_arrive(serve: Callable[..., Serving], tmp_path: Path) -> None:
    serving = serve()
    path, choices = file_of(tmp_path, 1000), ExportChoices(frame="y_up", world_from_object=IDENTITY, sh_degree=1)
    with connect_to(lambda: serving.target, timeout_s=10) as backend:
        assert backend.import_file(path, frame="z_up").frame == "z_up"
        asset = far(backend).import_file(path, frame="RUF")
        assert asset.frame == "RUF"
        backend.fetch_file(asset.asset, "v1", tmp_path / "back.ply", choices=choices)
        assert serving.desk.chosen == choices
        backend.fetch_file(asset.asset, "v1", tmp_path / "back.ply")
        assert serving.desk.chosen == ExportChoices()  # another file, not the one from before
