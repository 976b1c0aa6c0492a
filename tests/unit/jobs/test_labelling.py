"""Named selections, values, what is pointed at, neighbours and labels at the desk."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from backend.selection import in_picture
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.io import write_cloud
from backend.splats.rendering import SceneObject, draw_scene
from backend.splats.representation import CloudRepresentation
from shared_protocol.errors import UserError
from shared_protocol.messages import JobAccepted, Select, SelectionInfo
from shared_protocol.selecting import (
    Connected,
    Contributing,
    FetchHistogram,
    FetchSelection,
    Floaters,
    Grown,
    Histogram,
    InBox,
    IndexVersion,
    InMesh,
    InOutline,
    InRange,
    Labelled,
    LabelSplats,
    ListSelections,
    MaskedView,
    Named,
    NamedSelections,
    NameSelection,
    PickedSplat,
    PickSplat,
    SelectedSplats,
    SelectionQuestion,
    Selector,
)
from shared_protocol.things import ENDED, IDENTITY, AssetInfo, FolderCapture, JobState, Matrix, ViewCamera
from tests.made_splats import sphere
from tests.unit.jobs.test_desk import Room
from tests.unit.jobs.test_method_jobs import done

BALL = sphere(1.0, 1500)
LEFT = np.arange(3000) < 1500  # of two balls side by side
RIGHT_HALF: Matrix = (3.0, 0, 0, 3.0, 0, 3.0, 0, 0, 0, 0, 3.0, 0, 0, 0, 0, 1.0)  # x from 0 to 6


def view_from(side: float) -> ViewCamera:
    """Sees both balls, from below (1) or from above (-1)."""
    turned = (1.0, 0, 0, 0, 0, side, 0, 0, 0, 0, side, 8.0, 0, 0, 0, 1.0)
    return ViewCamera(camera_from_world=turned, fx=60, fy=60, cx=32, cy=32, width=64, height=64)


def around_the_left(side: float) -> MaskedView:
    outline = np.array([(0, 0), (32, 0), (32, 64), (0, 64)], np.float32)
    return MaskedView(camera=view_from(side), world_from_object=IDENTITY, outlines=(outline,))


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path / "workspace")
    yield made
    made.desk.close()


@pytest.fixture
def asset(room: Room, tmp_path: Path) -> AssetInfo:
    two = SplatCloud(
        np.concatenate([BALL.means - np.array((2, 0, 0), np.float32), BALL.means + np.array((2, 0, 0), np.float32)]),
        *(np.concatenate([part, part]) for part in (BALL.quats, BALL.log_scales, BALL.opacity_logits, BALL.sh)),
    )
    write_cloud(tmp_path / "balls.ply", two)
    return room.desk.import_file(tmp_path / "balls.ply")


def select(room: Room, asset: AssetInfo, by: Selector, base: str = "", version: str = "") -> SelectionInfo:
    return room.desk.select(Select(asset=asset.asset, version=version, by=by, base=base))


def mask(room: Room, asset: AssetInfo, selection: str, version: str = "") -> np.ndarray:
    asked = FetchSelection(asset=asset.asset, version=version, selection=selection)
    answer = room.desk.about_selections(asked)
    assert isinstance(answer, SelectedSplats) and answer.selection == selection
    return answer.selected


def finished(room: Room, asked: SelectionQuestion) -> JobState:
    answer = room.desk.about_selections(asked)
    assert isinstance(answer, JobAccepted)
    end = time.monotonic() + 120
    while room.desk.job(answer.job.job).status not in ENDED and time.monotonic() < end:
        time.sleep(0.01)
    return room.desk.job(answer.job.job)


def test_named_selections_are_found_by_name_and_go_along_with_edits(room: Room, asset: AssetInfo) -> None:
    right = select(room, asset, InBox(asset_from_box=RIGHT_HALF))
    for name in ("right ball", "a"):
        room.desk.about_selections(NameSelection(asset=asset.asset, name=name, selection=right.selection))
    named = room.desk.about_selections(ListSelections(asset=asset.asset))
    assert isinstance(named, NamedSelections)
    assert [(one.name, one.selection, one.count) for one in named.selections] == [
        ("a", right.selection, 1500), ("right ball", right.selection, 1500),
    ]  # fmt: skip
    assert select(room, asset, Named(name="a")).selection == right.selection
    forgotten = room.desk.about_selections(NameSelection(asset=asset.asset, name="a"))
    assert isinstance(forgotten, NamedSelections) and [one.name for one in forgotten.selections] == ["right ball"]
    some = select(room, asset, InRange(attribute="distance", low=0, high=2)).selection
    cut = done(room, "delete", asset.asset, selection=some)
    kept = select(room, asset, Named(name="right ball"), version=cut.version)
    expected = ~LEFT[~mask(room, asset, some, asset.head)]
    assert np.array_equal(mask(room, asset, kept.selection, cut.version), expected)
    with pytest.raises(UserError, match="No selection is named 'b'"):
        select(room, asset, Named(name="b"))
    with pytest.raises(UserError, match="not one of this version"):
        room.desk.about_selections(NameSelection(asset=asset.asset, name="b", selection="a" * 32))


def test_values_are_counted_and_the_front_splat_is_picked(room: Room, asset: AssetInfo) -> None:
    asked = FetchHistogram(asset=asset.asset, attribute="distance", version=asset.head, bins=4)
    spread = room.desk.about_selections(asked)
    assert isinstance(spread, Histogram) and sum(spread.counts) == 3000 and len(spread.counts) == 4
    assert spread.low == pytest.approx(1, abs=0.05) and spread.high == pytest.approx(3, abs=0.05)
    low = select(room, asset, InRange(attribute="distance", low=spread.low, high=spread.high / 2 + spread.low / 2))
    assert low.count == sum(spread.counts[:2])

    def pick(x: float, hidden: str = "") -> PickedSplat:
        answer = room.desk.about_selections(
            PickSplat(asset=asset.asset, camera=view_from(1), world_from_object=IDENTITY, x=x, y=32, hidden=hidden)
        )
        assert isinstance(answer, PickedSplat)
        return answer

    left = pick(32 - 60 * 2 / 7)
    assert LEFT[left.index] and left.depth == pytest.approx(7, abs=0.2)
    assert left.position == pytest.approx((-2, 0, -1), abs=0.2)
    front = select(room, asset, Contributing(camera=view_from(1), world_from_object=IDENTITY, at_least=0.5))
    assert 0 < front.count < 2500
    assert pick(32 - 60 * 2 / 7, front.selection).position[2] > 0, "through what is hidden the back is seen"
    assert pick(1).index == -1


def test_neighbours_are_found_in_the_background_and_used(room: Room, asset: AssetInfo) -> None:
    unknown = InRange(attribute="visibility", low=1.0, high=1e9)
    with pytest.raises(UserError, match="has not been measured"):
        select(room, asset, unknown)
    ended = finished(room, IndexVersion(asset=asset.asset))
    assert (ended.status, ended.category, ended.version) == ("finished", "selection", "")
    spread = room.desk.about_selections(FetchHistogram(asset=asset.asset, attribute="visibility"))
    assert isinstance(spread, Histogram) and spread.low >= 0 and sum(spread.counts) == 3000
    assert 0 < select(room, asset, unknown).count < 3000, "1 is the mean"
    seed = select(room, asset, InOutline(
        camera=view_from(1), world_from_object=IDENTITY, points=np.array([(10, 28), (18, 28), (14, 36)], np.float32)
    )).selection  # fmt: skip
    assert np.array_equal(mask(room, asset, select(room, asset, Connected(distance=0.3), seed).selection), LEFT)
    wider, smaller = (select(room, asset, Grown(steps=steps), seed).count for steps in (1, -1))
    assert smaller < mask(room, asset, seed).sum() < wider
    assert select(room, asset, Floaters(most=1400, distance=0.3)).count == 0
    assert select(room, asset, Floaters(most=1500, distance=0.3)).count == 3000
    tetrahedron = np.array([(-9, -9, -9), (0, -9, 20), (0, 20, -9), (0.01, -9, -9)], np.float32)
    faces = np.array([(0, 1, 2), (0, 3, 1), (0, 2, 3), (1, 3, 2)], np.int32)
    inside = select(room, asset, InMesh(vertices=tetrahedron, faces=faces))
    outside = select(room, asset, InMesh(vertices=tetrahedron, faces=faces, outside=True))
    assert np.array_equal(mask(room, asset, inside.selection), LEFT)
    assert np.array_equal(mask(room, asset, outside.selection), ~LEFT)


def test_only_the_surface_is_selected_where_that_is_asked(room: Room, asset: AssetInfo) -> None:
    points = np.array([(0, 0), (64, 0), (64, 64), (0, 64)], np.float32)
    front, through = (
        select(
            room,
            asset,
            InOutline(camera=view_from(1), world_from_object=IDENTITY, points=points, surface_only=only),
        )
        for only in (True, False)
    )
    assert through.count == 3000
    depths = np.concatenate([BALL.means, BALL.means])[:, 2]
    seen = mask(room, asset, front.selection)
    assert not seen[depths > 0.5].any() and seen[depths < -0.9].mean() > 0.8


def test_a_ball_that_was_drawn_around_in_two_views_is_told_apart(room: Room, asset: AssetInfo) -> None:
    views = (around_the_left(1), around_the_left(-1))
    ended = finished(room, LabelSplats(asset=asset.asset, views=views))
    assert (ended.status, ended.category) == ("finished", "selection") and ended.figures["labels"] == 2
    object_ = select(room, asset, Labelled(label=1))
    found = mask(room, asset, object_.selection)
    assert not found[~LEFT].any() and found[LEFT].mean() > 0.8
    assert select(room, asset, Labelled(label=1, bias=0.99)).count <= object_.count
    sure = select(room, asset, Labelled(label=1, confidence=0.9))
    assert 0 < sure.count <= object_.count
    in_range = select(room, asset, InRange(attribute="confidence", low=0.9, high=1.0))
    assert mask(room, asset, in_range.selection)[mask(room, asset, sure.selection)].all()
    named = room.desk.about_selections(ListSelections(asset=asset.asset))
    assert isinstance(named, NamedSelections) and named.labels == 2
    cut = done(room, "delete", asset.asset, selection=sure.selection)
    rest = select(room, asset, Labelled(label=1), version=cut.version)
    assert rest.count == object_.count - sure.count


def test_masks_that_fit_nothing_say_so_and_change_nothing(room: Room, asset: AssetInfo, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no masks"):
        room.desk.about_selections(LabelSplats(asset=asset.asset))
    with pytest.raises(UserError, match="folder is not there"):
        missing = FolderCapture(path=str(tmp_path / "gone"))
        room.desk.about_selections(LabelSplats(asset=asset.asset, capture=missing))
    small = MaskedView(camera=view_from(1), world_from_object=IDENTITY, labels=np.ones((8, 9), np.uint8))
    with pytest.raises(UserError, match=r"mask of view 1 is 9 x 8, its picture 64 x 64"):
        room.desk.about_selections(LabelSplats(asset=asset.asset, views=(small,)))
    corner = np.zeros((64, 64), np.uint8)
    corner[:4, :4] = 1
    beside = MaskedView(camera=view_from(1), world_from_object=IDENTITY, labels=corner)
    failed = finished(room, LabelSplats(asset=asset.asset, views=(beside,)))
    assert failed.status == "failed" and failed.failure is not None and "No splat is seen" in failed.failure.message
    whole = MaskedView(camera=view_from(1), world_from_object=IDENTITY, labels=np.ones((64, 64), np.uint8))
    none = MaskedView(camera=view_from(1), world_from_object=IDENTITY, labels=np.zeros((64, 64), np.uint8))
    failed = finished(room, LabelSplats(asset=asset.asset, views=(whole, none, none)))
    assert failed.failure is not None and "contradict" in failed.failure.message
    with pytest.raises(UserError, match="No masks were given"):
        select(room, asset, Labelled())


def test_the_bias_moves_the_border_without_another_look(
    room: Room, asset: AssetInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    low = np.zeros((64, 64), np.uint8)
    low[:, :17] = 1  # half of the left ball
    views = tuple(MaskedView(camera=view_from(side), world_from_object=IDENTITY, labels=low) for side in (1, -1))
    finished(room, LabelSplats(asset=asset.asset, views=views))

    def look_again(*_: object) -> None:
        raise AssertionError("the sums are known")

    monkeypatch.setattr(in_picture, "blending_weights", look_again)
    counts = [select(room, asset, Labelled(label=1, bias=bias)).count for bias in (-0.99, -0.5, 0.0, 0.5, 0.99)]
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[-1] > 0


def test_masks_of_a_capture_tell_its_object_apart(room: Room, asset: AssetInfo, tmp_path: Path) -> None:
    folder = capture_with_alpha(tmp_path / "photos", distance=8.0)
    ended = finished(room, LabelSplats(asset=asset.asset, capture=FolderCapture(path=str(folder))))
    assert ended.status == "finished" and ended.figures["labels"] == 2
    found = mask(room, asset, select(room, asset, Labelled(label=1)).selection)
    assert not found[~LEFT].any() and found[LEFT].mean() > 0.8
    points = ((1.0, 2, 3), (1, 3, 3), (-4, 2, 4))
    turned = done(room, "set_axes", asset.asset, points=points).version
    ended = finished(room, LabelSplats(asset=asset.asset, version=turned, capture=FolderCapture(path=str(folder))))
    assert ended.status == "finished"
    again = select(room, asset, Labelled(label=1), version=turned).selection
    agreeing = mask(room, asset, again, turned) == found
    assert agreeing.mean() > 0.99, "the cameras turn along with the splats"


def test_a_capture_whose_poses_do_not_fit_says_so(room: Room, asset: AssetInfo, tmp_path: Path) -> None:
    folder = capture_with_alpha(tmp_path / "photos", distance=-8.0)  # all look away
    failed = finished(room, LabelSplats(asset=asset.asset, capture=FolderCapture(path=str(folder))))
    assert failed.failure is not None and "poses of another capture do not fit" in failed.failure.hint
    with pytest.raises(UserError, match="No masks were given"):
        select(room, asset, Labelled())


def capture_with_alpha(folder: Path, *, distance: float) -> Path:
    """Photos from before and behind, where no ball hides the other, opaque where the left one is; in NeRF's format."""
    folder.mkdir()
    left, frames = CloudRepresentation(sphere(1.0, 1500, centre=(-2, 0, 0)), "cpu"), []
    for number, angle in enumerate([*np.linspace(-0.6, 0.6, 5), *(np.pi + np.linspace(-0.6, 0.6, 5))]):
        pose = np.eye(4)  # camera from world
        pose[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        pose[2, 3] = distance
        alpha = draw_scene([SceneObject(left, np.eye(4))], Camera(pose, 60, 60, 32, 32, 64, 64), device="cpu").alpha
        if distance < 0:  # what they would show from the other side
            alpha = torch.ones_like(alpha)
        pixels = np.full((64, 64, 4), 255, np.uint8)
        pixels[..., 3] = 255 * (alpha.numpy() > 0.5)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        world_from_camera = np.linalg.inv(pose) @ np.diag([1.0, -1.0, -1.0, 1.0])  # OpenGL's axes
        frames.append({"file_path": f"{number}.png", "transform_matrix": world_from_camera.tolist()})
    about = {"fl_x": 60, "fl_y": 60, "cx": 32, "cy": 32, "w": 64, "h": 64, "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(about))
    return folder
