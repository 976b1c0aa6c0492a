"""Edit, then keep training: by the desk and from the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backend.cli.command import run
from backend.splats.io import read_cloud, write_cloud
from backend.store.garbage import collect
from shared_protocol.errors import UserError
from shared_protocol.messages import MeasureViews, RunMethod, Select, Train
from shared_protocol.selecting import InBox, Inverted, Stored
from shared_protocol.things import FolderCapture, JobState, Matrix
from tests.unit.jobs.test_desk import Room, cloud_of
from tests.unit.jobs.test_method_jobs import done, version

RIGHT: Matrix = (50.0, 0, 0, 50.0, 0, 50.0, 0, 0, 0, 0, 50.0, 0, 0, 0, 0, 1)  # x from 0 to 100


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path / "workspace")
    yield made
    made.desk.close()


@pytest.fixture
def trained(room: Room, tiny_capture: Path) -> JobState:
    return room.wait(room.train(tiny_capture, steps=40), "finished")


def go_on(room: Room, capture: Path, asset: str, **options) -> JobState:
    wish = Train(name="more", capture=FolderCapture(path=str(capture)), start_asset=asset, steps=20, **options)
    return room.desk.submit(wish)


def test_a_version_that_was_edited_is_trained_on(room: Room, trained: JobState, tiny_capture: Path) -> None:
    asset = trained.asset
    deleted = done(room, "delete", asset, box=RIGHT)
    coloured = done(room, "color", asset, settings={"saturation": 0.0})
    assert version(room, asset, coloured.version).parent == deleted.version
    state = room.wait(go_on(room, tiny_capture, asset), "finished")
    assert state.asset == asset and len(room.desk.assets()) == 1
    made = version(room, asset, state.version)
    assert made.parent == coloured.version and room.desk.assets()[0].head == state.version
    cloud, before = (cloud_of(room.desk.bake(asset, v)) for v in (state.version, coloured.version))
    assert (cloud.means[:, 0] < 0.3).all(), "what was deleted did not grow back"
    grey = np.abs(np.diff(cloud.sh[:, 0], axis=1)).mean()
    assert grey < 0.15 and np.abs(np.diff(before.sh[:, 0], axis=1)).max() < 1e-4
    room.desk.hold("session", "blender", (coloured.version,))


def test_what_was_edited_stays_so_in_the_next_training_too(room: Room, trained: JobState, tiny_capture: Path) -> None:
    asset = trained.asset
    first = cloud_of(room.desk.bake(asset, trained.version))
    deleted = done(room, "delete", asset, box=RIGHT)
    again = room.wait(go_on(room, tiny_capture, asset), "finished")
    coloured = done(room, "color", asset, settings={"saturation": 0.0})
    room.desk.hold("session", "blender", (coloured.version,))
    collect(room.desk._workspace, now=4e9)
    kept = {found.version for found in room.desk.versions(asset)}
    assert {trained.version, deleted.version, again.version, coloured.version} <= kept
    third = room.wait(go_on(room, tiny_capture, asset), "finished")
    fourth = room.wait(go_on(room, tiny_capture, asset), "finished")
    for state in (third, fourth):
        cloud = cloud_of(room.desk.bake(asset, state.version))
        assert (cloud.means[:, 0] < 0.3).all(), "what was deleted before the second training"
        saturation, of_first = (np.abs(np.diff(one.sh[:, 0], axis=1)).mean() for one in (cloud, first))
        assert saturation < 0.5 * of_first, "what was coloured before the third"


def test_what_an_edit_came_from_is_kept_for_trainings(room: Room, trained: JobState, tiny_capture: Path) -> None:
    edited = done(room, "color", trained.asset, settings={"exposure": -1.0})
    kept = {found.version for found in room.desk.versions(trained.asset)}
    assert kept == {trained.version, edited.version}
    collect(room.desk._workspace, now=4e9)
    assert {found.version for found in room.desk.versions(trained.asset)} == kept


def test_what_does_not_fit_is_refused_and_changes_nothing(room: Room, trained: JobState, tiny_capture: Path) -> None:
    asset = trained.asset
    for wish, said in (
        ({"asset": "nothing"}, "no asset"),
        ({"asset": asset, "start_version": "nothing"}, "no version"),
        ({"asset": asset, "method": "gs_mesh"}, "mesh"),
    ):
        with pytest.raises(UserError, match=said):
            go_on(room, tiny_capture, **wish)
    first = go_on(room, tiny_capture, asset, start_version=trained.version)
    with pytest.raises(UserError, match="still at work"):
        go_on(room, tiny_capture, asset, start_version=trained.version)
    with pytest.raises(UserError, match="still at work"):
        room.desk.run_method(RunMethod(method="opacity", asset=asset))
    room.desk.cancel(first.job, False)
    room.desk.cancel(first.job, False)
    assert len(room.desk.assets()) == 1 and len(room.desk.versions(asset)) == 1


def test_splats_whose_axes_and_scale_were_set_are_trained_on(room: Room, trained: JobState, tiny_capture: Path) -> None:
    asset = trained.asset
    deleted = done(room, "delete", asset, box=RIGHT)
    as_before = psnr(room, asset, deleted.version)
    unmoved = room.wait(go_on(room, tiny_capture, asset, seed=1), "finished")
    done(room, "set_scale", asset, version=deleted.version, points=((0.0, 0, 0), (0, 0, 1)), settings={"length": 3.0})
    placed = done(room, "set_axes", asset, points=((1.0, 2, 3), (1, 3, 3), (-4, 2, 4)))
    now = cloud_of(room.desk.bake(asset, placed.version))
    assert np.ptp(now.means, 0).max() > 2 * np.ptp(cloud_of(room.desk.bake(asset, deleted.version)).means, 0).max()
    assert abs(psnr(room, asset, placed.version) - as_before) < 0.05, "the photos are compared in the new frame"
    moved = room.wait(go_on(room, tiny_capture, asset, seed=1), "finished")
    assert abs(moved.figures["psnr"] - unmoved.figures["psnr"]) < 0.3
    assert version(room, asset, moved.version).parent == placed.version
    assert abs(psnr(room, asset, moved.version) - psnr(room, asset, unmoved.version)) < 0.3
    back = np.linalg.inv(room.desk._assets.version(asset, moved.version).frame_from_made)
    means = cloud_of(room.desk.bake(asset, moved.version)).means @ back[:3, :3].T + back[:3, 3]
    assert (means[:, 0] < 0.3).all(), "what was deleted did not grow back"
    again = room.wait(go_on(room, tiny_capture, asset, seed=1), "finished")
    assert again.figures["psnr"] > psnr(room, asset, moved.version), "what was made of it is in the new frame, too"


def psnr(room: Room, asset: str, number: str) -> float:
    """Over the held-out views."""
    return room.wait(room.desk.measure(MeasureViews(asset=asset, version=number)), "finished").figures["psnr"]


def test_only_a_selection_learns_and_selections_follow(room: Room, trained: JobState, tiny_capture: Path) -> None:
    asset = trained.asset
    right = room.desk.select(Select(asset=asset, by=InBox(asset_from_box=RIGHT)))
    left = room.desk.select(Select(asset=asset, by=Inverted(), base=right.selection))
    options = {"start_selection": right.selection, "start_hidden": left.selection, "learns": "selection"}
    state = room.wait(go_on(room, tiny_capture, asset, **options), "finished")
    cloud, before = (cloud_of(room.desk.bake(asset, v)) for v in (state.version, trained.version))
    count = left.count
    outside = before.select(before.means[:, 0] < 0)
    assert len(outside) == count and np.array_equal(cloud.means[:count], outside.means)
    follows = room.desk.select(Select(asset=asset, version=state.version, by=Stored(selection=state.selection)))
    hidden = room.desk.select(Select(asset=asset, version=state.version, by=Stored(selection=state.hidden)))
    assert hidden.count == count and follows.count == len(cloud) - count > 0
    assert not np.array_equal(cloud.sh[count:][:20], before.select(before.means[:, 0] >= 0).sh[:20])
    with pytest.raises(UserError, match="No splats are selected"):
        go_on(room, tiny_capture, asset, learns="selection")
    with pytest.raises(UserError, match="not one of this version"):
        go_on(room, tiny_capture, asset, start_selection="nothing")


def test_from_the_command_line(tiny_capture: Path, tmp_path: Path) -> None:
    scene, clean, better = (tmp_path / f"{name}.ply" for name in ("scene", "clean", "better"))
    assert run(["train", str(tiny_capture), "-o", str(scene), "--steps", "30", "--quiet"]) == 0
    assert run(["edit", "delete", str(scene), "-o", str(clean), "--box", "0 -100 -100 100 100 100", "--quiet"]) == 0
    command = ["train", str(tiny_capture), "-o", str(better), "--from", str(clean), "--steps", "20", "--quiet"]
    assert run([*command, "--edited-from", str(scene)]) == 0
    assert len(read_cloud(clean)) and (read_cloud(better).means[:, 0] < 0.3).all()
    write_cloud(clean, read_cloud(clean))
    assert run(["train", str(tiny_capture), "-o", str(better), "--edited-from", str(scene), "--quiet"]) == 2
