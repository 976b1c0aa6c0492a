"""Selecting, hiding and editing splats by operators, as scripts do: what is set, undone, saved and brought back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

Room = Callable[[str], ModuleType]


@pytest.fixture
def ball(connected: ModuleType, tmp_path: Path) -> Any:
    """A splat object: a ball of radius 1, moved, turned and scaled in the scene."""
    import bpy
    from made_splats import write_ball

    write_ball(tmp_path / "ball.ply")
    assert bpy.ops.splatwright.import_splats(filepath=str(tmp_path / "ball.ply")) == {"FINISHED"}
    splats = bpy.context.view_layer.objects.active
    splats.location, splats.rotation_euler, splats.scale = (3, 1, -2), (0.4, 0.2, 1.0), (2, 2, 2)
    bpy.context.view_layer.update()
    bpy.ops.ed.undo_push(message="ball")
    return splats


def centres(connected: ModuleType, splats: Any) -> np.ndarray:
    """Of the version that is shown, in the asset's frame."""
    return np.array(connected.link().backend.splats(splats.splatwright.asset, splats.splatwright.version).means)


def named(name: str) -> Any:
    import bpy

    return bpy.data.objects[name]


def camera_above(splats: Any) -> Any:
    """Looks along -z of the world, at the middle of the splats; 8 units are 400 pixels."""
    import bpy

    camera = bpy.data.objects.new("Above", bpy.data.cameras.new("Above"))
    bpy.context.scene.collection.objects.link(camera)
    camera.data.type, camera.data.ortho_scale = "ORTHO", 8
    camera.location = (*splats.location[:2], 20)
    bpy.context.scene.render.resolution_x = bpy.context.scene.render.resolution_y = 400
    bpy.context.scene.render.resolution_percentage = 100
    bpy.context.view_layer.update()
    return camera


def in_world(splats: Any, points: np.ndarray) -> np.ndarray:
    matrix = np.array(splats.matrix_world)
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def path(*places: tuple[float, float]) -> list[dict[str, Any]]:
    return [{"name": "", "loc": place, "time": 0.0} for place in places]


RIGHT_HALF = path((200, 0), (400, 0), (400, 400), (200, 400))


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


def info_of(connected: ModuleType, room: Room, splats: Any) -> Any:
    """What the panel is told about what is selected, once it is known."""
    selections = room("host.selections")
    assert connected.wait_until(lambda: selections.counted(splats) is not None, 20)
    return selections.counted(splats)


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


def test_an_object_that_is_outlined_in_two_views_is_told_apart(connected: ModuleType, ball: Any, room: Room) -> None:
    import bpy

    means, name = centres(connected, ball), ball.name
    above = camera_above(ball)
    below = bpy.data.objects.new("Below", above.data)
    bpy.context.scene.collection.objects.link(below)
    below.location, below.rotation_euler = (*ball.location[:2], -24), (0, np.pi, 0)
    bpy.context.view_layer.update()
    bpy.ops.splatwright.draw_mask(path=RIGHT_HALF, camera="Above")
    bpy.ops.splatwright.draw_mask(path=path((0, 0), (200, 0), (200, 400), (0, 400)), camera="Below")
    assert bpy.ops.splatwright.label_splats(object=name) == {"FINISHED"}
    right = in_world(ball, means)[:, 0] > ball.location.x
    found = info_of(connected, room, named(name)).count
    assert abs(found - right.sum()) < 0.1 * len(means)
    bpy.ops.splatwright.select_labelled(object=name, label=1, bias=0.9)
    assert info_of(connected, room, named(name)).count <= found


def test_objects_are_told_apart_by_the_pass_indices_of_meshes_and_the_scene_is_as_before(
    connected: ModuleType, ball: Any, room: Room
) -> None:
    import bpy

    means, name = centres(connected, ball), ball.name
    above = camera_above(ball)
    below = bpy.data.objects.new("Below", above.data)
    bpy.context.scene.collection.objects.link(below)
    below.location, below.rotation_euler = (*ball.location[:2], -24), (0, np.pi, 0)
    for number, side in ((1, -1), (2, 1)):
        bpy.ops.mesh.primitive_cube_add(size=1)
        half = bpy.context.view_layer.objects.active
        half.location, half.scale, half.pass_index = (ball.location.x + 2 * side, 1, -2), (4, 8, 8), number
    bpy.context.view_layer.update()
    render, layer = bpy.context.scene.render, bpy.context.view_layer

    def look() -> tuple[Any, ...]:
        settings = (render.engine, render.resolution_x, render.filepath, render.image_settings.file_format)
        return (*settings, bpy.context.scene.camera, layer.material_override, len(bpy.data.materials), ball.hide_render)

    before = look()
    with pytest.raises(RuntimeError, match="is no camera"):
        bpy.ops.splatwright.label_by_index(object=name, cameras=half.name)
    assert bpy.ops.splatwright.label_by_index(object=name, cameras="Above\nBelow") == {"FINISHED"}
    assert look() == before
    right = in_world(ball, means)[:, 0] > ball.location.x
    for label, expected in ((1, ~right), (2, right)):
        bpy.ops.splatwright.select_labelled(object=name, label=label)
        assert abs(info_of(connected, room, named(name)).count - expected.sum()) < 0.1 * len(means)
    half.pass_index = 300
    with pytest.raises(RuntimeError, match="pass index 300"):
        bpy.ops.splatwright.label_by_index(object=name)
    for item in bpy.data.objects:
        item.pass_index = 0
    with pytest.raises(RuntimeError, match="no object with a pass index"):
        bpy.ops.splatwright.label_by_index(object=name)


def test_values_are_known_after_preparing_and_a_range_of_them_is_selected(
    connected: ModuleType, ball: Any, room: Room
) -> None:
    import bpy

    with pytest.raises(RuntimeError, match="has not been measured"):
        bpy.ops.splatwright.select_range(attribute="visibility", low=1, high=1e9)
    assert bpy.ops.splatwright.prepare_splats() == {"FINISHED"}
    assert bpy.ops.splatwright.select_range(attribute="visibility", low=1, high=1e9) == {"FINISHED"}
    info = room("host.selections").counted(ball)
    assert 0 < info.count < info.total


def test_a_volume_that_is_seen_selects_what_it_encloses(connected: ModuleType, ball: Any, room: Room) -> None:
    import bpy

    assert bpy.ops.splatwright.add_volume(shape="BALL") == {"FINISHED"}
    volume = bpy.context.view_layer.objects.active
    assert (
        volume.empty_display_type == "SPHERE" and volume.parent == ball and bpy.context.scene.splatwright.box == volume
    )
    volume.location = (0, 0, 1)  # the top of the ball, in its own frame
    bpy.context.view_layer.update()
    assert bpy.ops.splatwright.select_sphere() == {"FINISHED"}, "the splats are those that it hangs on"
    means = centres(connected, ball)
    reach = volume.matrix_local.to_scale()[0]
    expected = (np.linalg.norm(means - (0, 0, 1), axis=1) <= reach).sum()
    assert 0 < expected < len(means) and room("host.selections").counted(ball).count == expected


def test_a_volume_is_put_around_a_splat_and_selects_as_it_is_drawn(
    connected: ModuleType, ball: Any, room: Room
) -> None:
    import bpy

    camera, means, name = camera_above(ball), centres(connected, ball), ball.name
    where = in_world(ball, means)
    assert bpy.ops.splatwright.place_volume(camera=camera.name, x=200, y=200, shape="BALL") == {"FINISHED"}
    volume = bpy.context.scene.splatwright.box
    place = np.array(volume.matrix_world.translation)
    assert volume.parent == ball and np.linalg.norm(where - place, axis=1).min() < 1e-3
    assert np.linalg.norm((place - np.array(ball.location))[:2]) < 0.3, "under the mouse"
    counts: list[int] = []
    for shape in ("BALL", "BOX"):
        bpy.ops.splatwright.place_volume(object=name, camera=camera.name, x=200, y=200, shape=shape)
        assert bpy.context.scene.splatwright.box == volume, "the same one"
        bpy.context.view_layer.update()
        assert bpy.ops.splatwright.select_volume(object=name) == {"FINISHED"}
        inside = np.abs((means - np.array(volume.location)) / np.array(volume.scale))
        expected = ((inside**2).sum(1) if shape == "BALL" else inside.max(1)) <= 1
        counts.append(info_of(connected, room, named(name)).count)
        assert counts[-1] == expected.sum()
    assert 0 < counts[0] < counts[1]
    bpy.context.scene.splatwright.box = None
    with pytest.raises(RuntimeError, match="No object around the region"):
        bpy.ops.splatwright.select_volume(object=name)


def test_centers_are_drawn_where_splats_are_apart_for_selected_ones_and_without_hidden_ones(
    connected: ModuleType, ball: Any, room: Room
) -> None:
    import bpy

    means, shown = centres(connected, ball), room("host.splat_centers")

    def parts(count: int) -> Any:
        assert connected.wait_until(lambda: sum(len(part) for part, _ in shown.of(ball) or ()) == count, 20)
        return [part for part, _ in shown.of(ball)]

    others, selected = parts(len(means))
    assert np.allclose(others, means) and not len(selected)
    assert bpy.ops.splatwright.select_range(attribute="x", low=0, high=9) == {"FINISHED"}
    assert connected.wait_until(lambda: shown.of(ball) and len(shown.of(ball)[1][0]) > 0, 20)
    others, selected = parts(len(means))
    right = means[:, 0] >= 0
    assert np.allclose(selected, means[right]) and np.allclose(others, means[~right])
    assert bpy.ops.splatwright.hide_selected() == {"FINISHED"}
    others, selected = parts(int((~right).sum()))
    assert np.allclose(others, means[~right]) and not len(selected)


def test_a_recipe_of_the_edits_is_saved(connected: ModuleType, ball: Any, tmp_path: Path) -> None:
    import json

    import bpy

    bpy.ops.splatwright.select_range(attribute="opacity", low=0, high=2)
    bpy.ops.splatwright.run_method(method="opacity", settings='{"value": 0.5}')
    file = tmp_path / "ball.recipe.json"
    assert bpy.ops.splatwright.save_recipe(filepath=str(file)) == {"FINISHED"}
    assert '"opacity"' in file.read_text() and json.loads(file.read_text())
