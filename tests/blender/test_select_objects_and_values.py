"""Objects told apart, values, volumes, centres and recipes, by operators as scripts call them."""

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


def test_another_attribute_brings_its_range_also_when_its_values_are_known(
    connected: ModuleType, ball: Any, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bpy

    histograms, selecting = room("host.histograms"), room("protocol").selecting
    asked = []

    def known(asset: str, version: str, attribute: str) -> Any:
        asked.append((asset, version))
        return selecting.Histogram(2.0, 7.0, (1, 2)) if attribute == "size" else None

    monkeypatch.setattr(histograms, "of", known)
    chosen = bpy.context.scene.splatwright.select
    chosen.attribute, chosen.low, chosen.high = "opacity", 0.25, 0.5
    assert (chosen.low, chosen.high) == (0.25, 0.5)
    chosen.attribute = "size"
    assert (chosen.low, chosen.high) == (2.0, 7.0)
    assert set(asked) == {(ball.splatwright.asset, ball.splatwright.version)}
