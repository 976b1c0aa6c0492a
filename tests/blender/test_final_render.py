"""F12 with splats, against the backend's picture laid over Blender's own by hand."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import numpy as np
import pytest
import splat_scene

Room = Callable[[str], ModuleType]


@pytest.fixture
def ball(connected: ModuleType, tmp_path: Path) -> Any:
    return splat_scene.make(tmp_path)


def laid_over(plain: np.ndarray, room: Room, connected: ModuleType) -> np.ndarray:
    """The backend's picture over Blender's, in sRGB; [H, W, 4] premultiplied."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    surface = room("host.meshes").surface_of_scene(depsgraph)
    messages = room("protocol").messages
    request = messages.Render(
        objects=room("host.objects").scene_objects(depsgraph, for_render=False),
        camera=room("host.cameras").view_camera_of_scene(bpy.context.scene, bpy.context.scene.camera, depsgraph),
        pixels="float32",
        depth=False,
        surface_vertices=surface.vertices,
        surface_faces=surface.faces,
    )
    splats = connected.link().request(request, messages.Picture, 60).color
    assert 0.05 < (splats[..., 3] > 0.5).mean() < 0.5
    return splats + (1 - splats[..., 3:]) * premultiplied(plain)


def premultiplied(picture: np.ndarray) -> np.ndarray:
    return np.concatenate([picture[..., :3] * picture[..., 3:], picture[..., 3:]], -1)


@pytest.mark.parametrize(
    ("view", "transparent", "exposure"),
    [("Standard", False, 0.0), ("AgX", False, 0.7), ("Filmic", True, 0.0), ("Standard", True, 0.0)],
)
def test_f12_shows_splats_between_its_meshes_in_their_own_colours(
    ball: Any, connected: ModuleType, room: Room, tmp_path: Path, view: str, transparent: bool, exposure: float
) -> None:
    scene: Any = bpy.context.scene
    scene.view_settings.view_transform, scene.view_settings.exposure = view, exposure
    scene.render.film_transparent = transparent
    plain = splat_scene.rendered(tmp_path / "plain.png")  # there are no nodes yet
    bpy.ops.splatwright.setup_render()
    whole = premultiplied(splat_scene.rendered(tmp_path / "whole.png"))
    expected = laid_over(plain, room, connected)
    assert np.abs(whole - expected).max() < 1e-3
    assert splat_scene.decibels(whole, expected) > 80
    ball.hide_render = True
    assert np.abs(splat_scene.rendered(tmp_path / "hidden.png") - plain).max() < 1e-3
    bpy.ops.splatwright.remove_render_setup()
    assert (scene.view_settings.view_transform, scene.view_settings.exposure) == (view, pytest.approx(exposure))
    assert np.abs(splat_scene.rendered(tmp_path / "removed.png") - plain).max() < 1e-3


def test_the_nodes_are_added_once_and_leave_the_users_nodes(ball: Any, room: Room, tmp_path: Path) -> None:
    scene: Any = bpy.context.scene
    nodes = room("host.render_nodes")
    nodes.set_up(scene)
    tree = scene.compositing_node_group if hasattr(scene, "compositing_node_group") else scene.node_tree
    nodes.remove(scene)
    layers = next(node for node in tree.nodes if node.bl_idname == "CompositorNodeRLayers")
    (link,) = (link for link in layers.outputs["Image"].links if link.to_node.bl_idname != "CompositorNodeViewer")
    invert = tree.nodes.new("CompositorNodeInvert")
    sink = link.to_socket
    tree.links.new(layers.outputs["Image"], invert.inputs["Color"])
    tree.links.new(invert.outputs["Color"], sink)
    inverted = splat_scene.rendered(tmp_path / "inverted.png")
    before = len(tree.nodes)
    nodes.set_up(scene)
    nodes.set_up(scene)
    assert len(tree.nodes) == before + 2 and scene.render.use_lock_interface
    ball.hide_render = True
    assert np.abs(splat_scene.rendered(tmp_path / "again.png") - inverted).max() < 1e-3
    nodes.remove(scene)
    assert len(tree.nodes) == before
    assert np.abs(splat_scene.rendered(tmp_path / "left.png") - inverted).max() < 1e-3


@pytest.mark.parametrize(("setting", "value"), [("view_transform", "Raw"), ("look", "look")])
def test_a_view_whose_colours_cannot_be_kept_is_refused(ball: Any, room: Room, setting: str, value: str) -> None:
    view: Any = bpy.context.scene.view_settings
    looks = [item.identifier for item in view.bl_rna.properties["look"].enum_items]
    if value == "look":
        value = next((look for look in ("High Contrast", *looks) if look != "None"), "None")
    setattr(view, setting, value)
    with pytest.raises(RuntimeError, match=r"Splats cannot be laid over .*Color Management"):
        bpy.ops.splatwright.setup_render()
    assert not room("host.render_nodes").is_set_up(bpy.context.scene)
    assert getattr(view, setting) == value


def test_an_animation_has_every_frames_own_placement(
    ball: Any, connected: ModuleType, room: Room, tmp_path: Path
) -> None:
    scene: Any = bpy.context.scene
    ball.keyframe_insert("location", frame=1)
    ball.location.x = -1.0
    ball.keyframe_insert("location", frame=2)
    bpy.ops.splatwright.setup_render()
    scene.frame_start, scene.frame_end = 1, 2
    scene.render.image_settings.color_depth, scene.render.image_settings.color_mode = "16", "RGBA"
    scene.render.filepath = str(tmp_path / "frame")
    assert bpy.ops.splatwright.render(animation=True) == {"FINISHED"}
    bpy.ops.splatwright.remove_render_setup()
    for frame in (1, 2):
        scene.frame_set(frame)
        ball.hide_render = True
        plain = splat_scene.rendered(tmp_path / "plain.png")
        ball.hide_render = False
        got = premultiplied(splat_scene.read(tmp_path / f"frame{frame:04d}.png"))
        assert splat_scene.decibels(got, laid_over(plain, room, connected)) > 80


def test_without_a_backend_the_picture_comes_without_splats_and_says_so(
    ball: Any, connected: ModuleType, served_backend: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = splat_scene.rendered(tmp_path / "plain.png")
    bpy.ops.splatwright.setup_render()
    assert np.abs(splat_scene.rendered(tmp_path / "whole.png") - plain).max() > 0.3
    served_backend.stop()
    assert connected.wait_until(lambda: connected.link() is None, 20)
    with caplog.at_level(logging.WARNING):
        without = splat_scene.rendered(tmp_path / "without.png")
    assert np.abs(without - plain).max() < 1e-3
    assert any("backend" in record.getMessage() for record in caplog.records)
    with pytest.raises(RuntimeError, match="backend"):
        bpy.ops.splatwright.render()
