"""Selections at the desk: found, kept, drawn, edited, and there again after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backend.splats.io import write_cloud
from backend.splats.marked import STRENGTH, TINT
from backend.store.garbage import HOUR, collect
from backend.store.workspace import Workspace
from shared_protocol.errors import UserError
from shared_protocol.messages import Render, Select, SelectionInfo
from shared_protocol.selecting import Everything, InBox, Inverted, Mode, OfColor, Selector, Stored
from shared_protocol.things import AssetInfo, Matrix, SceneObject, ViewCamera
from tests.made_splats import sphere
from tests.unit.jobs.test_desk import Room, cloud_of
from tests.unit.jobs.test_method_jobs import UPPER_HALF, done, version

CLOUD = sphere(1.0, 1500)
UPPER = CLOUD.means[:, 2] >= 0
RIGHT_HALF: Matrix = (1.0, 0, 0, 1.0, 0, 2.0, 0, 0, 0, 0, 2.0, 0, 0, 0, 0, 1.0)  # x from 0 to 2
FLAT: Matrix = (0.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1)
RIGHT = CLOUD.means[:, 0] >= 0
ABOVE = ViewCamera(  # looks along -z, with y up in the picture
    camera_from_world=(1.0, 0, 0, 0, 0, -1.0, 0, 0, 0, 0, -1.0, 4.0, 0, 0, 0, 1.0),
    fx=60, fy=60, cx=32, cy=32, width=64, height=64,
)  # fmt: skip


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path / "workspace")
    yield made
    made.desk.close()


@pytest.fixture
def asset(room: Room, tmp_path: Path) -> AssetInfo:
    write_cloud(tmp_path / "ball.ply", CLOUD)
    return room.desk.import_file(tmp_path / "ball.ply")


def select(
    room: Room, asset: AssetInfo, by: Selector, base: str = "", mode: Mode = "set", hidden: str = ""
) -> SelectionInfo:
    return room.desk.select(Select(asset=asset.asset, by=by, base=base, mode=mode, hidden=hidden))


def selected(room: Room, asset: AssetInfo, name: str, at: str = "") -> np.ndarray:
    """bool [N], by what deleting all others leaves."""
    card = room.desk._assets.version(asset.asset, at)
    return room.desk._selecting._selections.read(card, name)


def test_selections_are_combined_and_the_same_splats_are_the_same_selection(room: Room, asset: AssetInfo) -> None:
    upper = select(room, asset, InBox(asset_from_box=UPPER_HALF))
    assert (upper.count, upper.total) == (UPPER.sum(), len(UPPER)) and upper.version == asset.head
    assert upper.bounds is not None and upper.bounds[2] >= 0 and upper.bounds[5] == pytest.approx(1, abs=0.01)
    right = InBox(asset_from_box=RIGHT_HALF)
    expected = {"set": RIGHT, "add": UPPER | RIGHT, "subtract": UPPER & ~RIGHT, "intersect": UPPER & RIGHT}
    for mode, mask in expected.items():
        found = select(room, asset, right, upper.selection, mode)  # type: ignore[arg-type]
        assert found.count == mask.sum() and np.array_equal(selected(room, asset, found.selection), mask)
    assert select(room, asset, Everything()).count == len(UPPER)
    lower = select(room, asset, Inverted(), upper.selection)
    assert np.array_equal(selected(room, asset, lower.selection), ~UPPER)
    assert select(room, asset, Inverted(), lower.selection).selection == upper.selection
    assert select(room, asset, Everything(), hidden=upper.selection).selection == lower.selection
    assert select(room, asset, OfColor(rgb=(0, 1, 0), tolerance=0.1)).selection == ""
    red = select(room, asset, OfColor(rgb=(0.9, 0.1, 0.1), tolerance=0.1))
    assert np.array_equal(selected(room, asset, red.selection), UPPER)


def test_selected_splats_are_tinted_in_pictures_and_hidden_ones_are_gone(room: Room, asset: AssetInfo) -> None:
    right = select(room, asset, InBox(asset_from_box=RIGHT_HALF)).selection

    def picture(selection: str = "", hidden: str = "") -> np.ndarray:
        thing = SceneObject(asset=asset.asset, version=asset.head, selection=selection, hidden=hidden)
        return room.desk.render(Render(objects=(thing,), camera=ABOVE)).result(60).color.astype(int)

    plain, tinted, without = picture(), picture(selection=right), picture(hidden=right)
    left, half = np.s_[28:36, 20:28], np.s_[28:36, 36:44]
    assert np.array_equal(tinted[left], plain[left]) and np.array_equal(without[left], plain[left])
    expected = (1 - STRENGTH) * plain[half][..., :3] + STRENGTH * 255 * np.array(TINT)
    assert np.abs(tinted[half][..., :3] - expected).max() <= 3
    assert plain[half][..., 3].min() > 240 and without[half][..., 3].max() == 0
    assert np.array_equal(picture(), plain), "nothing of it stays"


def test_edits_are_about_what_is_selected_and_what_stays_keeps_its_marks(room: Room, asset: AssetInfo) -> None:
    upper = select(room, asset, InBox(asset_from_box=UPPER_HALF)).selection
    right = select(room, asset, InBox(asset_from_box=RIGHT_HALF)).selection
    left = select(room, asset, Inverted(), right).selection
    gone = done(room, "delete", asset.asset, selection=right, hidden=upper)
    left_over = ~RIGHT | UPPER  # what is hidden is not touched
    assert version(room, asset.asset, gone.version).splats == left_over.sum()
    assert gone.selection == ""
    assert np.array_equal(selected(room, asset, gone.hidden, gone.version), UPPER[left_over])
    red = done(room, "color", asset.asset, version=asset.head, selection=left, settings={"red": 0.0})
    assert np.array_equal(selected(room, asset, red.selection, red.version), ~RIGHT)
    changed = (cloud_of(room.desk.bake(asset.asset, red.version)).sh != CLOUD.sh).any(axis=(1, 2))
    assert np.array_equal(changed, ~RIGHT)
    copied = done(room, "duplicate", asset.asset, version=asset.head, selection=upper)
    assert selected(room, asset, copied.selection, copied.version).tolist() == [False] * len(UPPER) + [True] * int(
        UPPER.sum()
    )


def test_a_selection_outlives_the_backend_and_stays_as_long_as_its_version(tmp_path: Path) -> None:
    room = Room(tmp_path / "workspace")
    write_cloud(tmp_path / "ball.ply", CLOUD)
    asset = room.desk.import_file(tmp_path / "ball.ply")
    upper = select(room, asset, InBox(asset_from_box=UPPER_HALF)).selection
    done(room, "delete", asset.asset, selection=upper)
    room.desk.close()
    again = Room(tmp_path / "workspace")
    by = Stored(selection=upper)
    assert again.desk.select(Select(asset=asset.asset, version=asset.head, by=by)).count == UPPER.sum()
    (gone,) = again.desk.versions(asset.asset)[-1:]
    again.desk.close()
    workspace = Workspace(tmp_path / "workspace")
    files = sorted((tmp_path / "workspace").rglob("*.bits"))
    assert files and all(asset.head in str(path) for path in files) and gone.version not in str(files)
    collect(workspace, now=gone.created + 2 * HOUR)
    workspace.close()
    # The first version is what the delta of the second one needs, so it stays, and so do its selections.
    assert sorted((tmp_path / "workspace").rglob("*.bits")) == files


def test_what_is_not_there_or_not_right_is_refused(room: Room, asset: AssetInfo, tmp_path: Path) -> None:
    upper = select(room, asset, InBox(asset_from_box=UPPER_HALF)).selection
    for name in ("nobody", "../../asset", "a" * 32):
        with pytest.raises(UserError, match=r"selection"):
            select(room, asset, Everything(), base=name)
        with pytest.raises(UserError, match=r"selection"):
            room.desk.render(Render(objects=(SceneObject(asset=asset.asset, selection=name),), camera=ABOVE))
    with pytest.raises(UserError, match=r"flat"):
        select(room, asset, InBox(asset_from_box=FLAT))
    other = done(room, "delete", asset.asset, selection=upper).version
    with pytest.raises(UserError, match=r"not one of this version"):
        room.desk.select(Select(asset=asset.asset, version=other, by=Stored(selection=upper)))
    (path,) = (tmp_path / "workspace").rglob(f"{upper}.bits")
    path.write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"damaged"):
        room.desk.select(Select(asset=asset.asset, version=asset.head, by=Stored(selection=upper)))
