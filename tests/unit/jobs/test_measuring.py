"""Versions are compared with photos as jobs of the desk; figures stay with the version, and photos come back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.splats.io import write_cloud
from backend.splats.similarity import psnr
from backend.store.assets import AssetStore
from backend.store.cards import JobCard
from shared_protocol.errors import UserError
from shared_protocol.messages import FetchPhoto, JobProgress, MeasureViews, Render, RunMethod
from shared_protocol.things import AssetInfo, FolderCapture, JobState, MeasuredView, SceneObject
from tests.made_splats import sphere
from tests.unit.jobs.test_desk import Room, wait_for


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path / "workspace")
    yield made
    made.desk.close()


@pytest.fixture
def asset(room: Room, tmp_path: Path) -> AssetInfo:
    write_cloud(tmp_path / "ball.ply", sphere(1.0, 500))
    return room.desk.import_file(tmp_path / "ball.ply")


def measured(room: Room, wish: MeasureViews, status: str = "finished") -> JobState:
    state = room.desk.measure(wish)
    wait_for(lambda: room.desk.job(state.job).status in ("finished", "failed", "cancelled"))
    state = room.desk.job(state.job)
    assert state.status == status, state.failure
    return state


def figures(room: Room, asset: str, version: str = "") -> dict[str, MeasuredView]:
    return {view.name: view for view in room.desk.figures(asset, version, 0).views}


def seen_error(room: Room, asset: str, view: str) -> float:
    """PSNR by hand: of the photo as it is handed out, and of the picture that `Render` makes for its camera."""
    import torch

    photo = room.desk.photo(FetchPhoto(asset=asset, view=view, longer_side=48))
    request = Render(objects=(SceneObject(asset=asset),), camera=photo.camera, pixels="float32", depth=False)
    drawn = room.desk.render(request).result(20).color
    on_background = drawn[..., :3] + (1 - drawn[..., 3:]) * np.array(photo.background, np.float32)
    return psnr(torch.tensor(on_background), torch.tensor(photo.color[..., :3] / np.float32(255)))


def test_every_view_is_measured_and_the_figures_are_those_of_the_pictures(
    room: Room, asset: AssetInfo, tiny_capture: Path
) -> None:
    assert room.desk.figures(asset.asset, "", 0).total == 0
    state = measured(room, MeasureViews(asset=asset.asset, capture=FolderCapture(path=str(tiny_capture))))
    assert (state.category, state.asset, state.version) == ("evaluation", asset.asset, "")
    assert room.desk.assets()[0].head == asset.head and room.desk.assets()[0].job == ""
    found = figures(room, asset.asset)
    assert len(found) == 9 and [name for name, view in found.items() if view.held_out] == [
        "images/0000.png", "images/0008.png",
    ]  # fmt: skip
    held_out = [view.psnr for view in found.values() if view.held_out]
    assert state.figures["psnr"] == pytest.approx(np.mean(held_out))
    for name in ("images/0000.png", "images/0005.png"):
        assert seen_error(room, asset.asset, name) == pytest.approx(found[name].psnr, abs=0.02)
    assert any(isinstance(event, JobProgress) and event.steps == 9 for event in room.events)
    assert room.desk.figures(asset.asset, "", 7).views == tuple(found.values())[7:]


def test_figures_come_back_with_the_workspace_and_go_with_the_version(
    room: Room, asset: AssetInfo, tiny_capture: Path
) -> None:
    measured(room, MeasureViews(asset=asset.asset, capture=FolderCapture(path=str(tiny_capture))))
    before = figures(room, asset.asset)
    room.desk.close()
    room.desk = Room(room.folder).desk
    assert figures(room, asset.asset) == before
    (file,) = (room.folder / "assets" / asset.asset / "figures").iterdir()
    workspace = room.desk._workspace
    store = AssetStore(workspace)
    store.remove(store.version(asset.asset))
    assert not file.exists()


def test_a_training_leaves_its_held_out_figures_and_all_can_be_measured_as_it_did(
    room: Room, tiny_capture: Path
) -> None:
    state = room.train(tiny_capture, steps=3, resolution=24, settings={"background": "#4080c0"})
    wait_for(lambda: room.desk.job(state.job).status == "finished")
    trained = figures(room, state.asset)
    assert list(trained) == ["images/0000.png", "images/0008.png"] and all(v.held_out for v in trained.values())
    every = measured(room, MeasureViews(asset=state.asset))  # it is known from which photos
    again = figures(room, state.asset)
    assert len(again) == 9
    for name, view in trained.items():
        assert again[name].psnr == pytest.approx(view.psnr, abs=1e-3)
    assert every.figures["psnr"] == pytest.approx(room.desk.job(state.job).figures["psnr"], abs=1e-3)
    photo = room.desk.photo(FetchPhoto(asset=state.asset, view="images/0003.png"))
    assert photo.background == pytest.approx((0x40 / 255, 0x80 / 255, 0xC0 / 255))
    with Image.open(tiny_capture / "images/0003.png") as image:
        assert np.array_equal(photo.color[..., :3], np.asarray(image.convert("RGB")))
    assert photo.camera.width == 48 and (photo.color[..., 3] == 255).all()


def test_an_edit_is_measured_with_the_photos_of_what_it_was_made_from(
    room: Room, asset: AssetInfo, tiny_capture: Path
) -> None:
    measured(room, MeasureViews(asset=asset.asset, capture=FolderCapture(path=str(tiny_capture))))
    half = (2.0, 0, 0, 0, 0, 2.0, 0, 0, 0, 0, 1.0, 1.0, 0, 0, 0, 1)
    state = room.desk.run_method(RunMethod(method="crop", asset=asset.asset, box=half))
    wait_for(lambda: room.desk.job(state.job).status == "finished")
    assert figures(room, asset.asset) == {}, "it looks otherwise than before"
    measured(room, MeasureViews(asset=asset.asset))
    assert len(figures(room, asset.asset)) == len(figures(room, asset.asset, asset.head)) == 9
    assert figures(room, asset.asset) != figures(room, asset.asset, asset.head)


def test_what_masks_rule_out_is_marked_in_the_photo(
    room: Room, asset: AssetInfo, tiny_capture: Path, tmp_path: Path
) -> None:
    masked = Path(shutil.copytree(tiny_capture, tmp_path / "masked"))
    (masked / "masks").mkdir()
    for photo in (masked / "images").iterdir():
        mask = np.full((32, 48), 255, np.uint8)
        mask[:, :3] = 0  # a strip at the left, which a training leaves out
        Image.fromarray(mask).save(masked / "masks" / photo.name)
    measured(room, MeasureViews(asset=asset.asset, capture=FolderCapture(path=str(masked))))
    photo = room.desk.photo(FetchPhoto(asset=asset.asset, view="images/0001.png"))
    assert (photo.color[:, :3, 3] == 0).all() and (photo.color[:, 4:, 3] == 255).all()


def test_a_measuring_that_is_thrown_away_leaves_the_old_figures(
    room: Room, asset: AssetInfo, tiny_capture: Path
) -> None:
    wish = MeasureViews(asset=asset.asset, capture=FolderCapture(path=str(tiny_capture)))
    measured(room, wish)
    before = figures(room, asset.asset)
    training = room.train(tiny_capture)  # behind which the next one waits
    room.reach_steps(training)
    state = room.desk.measure(wish)
    assert room.desk.job(state.job).status == "queued"
    room.desk.cancel(state.job, False)
    room.desk.cancel(training.job, False)
    wait_for(lambda: room.desk.is_idle)
    assert room.desk.job(state.job).status == "cancelled" and figures(room, asset.asset) == before


def test_what_cannot_be_measured_or_shown_is_refused_in_a_sentence(
    room: Room, asset: AssetInfo, tiny_capture: Path
) -> None:
    with pytest.raises(UserError, match="from which photos"):
        room.desk.measure(MeasureViews(asset=asset.asset))
    with pytest.raises(UserError, match="not there any more"):
        room.desk.measure(MeasureViews(asset=asset.asset, capture=FolderCapture(path="/nowhere/at/all")))
    with pytest.raises(UserError, match="not compared with photos yet"):
        room.desk.photo(FetchPhoto(asset=asset.asset, view="a.png"))
    assert not room.desk._workspace.catalogue.all(JobCard)
    measured(room, MeasureViews(asset=asset.asset, capture=FolderCapture(path=str(tiny_capture))))
    with pytest.raises(UserError, match=r"has no photo 'a\.png'"):
        room.desk.photo(FetchPhoto(asset=asset.asset, view="a.png"))
