"""The conversation over real sockets, as a client hears it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from shared_protocol.errors import UserError
from shared_protocol.messages import (
    PROTOCOL_VERSION,
    Alive,
    Beat,
    Event,
    JobChanged,
    JobProgress,
    Picture,
    Preview,
    Render,
)
from shared_protocol.remote import Backend
from shared_protocol.remote_connection import BackendMistake
from shared_protocol.things import IDENTITY, SceneObject, ViewCamera


def view(width: int = 64, height: int = 48) -> ViewCamera:
    return ViewCamera(camera_from_world=IDENTITY, fx=50, fy=50, cx=width / 2, cy=height / 2, width=width, height=height)


def wait_for(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"a")
    return folder


def test_a_client_is_welcomed_and_finds_the_methods(backend: Backend) -> None:
    assert backend.state == "connected" and backend.is_local
    assert backend.welcome is not None and backend.welcome.version == PROTOCOL_VERSION
    (method,) = backend.methods()
    assert method.id == "counting" and method.settings[0].default == 100.0
    assert backend.request(Beat(), Alive) == Alive(busy=False, step_age_s=None)


def test_a_job_is_trained_to_its_end(backend: Backend, capture: Path) -> None:
    job = backend.train(capture, steps=20)
    assert job.wait(10).status == "finished"
    assert backend.jobs() == (job.state(),)


def test_a_client_hears_events(join: Callable[..., Backend], capture: Path) -> None:
    heard: list[Event | Preview] = []
    join(on_event=heard.append).train(capture, steps=20).wait(10)
    statuses = [event.job.status for event in heard if isinstance(event, JobChanged)]
    assert statuses == ["running", "finished"]
    steps = [event.step for event in heard if isinstance(event, JobProgress)]
    assert steps == sorted(steps) and steps


def test_pause_resume_and_cancel(backend: Backend, capture: Path) -> None:
    job = backend.train(capture, steps=100_000)
    job.pause()
    wait_for(lambda: job.state().status == "paused")
    job.resume()
    wait_for(lambda: job.state().status == "running")
    started = time.monotonic()
    job.cancel()
    assert job.wait(10).status == "cancelled" and time.monotonic() - started < 0.5


def test_stopping_keeps_what_there_is(backend: Backend, capture: Path) -> None:
    job = backend.train(capture, steps=100_000)
    job.cancel(keep=True)
    assert job.wait(10).status == "stopped"


def test_a_job_survives_its_client_and_is_taken_up_by_another(join: Callable[..., Backend], capture: Path) -> None:
    first, second = join(), join()
    id = first.train(capture, steps=60).id
    first.close()
    assert second.job(id).wait(10).status == "finished"


def test_two_clients_hear_the_same(join: Callable[..., Backend], capture: Path) -> None:
    heard: list[Event | Preview] = []
    first, second = join(), join(on_event=heard.append)
    first.train(capture, steps=5).wait(10)
    wait_for(lambda: any(isinstance(e, JobChanged) and e.job.status == "finished" for e in heard))
    assert first.jobs() == second.jobs()


def test_errors_arrive_with_kind_sentence_and_hint(backend: Backend) -> None:
    with pytest.raises(UserError) as raised:
        backend.job("no-such-job")
    assert raised.value.kind == "not_found" and "no-such-job" in raised.value.message and raised.value.hint


def test_a_mistake_of_the_backend_is_called_one_and_harms_nobody(backend: Backend, capture: Path) -> None:
    with pytest.raises(BackendMistake, match="ZeroDivisionError"):
        backend.train(capture, method="mistake")
    assert backend.jobs() == ()


def test_pictures_come_back_with_depth(backend: Backend, capture: Path) -> None:
    backend.train(capture, steps=1).wait(10)
    objects = (SceneObject(asset="asset-1"),)
    for pixels in ("uint8", "float16", "float32"):
        picture = backend.render(Render(objects=objects, camera=view(), pixels=pixels))
        assert picture is not None and picture.color.shape == (48, 64, 4) and picture.color.dtype == pixels
        assert picture.depth is not None and picture.depth.shape == (48, 64)


def test_a_packed_picture_is_the_same_to_whoever_asked(backend: Backend, capture: Path) -> None:
    backend.train(capture, steps=1).wait(10)
    request = Render(objects=(SceneObject(asset="asset-1"),), camera=view(), stream="view")
    plain, small = backend.render(request), backend.render(msgspec.structs.replace(request, compress=True))
    assert plain is not None and small is not None and isinstance(small, Picture)
    assert np.array_equal(plain.color, small.color) and np.array_equal(plain.depth, small.depth)


def test_a_surface_depth_arrives_whole_although_it_is_larger_than_a_frame(
    serving, backend: Backend, capture: Path
) -> None:
    surface = np.random.default_rng(0).random((1080, 1920), np.float32)
    backend.render(Render(objects=(), camera=view(1920, 1080), surface_depth=surface))
    assert np.array_equal(serving.desk.drawn[0].surface_depth, surface)


def test_an_unknown_asset_cannot_be_drawn(backend: Backend) -> None:
    with pytest.raises(UserError, match="no asset 'ghost'"):
        backend.render(Render(objects=(SceneObject(asset="ghost"),), camera=view()))


@pytest.mark.parametrize("compress", [False, True])
def test_of_a_stream_only_the_newest_picture_is_drawn_and_every_request_is_answered(
    serving, backend: Backend, compress: bool
) -> None:
    serving.desk.held = threading.Event()
    asked = [Render(objects=(), camera=view(8 + n), stream="viewport", compress=compress) for n in range(10)]
    futures = [backend.ask(request) for request in asked]
    for future in futures[:-1]:
        assert type(future.result(10)).__name__ == "Superseded"
    serving.desk.held.set()
    assert futures[-1].result(10).color.shape == (48, 17, 4)
    wait_for(lambda: serving.desk.drawn)
    assert len(serving.desk.drawn) <= 2  # the first may have begun before it was overtaken


def test_final_pictures_are_never_overtaken(serving, backend: Backend) -> None:
    serving.desk.held = threading.Event()
    futures = [backend.ask(Render(objects=(), camera=view(8 + n))) for n in range(10)]
    serving.desk.held.set()
    assert sorted(future.result(10).color.shape[1] for future in futures) == list(range(8, 18))


def test_previews_come_while_the_job_runs_and_end_with_it(join: Callable[..., Backend], capture: Path) -> None:
    heard: list[Event | Preview] = []
    backend = join(on_event=heard.append)
    job = backend.train(capture, steps=150)
    job.watch(0.05)
    job.wait(10)
    previews = [event for event in heard if isinstance(event, Preview)]
    assert 5 <= len(previews) <= 40
    assert all(preview.splats.means[0, 0] == preview.step for preview in previews)
    wait_for(lambda: job.id not in backend.previews)


def test_a_job_is_no_longer_watched_when_asked_so(join: Callable[..., Backend], capture: Path) -> None:
    heard: list[Event | Preview] = []
    job = join(on_event=heard.append).train(capture, steps=100_000)
    job.watch(0.02)
    wait_for(lambda: any(isinstance(event, Preview) for event in heard))
    job.watch(0)
    time.sleep(0.1)
    count = sum(isinstance(event, Preview) for event in heard)
    time.sleep(0.2)
    assert sum(isinstance(event, Preview) for event in heard) == count


def test_baked_splats_arrive(backend: Backend, capture: Path) -> None:
    backend.train(capture, steps=1).wait(10)
    assert backend.splats("asset-1").sh.shape == (10, 16, 3)
    assert backend.splats("asset-1", most=4).sh.shape == (4, 16, 3)


def test_assets_are_renamed_and_deleted(backend: Backend, capture: Path) -> None:
    backend.train(capture, steps=1).wait(10)
    backend.rename("asset-1", "Garden")
    assert [asset.name for asset in backend.assets()] == ["Garden"]
    assert backend.versions("asset-1")[0].version == "v1"
    backend.delete("asset-1")
    assert backend.assets() == ()


def test_versions_are_held_for_a_file_and_let_go(serving, backend: Backend) -> None:
    backend.hold("file", "/home/me/a.blend", ["v1", "v2"])
    backend.hold("session", "blender", [])
    held = {("file", "/home/me/a.blend"): ("v1", "v2"), ("session", "blender"): ()}
    assert serving.desk.held_versions == held


def test_a_closed_client_says_so(backend: Backend) -> None:
    backend.close()
    assert backend.state == "closed"
    with pytest.raises(UserError, match="closed"):
        backend.jobs()


def test_a_listener_that_fails_does_not_end_the_connection(join: Callable[..., Backend], capture: Path) -> None:
    def fail(_event: Event | Preview) -> None:
        raise ZeroDivisionError

    assert join(on_event=fail).train(capture, steps=3).wait(10).status == "finished"


def test_requests_of_many_threads_are_answered(backend: Backend) -> None:
    answers: list[object] = []

    def ask() -> None:
        answers.extend(backend.request(Beat(), Alive) for _ in range(50))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(answers) == 300
