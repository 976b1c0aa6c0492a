"""Selecting, hiding and editing splats by operators, as scripts do: what is set, undone, saved and brought back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import placed_ball
import pytest
from placed_ball import RIGHT_HALF, camera_above, centres, in_world, info_of, named, path

Room = Callable[[str], ModuleType]


@pytest.fixture
def ball(connected: ModuleType, tmp_path: Path) -> Any:
    return placed_ball.make(tmp_path)


def test_the_splats_within_an_outline_are_deleted_and_come_back_with_undo(connected: ModuleType, ball: Any) -> None:
    import bpy

    before, name, camera = centres(connected, ball), ball.name, camera_above(ball)
    version = ball.splatwright.version
    right = in_world(ball, before)[:, 0] > ball.location.x
    assert 0 < right.sum() < len(right)
    assert bpy.ops.splatwright.select_outline(path=RIGHT_HALF, camera=camera.name) == {"FINISHED"}
    selection = ball.splatwright.selection
    assert selection
    assert bpy.ops.splatwright.edit_selected(method="delete") == {"FINISHED"}
    after = centres(connected, named(name))
    assert len(after) == (~right).sum()
    assert np.allclose(np.sort(after[:, 0]), np.sort(before[~right][:, 0]))
    assert named(name).splatwright.version != version and not named(name).splatwright.selection
    bpy.ops.ed.undo()
    assert (named(name).splatwright.version, named(name).splatwright.selection) == (version, selection)
    bpy.ops.ed.undo()
    assert (named(name).splatwright.version, named(name).splatwright.selection) == (version, "")
    bpy.ops.ed.redo()
    bpy.ops.ed.redo()
    assert len(centres(connected, named(name))) == (~right).sum()


def test_joined_splats_stay_where_they_stood_and_the_other_object_is_gone_in_the_same_step(
    connected: ModuleType, ball: Any
) -> None:
    import bpy

    first, version = ball.name, ball.splatwright.version
    asset = ball.splatwright.asset
    bpy.ops.splatwright.add_splats(asset=asset)
    other = bpy.context.view_layer.objects.active
    other.location, other.scale = (9, 0, 0), (1, 3, 1)  # stretched: other shapes, and not only elsewhere
    bpy.context.view_layer.update()
    second = other.name
    expected = np.concatenate([in_world(item, centres(connected, item)) for item in (named(first), named(second))])
    bpy.ops.ed.undo_push(message="two")
    assert bpy.ops.splatwright.join(object=first, others=second) == {"FINISHED"}
    found = in_world(named(first), centres(connected, named(first)))
    assert np.allclose(found, expected, atol=1e-3)
    assert second not in bpy.data.objects
    bpy.ops.ed.undo()
    assert second in bpy.data.objects and named(first).splatwright.version == version
    bpy.ops.ed.redo()
    assert second not in bpy.data.objects and len(centres(connected, named(first))) == len(expected)


def add_box(splats: Any, low: tuple[float, float, float], high: tuple[float, float, float]) -> Any:
    """An object around a box of the splats' own frame."""
    import bpy
    from mathutils import Matrix

    low_corner, high_corner = np.array(low), np.array(high)
    scale = Matrix.Diagonal([*(high_corner - low_corner) / 2, 1.0])
    bpy.ops.mesh.primitive_cube_add(size=2)
    cube = bpy.context.view_layer.objects.active
    cube.matrix_world = splats.matrix_world @ Matrix.Translation((low_corner + high_corner) / 2) @ scale
    bpy.context.view_layer.update()
    return cube


def test_what_is_separated_stands_where_it_was_as_an_object_of_its_own(connected: ModuleType, ball: Any) -> None:
    import bpy

    name, before = ball.name, centres(connected, ball)
    inside = before[:, 0] > 0
    world = in_world(ball, before)
    box = add_box(ball, (0, -2, -2), (4, 2, 2))
    bpy.ops.ed.undo_push(message="box")
    assert bpy.ops.splatwright.run_method(method="separate", object=name, box=box.name) == {"FINISHED"}
    (part,) = (item for item in bpy.data.objects if item.splatwright.asset and item.name != name)
    part_name = part.name
    assert part.matrix_world == named(name).matrix_world
    assert part.splatwright.asset != named(name).splatwright.asset
    assert np.allclose(in_world(part, centres(connected, part)), world[inside], atol=1e-4)
    assert np.allclose(in_world(named(name), centres(connected, named(name))), world[~inside], atol=1e-4)
    bpy.ops.ed.undo()
    assert part_name not in bpy.data.objects and len(centres(connected, named(name))) == len(before)
    bpy.ops.ed.redo()
    assert len(centres(connected, named(part_name))) == inside.sum()


def test_operators_find_what_they_say_and_combine_it(connected: ModuleType, ball: Any, room: Room) -> None:
    import bpy

    means = centres(connected, ball)
    select = bpy.ops.splatwright
    select.select_all(action="SELECT")
    assert info_of(connected, room, ball).count == len(means)
    select.select_color(color=(0.95, 0.5, 0.5), tolerance=0.2)
    colors = 0.5 + 0.45 * means
    assert info_of(connected, room, ball).count == (np.linalg.norm(colors - (0.95, 0.5, 0.5), axis=1) <= 0.2).sum()
    select.select_range(attribute="opacity", low=0.5, high=1, mode="SET")
    assert info_of(connected, room, ball).count == (means[:, 2] > 0).sum()  # the solid half
    box = add_box(ball, (0, -2, -2), (4, 2, 2))
    select.select_box(object=ball.name, box=box.name, mode="SUBTRACT")
    assert info_of(connected, room, ball).count == ((means[:, 2] > 0) & (means[:, 0] < 0)).sum()
    select.select_sphere(object=ball.name, sphere=box.name, mode="SET")
    inside = (((means - (2, 0, 0)) / 2) ** 2).sum(1) <= 1
    assert info_of(connected, room, ball).count == inside.sum()
    select.select_all(object=ball.name, action="INVERT")
    assert info_of(connected, room, ball).count == (~inside).sum()
    select.select_all(object=ball.name, action="DESELECT")
    assert ball.splatwright.selection == "" and room("host.selections").counted(ball) is None


def test_a_brush_selects_what_lies_under_it(connected: ModuleType, ball: Any, room: Room) -> None:
    import bpy

    camera = camera_above(ball)
    where = (in_world(ball, centres(connected, ball))[:, :2] - np.array(ball.location[:2])) * 50 + 200
    bpy.ops.splatwright.select_brush(path=path((200, 200), (250, 200)), radius=20, camera=camera.name)
    nearest = np.linalg.norm(where - np.stack([where[:, 0].clip(200, 250), np.full(len(where), 200)], 1), axis=1)
    assert abs(info_of(connected, room, ball).count - (nearest <= 20).sum()) <= 1  # one may lie on the rim


def test_hidden_splats_are_left_out_of_pictures_and_selections_until_they_are_revealed(
    connected: ModuleType, ball: Any, room: Room
) -> None:
    import bpy

    means, name = centres(connected, ball), ball.name
    right = means[:, 0] > 0
    box = add_box(ball, (0, -2, -2), (4, 2, 2))
    bpy.context.view_layer.objects.active = ball
    bpy.ops.splatwright.select_box(box=box.name)
    selection = ball.splatwright.selection
    assert bpy.ops.splatwright.hide_selected() == {"FINISHED"}
    assert (ball.splatwright.hidden, ball.splatwright.selection) == (selection, "")
    depsgraph = bpy.context.evaluated_depsgraph_get()
    for for_render in (False, True):
        (drawn,) = room("host.objects").scene_objects(depsgraph, for_render=for_render)
        assert drawn.hidden == selection
    bpy.ops.splatwright.select_all(action="SELECT")
    assert info_of(connected, room, ball).count == (~right).sum()
    bpy.ops.ed.undo()
    bpy.ops.ed.undo()
    assert (named(name).splatwright.hidden, named(name).splatwright.selection) == ("", selection)
    bpy.context.view_layer.objects.active = named(name)
    assert bpy.ops.splatwright.hide_selected(unselected=True) == {"FINISHED"}
    assert named(name).splatwright.selection == selection
    bpy.ops.splatwright.reveal()
    assert named(name).splatwright.hidden == ""
    assert info_of(connected, room, named(name)).count == (~right).sum()


def test_selected_splats_are_tinted_in_the_viewport_and_never_in_a_render(
    connected: ModuleType, ball: Any, room: Room
) -> None:
    import bpy

    bpy.ops.splatwright.select_all(action="SELECT")
    depsgraph = bpy.context.evaluated_depsgraph_get()
    (seen,) = room("host.objects").scene_objects(depsgraph, for_render=False)
    (rendered,) = room("host.objects").scene_objects(depsgraph, for_render=True)
    assert (seen.selection, rendered.selection) == (ball.splatwright.selection, "")


def test_what_is_selected_is_there_again_after_saving_and_a_restart_of_the_backend(
    backend: Any, connected: ModuleType, ball: Any, room: Room, tmp_path: Path
) -> None:
    import bpy

    name, before = ball.name, centres(connected, ball)
    bpy.ops.splatwright.select_range(attribute="opacity", low=0.5, high=1)
    selection, version = ball.splatwright.selection, ball.splatwright.version
    bpy.ops.splatwright.edit_selected(method="delete", settings='{"what": "others"}')
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "selected.blend"))
    bpy.ops.ed.undo()
    assert named(name).splatwright.selection == selection
    backend.stop()
    backend.start()
    bpy.ops.splatwright.backend_connect(connection_file=str(backend.connection_file))
    assert connected.wait_until(lambda: connected.session().is_listed, 30)
    assert len(centres(connected, named(name))) == len(before) and named(name).splatwright.version == version
    bpy.context.view_layer.objects.active = named(name)
    bpy.ops.splatwright.select_all(object=name, action="INVERT")
    assert info_of(connected, room, named(name)).count == (before[:, 2] < 0).sum()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "selected.blend"))
    opened = named(name)
    assert opened.splatwright.version != version and len(centres(connected, opened)) == (before[:, 2] > 0).sum()
    assert info_of(connected, room, opened).count == (before[:, 2] > 0).sum()


def test_undo_while_a_job_runs_shows_what_was_and_the_job_ends_as_a_step_of_its_own(
    connected: ModuleType, ball: Any, room: Room
) -> None:
    import bpy

    name, version = ball.name, ball.splatwright.version
    bpy.ops.splatwright.select_range(attribute="opacity", low=0.5, high=1)
    selection = ball.splatwright.selection
    protocol = room("protocol")
    request = protocol.messages.RunMethod(
        method="delete", asset=ball.splatwright.asset, version=version, selection=selection
    )
    job = connected.link().request(request, protocol.messages.JobAccepted, 20).job.job
    bpy.ops.ed.undo()  # before anything of the job was heard
    assert (named(name).splatwright.version, named(name).splatwright.selection) == (version, "")
    assert connected.wait_until(lambda: job in connected.session().jobs and connected.session().jobs[job].is_over, 30)
    made = named(name).splatwright.version
    assert made != version and len(centres(connected, named(name))) < 1000
    bpy.ops.ed.undo()
    assert (named(name).splatwright.version, named(name).splatwright.selection) == (version, "")


@pytest.mark.parametrize(
    "operator, arguments, sentence",
    [
        ("select_outline", {"path": path((0, 0), (9, 9)), "camera": "Above"}, "three corners"),
        ("select_outline", {"path": path((0, 0), (9, 0), (9, 9))}, "no 3D view"),
        ("select_brush", {"camera": "Above"}, "been nowhere"),
        ("select_box", {}, "No object around the region"),
        ("select_box", {"box": "Nobody"}, "no object 'Nobody'"),
        ("hide_selected", {}, "No splats of 'ball' are selected"),
        ("reveal", {}, "No splats of 'ball' are hidden"),
        ("edit_selected", {"method": "delete"}, "No splats of 'ball' are selected"),
        ("join", {}, "no other splats"),
        ("select_grow", {}, "No splats of 'ball' are selected"),
        ("select_linked", {}, "No splats of 'ball' are selected"),
        ("name_selection", {"name": "head"}, "No splats of 'ball' are selected"),
        ("pick_color", {"camera": "Above", "x": -5}, "outside of the view"),
        ("pick_color", {"camera": "Above", "x": 2, "y": 2}, "no splat at this place"),
        ("label_splats", {}, "Nothing is outlined"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_changed(
    connected: ModuleType, ball: Any, operator: str, arguments: dict[str, Any], sentence: str
) -> None:
    import bpy

    camera_above(ball)
    bpy.context.view_layer.objects.active = ball
    before = {name: getattr(ball.splatwright, name) for name in ("asset", "version", "selection", "hidden")}
    with pytest.raises(RuntimeError, match=sentence):
        getattr(bpy.ops.splatwright, operator)(**arguments)
    assert before == {name: getattr(ball.splatwright, name) for name in before}


def test_what_is_inside_or_outside_of_a_mesh_is_selected(connected: ModuleType, ball: Any, room: Room) -> None:
    import bpy

    means = centres(connected, ball)
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.5, segments=32, ring_count=16)
    mesh = bpy.context.view_layer.objects.active
    mesh.matrix_world = ball.matrix_world @ mesh.matrix_world.Translation((1, 0, 0))
    bpy.context.view_layer.update()
    far = np.linalg.norm(means - (1, 0, 0), axis=1)
    assert bpy.ops.splatwright.select_mesh(object=ball.name, mesh=mesh.name) == {"FINISHED"}
    inside = info_of(connected, room, ball).count
    assert (far < 0.49).sum() <= inside <= (far < 0.51).sum() and inside > 20
    bpy.ops.splatwright.select_mesh(object=ball.name, mesh=mesh.name, outside=True)
    assert info_of(connected, room, ball).count == len(means) - inside


def test_a_selection_grows_floods_and_shrinks(connected: ModuleType, ball: Any, room: Room) -> None:
    import bpy

    camera = camera_above(ball)
    bpy.ops.splatwright.select_brush(path=path((200, 200)), radius=15, camera=camera.name, surface_only=True)
    few = info_of(connected, room, ball).count
    assert bpy.ops.splatwright.select_grow(steps=2) == {"FINISHED"}
    more = info_of(connected, room, ball).count
    assert 0 < few < more < 1500
    bpy.ops.splatwright.select_linked()
    assert info_of(connected, room, ball).count == 1500
    bpy.ops.splatwright.select_flood(x=200, y=200, camera=camera.name, tolerance=0.2)
    assert few < info_of(connected, room, ball).count < 1500
    bpy.ops.splatwright.select_floaters(most=10)
    assert ball.splatwright.selection == ""
    bpy.ops.splatwright.select_contributing(camera=camera.name, at_least=0.5)
    assert 0 < info_of(connected, room, ball).count < 1500


def test_a_named_set_follows_its_splats_through_an_edit(connected: ModuleType, ball: Any, room: Room) -> None:
    import bpy

    name, means = ball.name, centres(connected, ball)
    bpy.ops.splatwright.select_range(attribute="opacity", low=0.5, high=1)
    assert bpy.ops.splatwright.name_selection(name="solid") == {"FINISHED"}
    box = add_box(ball, (0, -2, -2), (4, 2, 2))
    bpy.ops.splatwright.select_box(object=name, box=box.name)
    assert bpy.ops.splatwright.edit_selected(object=name, method="delete") == {"FINISHED"}
    assert bpy.ops.splatwright.select_named(object=name, name="solid") == {"FINISHED"}
    assert info_of(connected, room, named(name)).count == ((means[:, 2] > 0) & (means[:, 0] <= 0)).sum()
    bpy.ops.splatwright.forget_selection(object=name, name="solid")
    with pytest.raises(RuntimeError, match="solid"):
        bpy.ops.splatwright.select_named(object=name, name="solid")


def test_the_eyedropper_takes_a_color_and_points(connected: ModuleType, ball: Any, room: Room) -> None:
    import bpy

    camera = camera_above(ball)
    means = centres(connected, ball)
    where = in_world(ball, means)
    assert bpy.ops.splatwright.pick_color(camera=camera.name, x=200, y=200) == {"FINISHED"}
    color = np.array(bpy.context.scene.splatwright.select.color)
    colors = 0.5 + 0.45 * means
    nearest = np.linalg.norm(colors - color, axis=1).min()
    assert nearest < 0.01, "the color of one of them"
    found = (np.linalg.norm(colors - color, axis=1) <= 0.1).sum()
    assert abs(info_of(connected, room, ball).count - found) <= 2
    for x, y in ((200, 200), (250, 200), (200, 250)):
        bpy.ops.splatwright.pick_point(camera=camera.name, x=x, y=y)
    picked = np.array([tuple(point.place) for point in ball.splatwright.picked])
    at = (in_world(ball, picked)[:, :2] - np.array(ball.location[:2])) * 50 + 200
    assert np.linalg.norm(at - [(200, 200), (250, 200), (200, 250)], axis=1).max() < 15
    assert bpy.ops.splatwright.run_method(method="set_scale", settings='{"length": 10}') == {"FINISHED"}
    moved = centres(connected, ball)
    scale = 10 / np.linalg.norm(picked[0] - picked[1])
    assert np.allclose(np.linalg.norm(moved, axis=1), scale * np.linalg.norm(means, axis=1), rtol=1e-3)
    bpy.ops.splatwright.clear_points()
    assert len(ball.splatwright.picked) == 0 and len(where) == len(moved)
