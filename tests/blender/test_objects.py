"""Splat objects as Blender's own: duplicated, hidden, undone, saved, missed, found again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import numpy as np
import pytest
import splat_scene
from mathutils import Matrix, Vector

Room = Callable[[str], ModuleType]


@pytest.fixture
def ball(connected: ModuleType, tmp_path: Path) -> Any:
    return splat_scene.make(tmp_path)


@pytest.fixture
def shown(room: Room) -> Callable[[], list[Any]]:
    """What a viewport would ask for."""

    def look() -> list[Any]:
        depsgraph = bpy.context.evaluated_depsgraph_get()
        space = next(a for a in bpy.context.window.screen.areas if a.type == "VIEW_3D").spaces.active
        return list(room("host.objects").scene_objects(depsgraph, for_render=False, space=space))

    return look


def info_of(room: Room, connected: ModuleType, ball: Any, **changes: Any) -> Any:
    return room("protocol").things.AssetInfo(
        asset=ball.splatwright.asset, name="Chair", head=ball.splatwright.version, **changes
    )


def test_a_new_object_stands_upright_in_its_box_selected(ball: Any, connected: ModuleType, room: Room) -> None:
    info = info_of(room, connected, ball, bounds=(-1, -3, 0, 1, 2, 5), up=(0.0, -1.0, 0.0))
    chair = room("host.objects").create(bpy.context, info)
    assert [item for item in bpy.context.selected_objects] == [chair] == [bpy.context.view_layer.objects.active]
    np.testing.assert_allclose(
        chair.matrix_world.to_3x3() @ chair.matrix_world.to_3x3().transposed(), np.eye(3), atol=1e-6
    )
    bpy.context.view_layer.update()
    corners = np.array([chair.matrix_world @ v.co for v in chair.data.vertices])
    assert len(chair.data.edges) == 12 and not len(chair.data.polygons)
    assert corners[:, 2].max() == pytest.approx(3) and corners[:, 2].min() == pytest.approx(-2)  # up was -y
    room("host.objects").update_bounds(info_of(room, connected, ball, bounds=(0, 0, 0, 9, 9, 9)))
    assert chair.data.vertices[7].co[:] == (9, 9, 9)


def test_an_object_made_before_up_was_known_stands_up_when_it_is(ball: Any, connected: ModuleType, room: Room) -> None:
    events, messages = room("core.events"), room("protocol").messages
    ball.location.x = 0.5  # placed by hand already
    chair = room("host.objects").create(bpy.context, info_of(room, connected, ball))
    known = info_of(room, connected, ball, up=(0.0, -1.0, 0.0))
    for _ in range(2):
        connected.dispatch(events.Heard(messages.AssetChanged(asset=known), 0.0))
        bpy.context.view_layer.update()
        assert (chair.matrix_world.to_3x3() @ Vector((0, -1, 0)))[:] == pytest.approx((0, 0, 1), abs=1e-6)
        assert ball.matrix_world.to_3x3() == Matrix.Identity(3)


def test_an_asset_without_splats_does_not_cost_the_others_their_picture(
    ball: Any,
    connected: ModuleType,
    room: Room,
    shown: Callable[[], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events, messages, eyes = room("core.events"), room("protocol").messages, room("host.eyes")
    begun = room("protocol").things.AssetInfo(asset="begun", name="Begun", head="", job="7")
    connected.dispatch(events.Heard(messages.AssetChanged(asset=begun), 0.0))
    room("host.objects").create(bpy.context, begun)
    bpy.context.view_layer.update()
    assert [item.asset for item in shown()] == [ball.splatwright.asset]
    state = room("protocol").things.JobState(job="7", name="Begun", method="mcmc", status="running", asset="begun")
    connected.dispatch(events.Heard(messages.JobChanged(job=state), 0.0))
    assert len(shown()) == 1
    step = messages.JobProgress(job="7", stage="training", step=1, steps=9, figures={"loss": 0.1, "splats": 5})
    monkeypatch.setattr(eyes, "is_stale", False)
    connected.dispatch(events.Heard(step, 1.0))
    assert len(shown()) == 2
    assert eyes.is_stale  # else it would stay unseen until something in the scene changes


def test_an_asset_that_a_job_writes_is_shown_as_it_grows(
    ball: Any, connected: ModuleType, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = room("host.objects")
    following = objects.create(bpy.context, info_of(room, connected, ball, job="7"))
    assert following.splatwright.version == ""
    assert objects.shown_version(ball) == ball.splatwright.version != ""


def test_blender_hides_duplicates_and_instances(ball: Any, shown: Callable[[], list[Any]]) -> None:
    assert len(shown()) == 1
    twin = ball.copy()
    bpy.context.collection.objects.link(twin)
    twin.location, twin.scale = (3, 0, 0), (1, 2, 0.5)
    assert len(shown()) == 2
    (placed,) = (item for item in shown() if item.world_from_object[3] == 3)
    assert placed.world_from_object[:12] == (1, 0, 0, 3, 0, 2, 0, 0, 0, 0, 0.5, 0)
    twin.hide_set(True)
    assert len(shown()) == 1
    twin.hide_set(False)
    twin.hide_viewport = True
    assert len(shown()) == 1
    twin.hide_viewport = False
    twin.scale = (0, 1, 1)  # flat: the backend would refuse the whole picture
    assert len(shown()) == 1
    twin.scale = (1, 1, 1)
    parent = bpy.data.objects.new("Parent", None)
    bpy.context.collection.objects.link(parent)
    parent.location, twin.parent = (0, 0, 10), parent
    assert sorted(item.world_from_object[11] for item in shown()) == [0, 10]
    collection = bpy.data.collections.new("Instanced")
    collection.objects.link(twin)
    for x in (1, 2):
        empty = bpy.data.objects.new("Instance", None)
        empty.instance_type, empty.instance_collection, empty.location = "COLLECTION", collection, (x, 0, 0)
        bpy.context.collection.objects.link(empty)
    assert len(shown()) == 4


def test_only_the_local_view_of_a_viewport_counts(ball: Any, shown: Callable[[], list[Any]]) -> None:
    area = next(a for a in bpy.context.window.screen.areas if a.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    for item in bpy.context.view_layer.objects:
        item.select_set(item.type == "LIGHT")
    with bpy.context.temp_override(area=area, region=region):
        bpy.ops.view3d.localview()
        assert shown() == []
        bpy.ops.view3d.localview()
    assert len(shown()) == 1


def test_a_version_is_set_by_one_undo_step_and_comes_back(ball: Any, room: Room) -> None:
    twin = ball.copy()
    bpy.context.collection.objects.link(twin)
    asset, version = ball.splatwright.asset, ball.splatwright.version
    bpy.ops.ed.undo_push(message="before")
    room("host.objects").show_version(asset, "later", "Trained")
    room("host.objects").show_version(asset, "later", "Trained")  # nothing to do, and no step
    versions = lambda: sorted(o.splatwright.version for o in bpy.data.objects if o.splatwright.asset == asset)  # noqa: E731
    assert versions() == ["later", "later"]
    bpy.ops.ed.undo()
    assert versions() == [version, version]
    bpy.ops.ed.redo()
    assert versions() == ["later", "later"]


@pytest.fixture
def held(connected: ModuleType, room: Room, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The versions that the backend is asked to keep, as (kind, holder, versions)."""
    link, said = connected.link(), []
    hold = room("protocol").messages.HoldVersions

    def ask(message: Any) -> Any:
        if isinstance(message, hold):
            said.append((message.kind, message.holder, message.versions))
        return type(link).ask(link, message)

    monkeypatch.setattr(link, "ask", ask)
    return said


def test_a_saved_file_holds_its_versions_and_is_found_again(
    ball: Any, held: list[Any], room: Room, shown: Callable[[], list[Any]], tmp_path: Path
) -> None:
    path = tmp_path / "scene.blend"
    version, before = ball.splatwright.version, shown()
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    assert ("file", str(path), (version,)) in held
    copy = Path(bpy.path.abspath(ball.splatwright.file))
    assert ball.splatwright.file.startswith("//scene.splats/") and copy.stat().st_size > 1500 * 50
    bpy.ops.wm.read_homefile(use_empty=True)
    assert held[-1] != ("file", str(path), ()), "an empty file must not release what the saved one needs"
    bpy.ops.wm.open_mainfile(filepath=str(path))
    assert shown() == before
    assert not any(map(room("host.objects").is_missing, bpy.data.objects))


def test_missing_splats_are_shown_as_missing_and_found_beside_the_file(
    ball: Any, connected: ModuleType, room: Room, tmp_path: Path, shown: Callable[[], list[Any]], draw: Any
) -> None:
    backend = connected.link().backend
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    asset = ball.splatwright.asset
    backend.delete(asset)
    assert connected.wait_until(lambda: asset not in connected.session().assets, 10)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    (ball,) = (item for item in bpy.data.objects if item.splatwright.asset)
    assert room("host.objects").is_missing(ball) and shown() == []
    bpy.context.view_layer.objects.active = ball
    layout = draw("SPLATWRIGHT_PT_splats")
    assert "splatwright.locate_asset" in layout.operators and any("'ball'" in text for text in layout.texts)
    assert bpy.ops.splatwright.locate_asset() == {"FINISHED"}
    assert ball.splatwright.asset != asset and len(shown()) == 1
    assert connected.session().assets[ball.splatwright.asset].splats == 1500


def test_a_copy_that_is_not_there_is_asked_for_in_words(ball: Any) -> None:
    with pytest.raises(RuntimeError, match="There is no file with the splats of 'ball'"):
        bpy.ops.splatwright.locate_asset(object=ball.name)


def test_a_copy_is_kept_when_asked_for_although_it_is_large(
    ball: Any, room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room("host.preferences"), "largest_copy", lambda: 1000)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert ball.splatwright.file == "" and not list(tmp_path.glob("*.splats"))
    assert bpy.ops.splatwright.keep_copy() == {"FINISHED"}
    assert Path(bpy.path.abspath(ball.splatwright.file)).is_file()
