"""The Mesh panel: how the surface is seen, with which settings a mesh is made, and that it stays the same object."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bound_ball
import bpy
import numpy as np
import pytest
import splat_scene

Room = Callable[[str], ModuleType]
Draw = Callable[..., Any]
QUICK = '{"resolution": 32, "views": 12, "faces": 400, "texture": 128}'


@pytest.fixture
def ball(connected: ModuleType, tmp_path: Path) -> Any:
    made = splat_scene.make(tmp_path)
    bpy.context.view_layer.objects.active = made
    return made


def pressed(layout: Any) -> list[str]:
    return [
        call.arguments["text"]
        for call in layout.called("operator")
        if call.arguments["operator"] == "splatwright.set_mesh_quality" and call.arguments["depress"]
    ]


def extract_buttons(layout: Any) -> list[tuple[str, bool]]:
    return [
        (call.arguments["text"], call.result.new_object)
        for call in layout.called("operator")
        if call.arguments["operator"] == "splatwright.extract_mesh"
    ]


def test_it_asks_for_splats_and_shows_the_chosen_methods_settings(connected: ModuleType, draw: Draw) -> None:
    chosen = bpy.context.scene.splatwright
    layout = draw("SPLATWRIGHT_PT_mesh")
    assert "Select the splats" in " ".join(layout.texts) and chosen.mesh_method == "tsdf"
    assert {"mesh_method", "faces", "texture", "resolution_automatic"} <= set(layout.properties)
    assert extract_buttons(layout) == [("Extract Mesh", False)]
    chosen.mesh_method = "poisson"
    assert {"faces", "texture", "depth_automatic"} <= set(draw("SPLATWRIGHT_PT_mesh").properties)
    chosen.mesh_method = "pseudo_mesh"
    layout = draw("SPLATWRIGHT_PT_mesh")
    assert "size" in layout.properties and "splatwright.set_mesh_quality" not in layout.operators


def test_a_quality_sets_the_settings_that_are_seen_and_can_be_undone(connected: ModuleType, draw: Draw) -> None:
    bpy.ops.ed.undo_push(message="before")
    assert pressed(draw("SPLATWRIGHT_PT_mesh")) == ["Normal"]
    settings = bpy.context.scene.splatwright.methods.tsdf
    settings.texture_automatic = True
    assert pressed(draw("SPLATWRIGHT_PT_mesh")) == []
    assert bpy.ops.splatwright.set_mesh_quality(quality="high") == {"FINISHED"}
    assert (settings.views, settings.faces, settings.texture) == (96, 200_000, 4096) and not settings.texture_automatic
    assert pressed(draw("SPLATWRIGHT_PT_mesh")) == ["High"]
    settings.smooth = 5
    bpy.ops.splatwright.set_mesh_quality(quality="draft", method="tsdf")
    assert pressed(draw("SPLATWRIGHT_PT_mesh")) == ["Draft"] and settings.smooth == 5
    bpy.ops.ed.undo_push(message="draft")
    bpy.ops.ed.undo()
    assert pressed(draw("SPLATWRIGHT_PT_mesh")) == ["Normal"]
    with pytest.raises(RuntimeError, match="no method 'crop' for meshes"):
        bpy.ops.splatwright.set_mesh_quality(method="crop")


def test_a_mesh_is_made_then_updated_then_made_beside_and_the_panel_says_what_it_has(ball: Any, draw: Draw) -> None:
    assert bpy.ops.splatwright.extract_mesh(settings=QUICK) == {"FINISHED"}
    made = ball.splatwright.extracted_mesh
    assert made.name == f"{ball.name} mesh" and made == bpy.context.view_layer.objects.active
    assert 100 < len(made.data.polygons) <= 400
    made.modifiers.new("Smooth", "SMOOTH")
    made.location.x = 7
    # The mesh is active, and it is known whose it is.
    layout = draw("SPLATWRIGHT_PT_mesh")
    assert extract_buttons(layout) == [(f"Update {made.name}", False), ("New Object", True)]
    texts = layout.texts
    assert texts[texts.index("Faces") + 1] == f"{len(made.data.polygons):,}"
    assert texts[texts.index("Vertices") + 1] == f"{len(made.data.vertices):,}"
    assert texts[texts.index("Watertight") + 1] in ("Yes", "No")
    bpy.ops.ed.undo_push(message="placed")
    names, before = (ball.name, made.name), len(made.data.polygons)
    coarse = QUICK.replace("400", "150")
    assert bpy.ops.splatwright.extract_mesh(settings=coarse) == {"FINISHED"}
    ball, made = (bpy.data.objects[name] for name in names)
    assert ball.splatwright.extracted_mesh == made and len(made.data.polygons) <= 150
    assert made.location.x == 7 and [m.name for m in made.modifiers] == ["Smooth"]
    bpy.ops.ed.undo()
    ball, made = (bpy.data.objects[name] for name in names)
    assert len(made.data.polygons) == before and made.location.x == 7, "one step"
    assert bpy.ops.splatwright.extract_mesh(object=ball.name, settings=coarse, new_object=True) == {"FINISHED"}
    beside = ball.splatwright.extracted_mesh
    assert beside != made and len(beside.data.polygons) <= 150 and len(made.data.polygons) == before
    assert np.allclose(beside.matrix_world, ball.matrix_world)
    assert bpy.ops.splatwright.run_method(method="tsdf", object=ball.name, settings=QUICK) == {"FINISHED"}
    assert ball.splatwright.extracted_mesh == beside and len(beside.data.polygons) > 150


def test_what_cannot_be_done_is_said(connected: ModuleType) -> None:
    for arguments, words in (
        ({}, "No splat object is chosen"),
        ({"object": "Nobody"}, "no object 'Nobody'"),
    ):
        with pytest.raises(RuntimeError, match=words):
            bpy.ops.splatwright.extract_mesh(**arguments)


def test_a_method_that_makes_no_meshes_is_refused(ball: Any) -> None:
    with pytest.raises(RuntimeError, match="no method 'crop' for meshes"):
        bpy.ops.splatwright.extract_mesh(method="crop")
    assert ball.splatwright.extracted_mesh is None


def test_the_viewport_shows_normals_and_depth_and_renders_do_not(
    ball: Any, connected: ModuleType, room: Room, draw: Draw
) -> None:
    eyes, objects = room("host.eyes"), room("host.objects")
    for panel, choices in (
        ("SPLATWRIGHT_PT_mesh", ["OWN", "NORMALS", "DEPTH"]),
        ("SPLATWRIGHT_PT_splats", ["OWN", "NORMALS", "DEPTH"]),
    ):
        assert [call.arguments["value"] for call in draw(panel).called("prop_enum")] == choices
    own = bound_ball.drawn(room, connected)
    solid = own[..., 3] > 0.95
    for choice in ("NORMALS", "DEPTH"):
        eyes.collected()
        ball.splatwright.colors = choice
        assert eyes.is_stale, "the next tick asks for another picture"
        depsgraph = bpy.context.evaluated_depsgraph_get()
        for for_render, wanted in ((False, choice.lower()), (True, "own")):
            (shown,) = objects.scene_objects(depsgraph, for_render=for_render)
            assert shown.colors == wanted
        picture = bound_ball.drawn(room, connected)
        np.testing.assert_allclose(picture[..., 3], own[..., 3], atol=1e-5)
        if choice == "DEPTH":
            assert np.ptp(picture[solid][:, :3], axis=1).max() < 1e-4, "gray"
            assert picture[solid][:, 0].max() - picture[solid][:, 0].min() > 0.5
    ball.splatwright.colors = "NORMALS"
    ball.rotation_euler = (0.4, 0.0, 0.2)
    bpy.context.view_layer.update()
    picture = bound_ball.drawn(room, connected)
    normal = 2 * picture[picture[..., 3] > 0.95][:, :3].mean(0) - 1
    # All splats lie flat in their object's frame, and the camera is above.
    np.testing.assert_allclose(normal, np.array(ball.matrix_world)[:3, 2], atol=0.03)
