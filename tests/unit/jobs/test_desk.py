"""The desk as the server uses it: trainings that can be looked at, assets, files, captures."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.jobs import desk as desk_module
from backend.jobs.desk import Desk
from backend.splats.cloud import SplatCloud
from backend.splats.io import BOUND_FOLDER, read_cloud, write_cloud
from backend.store.payload import CLOUD_FIELDS, read_arrays
from shared_protocol.errors import UserError
from shared_protocol.messages import AssetChanged, AssetRemoved, Event, JobNote, Picture, Render, Splats, Train
from shared_protocol.things import FolderCapture, JobState, SceneObject, UploadedCapture, ViewCamera

FOREVER = 1_000_000


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


class Room:
    """A desk and all it told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[Event] = []
        self.fatal: list[str] = []
        self.desk = Desk(folder, device="cpu", on_event=self.events.append, on_fatal=self.fatal.append)

    def train(self, capture: Path | UploadedCapture, **wishes) -> JobState:
        source = FolderCapture(path=str(capture)) if isinstance(capture, Path) else capture
        wishes = {"name": "toy", "capture": source, "steps": FOREVER, "max_splats": 200, **wishes}
        return self.desk.submit(Train(**wishes))

    def reach_steps(self, state: JobState) -> None:
        def steps() -> bool:
            now = self.desk.job(state.job)
            assert now.status != "failed", now.failure
            return "splats" in now.figures and now.step >= 2

        wait_for(steps)

    def wait(self, state: JobState, status: str) -> JobState:
        wait_for(lambda: self.desk.job(state.job).status == status)
        return self.desk.job(state.job)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path / "workspace")
    yield made
    made.desk.close()


@pytest.fixture
def cloud() -> SplatCloud:
    generator = np.random.default_rng(2)
    shapes = ((50, 3), (50, 4), (50, 3), (50,), (50, 4, 3))
    return SplatCloud(*(generator.normal(scale=0.4, size=shape).astype(np.float32) for shape in shapes))


@pytest.fixture
def ply(tmp_path: Path, cloud: SplatCloud) -> Path:
    write_cloud(tmp_path / "statue.ply", cloud)
    return tmp_path / "statue.ply"


def picture_of(*objects: SceneObject, size: tuple[int, int] = (40, 30), **options) -> Render:
    """From a corner of the made scene, looking at its middle."""
    matrix = np.array([[0.7, 0.7, 0, 0], [0.3, -0.3, -0.9, 0.4], [-0.64, 0.64, -0.42, 6.5], [0, 0, 0, 1]])
    turn, _, rest = np.linalg.svd(matrix[:3, :3])
    matrix[:3, :3] = turn @ rest
    width, height = size
    camera = ViewCamera(
        camera_from_world=tuple(matrix.ravel().tolist()), fx=0.9 * width, fy=0.9 * width, cx=width / 2, cy=height / 2,
        width=width, height=height,
    )  # fmt: skip
    return Render(objects=objects, camera=camera, **options)


def cloud_of(splats: Splats) -> SplatCloud:
    return SplatCloud(**{name: getattr(splats, name) for name in CLOUD_FIELDS})


def same(one: SplatCloud, two: SplatCloud) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in CLOUD_FIELDS)


def drawn(room: Room, *objects: SceneObject, **options) -> Picture:
    return room.desk.render(picture_of(*objects, **options)).result(20)


def test_a_running_training_can_be_looked_at_between_steps(room: Room, tiny_capture: Path) -> None:
    state = room.train(tiny_capture)
    assert room.desk.assets()[0].asset == state.asset and room.desk.assets()[0].job == state.job
    room.reach_steps(state)
    first = drawn(room, SceneObject(asset=state.asset))
    assert first.step > 0 and first.color.shape == (30, 40, 4) and first.color[..., 3].max() > 100
    assert first.depth is not None and 3 < first.depth[first.color[..., 3] > 128].mean() < 10
    wait_for(lambda: room.desk.job(state.job).step > first.step + 20)
    later = drawn(room, SceneObject(asset=state.asset))
    assert later.step > first.step and not np.array_equal(first.color, later.color)
    preview = room.desk.snapshot(state.job).result(20)
    assert preview.step >= later.step and cloud_of(preview.splats).finite().all()
    before = preview.splats.means.copy()
    wait_for(lambda: room.desk.job(state.job).step > preview.step + 5)
    assert np.array_equal(before, preview.splats.means)  # it is a copy
    room.desk.cancel(state.job, True)
    room.wait(state, "stopped")
    kept = drawn(room, SceneObject(asset=state.asset))
    assert kept.step == 0 and kept.color[..., 3].max() > 100
    with pytest.raises(UserError, match="nothing to show"):
        room.desk.snapshot(state.job).result(5)
    (version,) = room.desk.versions(state.asset)
    assert version.version == room.desk.assets()[0].head and version.splats == len(room.desk.bake(state.asset).means)
    assert not room.desk.assets()[0].job


def test_a_picture_shows_the_live_splats_where_the_finished_ones_will_be(room: Room, tiny_capture: Path) -> None:
    """The training's own frame is never seen."""
    state = room.train(tiny_capture)
    room.reach_steps(state)
    room.desk.pause(state.job)
    room.wait(state, "paused")
    resting = SceneObject(asset=state.asset)
    live, splats = drawn(room, resting, pixels="float32"), room.desk.snapshot(state.job).result(5).splats
    live_beside_nothing = drawn(room, resting, SceneObject(asset=state.asset, visible=False), pixels="float32")
    room.desk.cancel(state.job, True)
    room.wait(state, "stopped")
    assert same(cloud_of(room.desk.bake(state.asset)), cloud_of(splats))
    stored = drawn(room, resting, pixels="float32")
    # The result holds all SH coefficients, of which the live training has learned the first few.
    np.testing.assert_allclose(live.color, stored.color, atol=2e-3)
    np.testing.assert_array_equal(live.color, live_beside_nothing.color)


def test_cancelling_leaves_nothing(room: Room, tiny_capture: Path) -> None:
    state = room.train(tiny_capture)
    room.reach_steps(state)
    assert room.desk.cancel(state.job, False).status == "cancelled"
    wait_for(lambda: room.desk.is_idle)
    assert room.desk.assets() == () and AssetRemoved(asset=state.asset) in room.events
    left = [path.name for path in room.folder.rglob("*") if path.is_file()]
    assert sorted(name for name in left if not name.startswith("catalogue")) == [".lock", "job.json", "workspace.json"]
    with pytest.raises(UserError, match="no asset"):
        drawn(room, SceneObject(asset=state.asset))


def test_a_stopped_training_goes_on_where_it_stopped(room: Room, tiny_capture: Path) -> None:
    state = room.train(tiny_capture, steps=150)
    room.reach_steps(state)
    room.desk.cancel(state.job, True)
    stopped = room.wait(state, "stopped")
    if stopped.step == stopped.steps:
        pytest.fail("the training ended before it was stopped")
    room.desk.resume(state.job)
    assert room.wait(state, "finished").step == 150
    labels = [version.label for version in room.desk.versions(state.asset)]
    assert labels == [f"MCMC, {stopped.step} steps", "MCMC, 150 steps"]


def test_a_paused_training_loses_nothing_when_the_computer_goes_down(
    room: Room, tiny_capture: Path, tmp_path: Path
) -> None:
    state = room.train(tiny_capture)
    room.reach_steps(state)
    room.desk.pause(state.job)
    step = room.wait(state, "paused").step
    checkpoint = room.folder / "jobs" / state.job / "training" / f"step_{step:08d}.json"
    wait_for(checkpoint.is_file)
    shutil.copytree(room.folder, tmp_path / "what was left")
    room.desk.cancel(state.job, False)
    again = Room(tmp_path / "what was left")
    assert again.desk.job(state.job).status == "paused"
    again.desk.resume(state.job)
    wait_for(lambda: any("checkpoint" in event.text for event in again.events if isinstance(event, JobNote)))
    assert JobNote(job=state.job, text=f"Going on from the checkpoint of step {step}.") in again.events
    again.desk.close()


def test_what_cannot_work_is_refused_at_once(room: Room, tiny_capture: Path, tmp_path: Path) -> None:
    for wishes, words in [
        ({"method": "magic"}, "no method called 'magic'"),
        ({"settings": {"sh_degree": 9}}, "'sh_degree'"),
        ({"settings": {"sh_degree": 2.5}}, "'sh_degree'"),
        ({"settings": {"antialiased": "maybe"}}, "'antialiased'"),
        ({"settings": {"background": "pinkish"}}, "pinkish"),
    ]:
        with pytest.raises(UserError, match=words):
            room.train(tiny_capture, **wishes)
    with pytest.raises(UserError, match="no capture folder"):
        room.train(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no capture"):
        room.train(UploadedCapture(id="ab" * 32))
    assert room.desk.assets() == () and room.desk.jobs() == ()


def test_settings_come_as_values(room: Room, tiny_capture: Path) -> None:
    state = room.train(tiny_capture, steps=3, settings={"sh_degree": 1, "antialiased": True}, method="default")
    room.wait(state, "finished")
    assert room.desk.bake(state.asset).sh.shape[1] == 4 and room.desk.job(state.job).method == "default"


def test_a_capture_that_lacks_photos_says_so_and_goes_on(room: Room, tiny_capture: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_capture, tmp_path / "incomplete")
    (tmp_path / "incomplete" / "images" / "0003.png").unlink()
    room.wait(room.train(tmp_path / "incomplete", steps=2), "finished")
    assert any("0003.png" in event.text for event in room.events if isinstance(event, JobNote))
    failed = room.wait(room.train(tmp_path / "incomplete", steps=2, strict=True), "failed")
    assert failed.failure is not None and "strict" in failed.failure.message


def test_an_uploaded_capture_is_trained_on(room: Room, tiny_capture: Path) -> None:
    identifier = "cd" * 32
    folder = room.desk.capture_begin(identifier, "Tiny")
    shutil.copytree(tiny_capture, folder, dirs_exist_ok=True)
    assert not room.desk.capture(identifier)
    room.desk.capture_done(identifier)
    assert room.desk.capture(identifier)
    room.wait(room.train(UploadedCapture(id=identifier), steps=2), "finished")


def test_files_come_in_and_go_out_unchanged(room: Room, ply: Path, cloud: SplatCloud, tmp_path: Path) -> None:
    info = room.desk.import_file(ply)
    assert (info.name, info.splats) == ("statue", 50) and AssetChanged(asset=info) in room.events
    assert same(cloud_of(room.desk.bake(info.asset, info.head)), cloud)
    room.desk.export_file(info.asset, "", tmp_path / "out.ply")
    room.desk.export_file(info.asset, info.head, tmp_path / "out.safetensors")
    assert same(read_cloud(tmp_path / "out.ply"), read_cloud(ply))
    assert np.array_equal(read_arrays(tmp_path / "out.safetensors")["sh"], cloud.sh)
    with pytest.raises(UserError, match=r"\.ply"):
        room.desk.export_file(info.asset, "", tmp_path / "out.xyz")
    for name in ("bad.ply", "bad.safetensors"):
        (tmp_path / name).write_bytes(b"ply\nrubbish")
        with pytest.raises(UserError, match=name):
            room.desk.import_file(tmp_path / name)
    assert [asset.name for asset in room.desk.assets()] == ["statue"]
    again = room.desk.import_file(tmp_path / "out.safetensors")
    assert same(cloud_of(room.desk.bake(again.asset)), cloud)


def test_every_kind_of_file_that_the_catalog_names_goes_out_and_comes_in(room: Room, ply: Path, tmp_path: Path) -> None:
    told, info = room.desk.methods(), room.desk.import_file(ply)
    assert {".ply", ".spz", ".sog"} <= set(told.reads) & set(told.writes)
    for suffix in set(told.writes) - {BOUND_FOLDER}:  # which is for bound splats, see test_bound_folder.py
        (tmp_path / suffix).mkdir()  # some kinds are several files
        room.desk.export_file(info.asset, "", tmp_path / suffix / f"all{suffix}")
        if suffix in told.reads:
            assert room.desk.import_file(tmp_path / suffix / f"all{suffix}").splats == info.splats


def test_a_file_becomes_a_new_version_of_an_asset_in_the_frame_that_the_asset_has(room: Room, ply: Path) -> None:
    before = room.desk.import_file(ply, frame="z_up")
    after = room.desk.import_file(ply, "points", asset=before.asset)
    versions = room.desk.versions(before.asset)
    assert after.asset == before.asset and after.frame == "z_up" and len(room.desk.assets()) == 1
    assert [version.version for version in versions] == [before.head, after.head]
    assert versions[-1].label == "read from points"
    with pytest.raises(UserError, match="no asset"):
        room.desk.import_file(ply, asset="nobody")


def test_a_sample_is_drawn_evenly_from_all_splats(room: Room, ply: Path) -> None:
    info = room.desk.import_file(ply)
    every, some = room.desk.bake(info.asset).means, room.desk.bake(info.asset, "", 8).means
    assert np.array_equal(some, every[[0, 7, 14, 21, 28, 35, 42, 49]])
    assert np.array_equal(room.desk.bake(info.asset, "", 1000).means, every)


def test_names_and_deletion(room: Room, ply: Path, tiny_capture: Path) -> None:
    info = room.desk.import_file(ply, "Bust")
    assert room.desk.rename(info.asset, "Head").name == "Head" == room.desk.assets()[0].name
    room.desk.delete(info.asset)
    assert room.desk.assets() == () and AssetRemoved(asset=info.asset) in room.events
    with pytest.raises(UserError, match="deleted"):
        drawn(room, SceneObject(asset=info.asset))
    # A Blender file, or its undo, that still names the version can show it.
    assert drawn(room, SceneObject(asset=info.asset, version=info.head)).color[..., 3].max() > 0
    state = room.train(tiny_capture)
    with pytest.raises(UserError, match="still at work on 'toy'"):
        room.desk.delete(state.asset)
    room.desk.cancel(state.job, False)


def test_versions_that_are_held_survive_the_next_start(tmp_path: Path, ply: Path, monkeypatch) -> None:
    room = Room(tmp_path / "w")
    one, two = room.desk.import_file(ply, "held"), room.desk.import_file(ply, "free")
    room.desk.hold("file", "/home/me/a.blend", (one.head,))
    for info in (one, two):
        room.desk.delete(info.asset)
    room.desk.close()
    collect = desk_module.collect
    monkeypatch.setattr(desk_module, "collect", lambda workspace: collect(workspace, now=time.time() + 7200))
    room = Room(tmp_path / "w")
    assert len(room.desk.bake(one.asset, one.head).means) == 50
    with pytest.raises(UserError, match="no version"):
        room.desk.bake(two.asset, two.head)
    room.desk.hold("file", "/home/me/a.blend", ())
    room.desk.close()
    room = Room(tmp_path / "w")
    assert not list((tmp_path / "w" / "assets").glob("*"))
    room.desk.close()


def test_pictures_come_in_the_pixels_that_were_asked_for(room: Room, ply: Path) -> None:
    item = SceneObject(asset=room.desk.import_file(ply).asset)
    by_type = {pixels: drawn(room, item, pixels=pixels) for pixels in ("uint8", "float16", "float32")}
    assert {name: str(picture.color.dtype) for name, picture in by_type.items()} == {name: name for name in by_type}
    exact = by_type["float32"].color
    assert np.abs(by_type["float16"].color - exact).max() < 2e-3
    assert np.abs(by_type["uint8"].color / 255 - exact.clip(0, 1)).max() < 0.51 / 255
    # Whoever gets a picture may change it.
    by_type["uint8"].color[:] = 0
    assert by_type["uint8"].color.flags.c_contiguous and drawn(room, item).color.max() > 0
    assert drawn(room, item, depth=False).depth is None
    hidden = drawn(room, item, surface_depth=np.full((30, 40), 0.05, np.float32))
    assert hidden.color.max() == 0
    assert drawn(room).color.shape == (30, 40, 4)


def test_objects_stand_where_their_matrix_says_and_hide_each_other(
    room: Room, tmp_path: Path, cloud: SplatCloud
) -> None:
    write_cloud(tmp_path / "wall.ply", replace(cloud, opacity_logits=np.full(50, 9, np.float32)))
    wall = room.desk.import_file(tmp_path / "wall.ply").asset
    aside = SceneObject(asset=wall, world_from_object=(1, 0, 0, 50, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1))
    here = SceneObject(asset=wall)
    assert drawn(room, aside).color.max() == 0
    np.testing.assert_array_equal(drawn(room, aside, here).color > 0, drawn(room, here).color > 0)
    flat = SceneObject(asset=wall, world_from_object=(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1))
    with pytest.raises(UserError, match="scaled to nothing"):
        drawn(room, flat)


def test_the_catalog_lists_every_method_with_its_settings(room: Room) -> None:
    methods = {method.id: method for method in room.desk.methods().methods}
    assert {"mcmc", "default"} <= methods.keys()
    assert "sh_degree" in [setting.name for setting in methods["mcmc"].settings]


def test_the_age_of_the_last_step_tells_busy_from_stuck(room: Room, tiny_capture: Path) -> None:
    assert room.desk.step_age() is None and room.desk.is_idle
    state = room.train(tiny_capture)
    room.reach_steps(state)
    age = room.desk.step_age()
    assert age is not None and age < 5 and not room.desk.is_idle
    room.desk.cancel(state.job, False)
    wait_for(lambda: room.desk.step_age() is None)
