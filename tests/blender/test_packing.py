"""Splats inside the .blend: packed, handed on, found there, and unpacked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import pytest
from made_splats import write_ball

Room = Callable[[str], ModuleType]


@pytest.fixture
def ball(connected: ModuleType, tmp_path: Path, room: Room, monkeypatch: pytest.MonkeyPatch) -> Any:
    """One of whose splats no copy is kept on saving."""
    monkeypatch.setattr(room("host.preferences"), "largest_copy", lambda: 0)
    write_ball(tmp_path / "ball.ply", count=300)
    bpy.ops.splatwright.import_splats(filepath=str(tmp_path / "ball.ply"), frame="z_up")
    return bpy.context.view_layer.objects.active


def forget(current: ModuleType, asset: str) -> None:
    current.link().backend.delete(asset)
    assert current.wait_until(lambda: asset not in current.session().assets, 10)


def test_a_file_with_packed_splats_is_all_there_is_to_hand_on(
    ball: Any, connected: ModuleType, room: Room, tmp_path: Path
) -> None:
    twin = ball.copy()
    bpy.context.collection.objects.link(twin)
    assert bpy.ops.splatwright.pack_splats() == {"FINISHED"}
    assert len(bpy.data.images) == 1 and twin.splatwright.packed == ball.splatwright.packed is not None
    means = connected.link().backend.splats(ball.splatwright.asset).means
    (tmp_path / "elsewhere").mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "elsewhere" / "scene.blend"))
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["scene.blend"]
    asset, name = ball.splatwright.asset, ball.name
    forget(connected, asset)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "elsewhere" / "scene.blend"))
    ball = bpy.data.objects[name]
    assert room("host.objects").is_missing(ball)
    drawn_meanwhile = room("core.stored_splats").read(room("host.copies").found(ball), 1000)
    assert len(drawn_meanwhile) == 300
    assert bpy.ops.splatwright.locate_asset(object=name) == {"FINISHED"}
    found = connected.link().backend.splats(ball.splatwright.asset)
    assert (found.means == means).all() and ball.splatwright.frame == "z_up"


def test_packed_splats_follow_their_object_into_another_file(ball: Any, connected: ModuleType, tmp_path: Path) -> None:
    bpy.ops.splatwright.pack_splats(object=ball.name)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    name, size = ball.name, ball.splatwright.packed.packed_file.size
    forget(connected, ball.splatwright.asset)
    for link in (False, True):
        bpy.ops.wm.read_homefile(use_empty=True)
        with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=link) as (_, wanted):
            wanted.objects = [name]
        (taken,) = wanted.objects
        bpy.context.collection.objects.link(taken)
        assert taken.splatwright.packed.packed_file.size == size
        assert bpy.ops.splatwright.locate_asset(object=name) == {"FINISHED"}
        assert connected.session().assets[taken.splatwright.asset].splats == 300
        forget(connected, taken.splatwright.asset)


def test_unpacking_leaves_a_copy_beside_the_file_and_nothing_inside(ball: Any, room: Room, tmp_path: Path) -> None:
    assert not bpy.ops.splatwright.unpack_splats.poll()
    bpy.ops.splatwright.pack_splats()
    content = ball.splatwright.packed.packed_file.data
    assert not bpy.ops.splatwright.unpack_splats.poll(), "there is no place beside a file that has none"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert bpy.ops.splatwright.unpack_splats() == {"FINISHED"}
    copy = Path(bpy.path.abspath(ball.splatwright.file))
    assert copy.parent == tmp_path / "scene.splats" and copy.read_bytes() == content
    assert ball.splatwright.packed is None and not bpy.data.images
    assert room("host.copies").found(ball) == copy


def test_a_newer_version_is_packed_anew_and_an_undone_packing_is_gone(
    ball: Any, connected: ModuleType, room: Room
) -> None:
    packed = room("host.packed")
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.splatwright.pack_splats()
    with pytest.raises(RuntimeError, match="packed already"):
        bpy.ops.splatwright.pack_splats()
    name, first = ball.name, ball.splatwright.packed.name
    bpy.ops.splatwright.write_attributes(object=name)
    bpy.ops.splatwright.read_attributes()
    assert not packed.is_current(ball)
    bpy.ops.splatwright.pack_splats(object=name)
    assert packed.is_current(ball) and first not in bpy.data.images
    for _ in range(4):  # the second packing, Read Attributes, Write Attributes, the first packing
        bpy.ops.ed.undo()
    assert bpy.data.objects[name].splatwright.packed is None


def test_blender_unpacks_them_where_they_belong(ball: Any, room: Room, tmp_path: Path) -> None:
    """File > External Data does not need us."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.splatwright.pack_splats()
    bpy.ops.file.unpack_all(method="WRITE_ORIGINAL")
    assert not room("host.packed").is_packed(ball)
    found = room("host.copies").found(ball)
    assert found is not None and found.parent == tmp_path / "scene.splats" and found.stat().st_size > 300 * 50


def test_what_is_not_packed_or_no_splats_is_said(ball: Any, tmp_path: Path) -> None:
    other = ball.copy()
    bpy.context.collection.objects.link(other)
    bpy.ops.splatwright.pack_splats(object=ball.name)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    with pytest.raises(RuntimeError, match="are not packed"):
        bpy.ops.splatwright.unpack_splats(object=other.name)
    with pytest.raises(RuntimeError, match="There are no splat objects of this file"):
        bpy.ops.splatwright.pack_splats(object="Nobody")
