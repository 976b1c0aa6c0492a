"""The nodes for splats in renders: put in, taken out, and everything as it was before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import numpy as np
import pytest
import splat_scene

Room = Callable[[str], ModuleType]
IS_OLD = bpy.app.version < (5, 0)


@pytest.fixture
def ball(connected: ModuleType, tmp_path: Path) -> Any:
    return splat_scene.make(tmp_path)


@pytest.fixture
def scene(ball: Any) -> Iterator[Any]:
    yield bpy.context.scene


def tree_of(scene: Any) -> Any:
    return scene.node_tree if IS_OLD else scene.compositing_node_group


def state(scene: Any) -> dict[str, Any]:
    """All that a set-up might leave behind."""
    tree, view = tree_of(scene), scene.view_settings
    used = scene.use_nodes if IS_OLD else tree is not None
    return {
        "used": used,
        "nodes": {node.name: (node.bl_idname, tuple(node.location)) for node in tree.nodes} if used else None,
        "links": {
            (link.from_node.name, link.from_socket.name, link.to_node.name, link.to_socket.name) for link in tree.links
        }
        if used
        else None,
        "view": (view.view_transform, view.look, view.exposure, view.gamma),
        "render": (scene.render.use_compositing, scene.render.use_lock_interface),
        "pass": [layer.use_pass_z for layer in scene.view_layers],
        "groups": sorted(group.name for group in bpy.data.node_groups),
    }


def own_tree(scene: Any) -> Any:
    """As a user makes one: what is rendered, inverted."""
    if IS_OLD:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        sink = tree.nodes.new("CompositorNodeComposite")
    else:
        tree = scene.compositing_node_group = bpy.data.node_groups.new("Mine", "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        sink = tree.nodes.new("NodeGroupOutput")
    layers, invert = tree.nodes.new("CompositorNodeRLayers"), tree.nodes.new("CompositorNodeInvert")
    layers.scene = scene
    for place, node in enumerate((layers, invert, sink)):
        node.location = (300 * place, 40)
    tree.links.new(layers.outputs["Image"], invert.inputs["Color"])
    tree.links.new(invert.outputs["Color"], sink.inputs[0])
    return tree


@pytest.mark.parametrize("depth", ["MESHES", "Z_PASS"])
@pytest.mark.parametrize("own", [False, True], ids=["no tree", "a tree of one's own"])
def test_taking_the_nodes_out_leaves_everything_as_it_was(scene: Any, own: bool, depth: str) -> None:
    view = scene.view_settings
    view.view_transform, view.exposure, view.gamma = "AgX", 0.3, 1.2
    scene.render.use_lock_interface = scene.render.use_compositing = False
    scene.splatwright.render.depth, scene.splatwright.render.write_passes = depth, True
    if own:
        own_tree(scene)
    before = state(scene)
    assert bpy.ops.splatwright.setup_render() == {"FINISHED"}
    during = state(scene)
    assert during["view"] == ("Standard", "None", 0.0, 1.0) and during["render"] == (True, True)
    assert during["pass"] == [depth == "Z_PASS"]
    names = {node.label for node in tree_of(scene).nodes}
    assert {"Splats Over Scene", "Splat Passes", "Splats by Depth" if depth == "Z_PASS" else "Splats"} <= names
    assert not bpy.ops.splatwright.setup_render.poll()
    assert bpy.ops.splatwright.remove_render_setup() == {"FINISHED"}
    assert state(scene) == before


def test_the_users_nodes_come_before_ours_and_stay(scene: Any, ball: Any, room: Room, tmp_path: Path) -> None:
    tree = own_tree(scene)
    inverted = splat_scene.rendered(tmp_path / "inverted.png")
    nodes = room("host.render_nodes")
    nodes.set_up(scene)
    nodes.set_up(scene)
    assert len(tree.nodes) == 5, "once is enough"
    ball.hide_render = True
    assert np.abs(splat_scene.rendered(tmp_path / "again.png") - inverted).max() < 1e-3
    late = tree.nodes.new("CompositorNodeFlip")  # between ours and the output
    over = next(node for node in tree.nodes if node.label == "Splats Over Scene")
    (link,) = over.outputs["Image"].links
    sink = link.to_socket
    tree.links.new(over.outputs["Image"], late.inputs["Image"])
    tree.links.new(late.outputs["Image"], sink)
    nodes.remove(scene)
    assert len(tree.nodes) == 4
    (link,) = late.inputs["Image"].links
    assert link.from_node.bl_idname == "CompositorNodeInvert"
    (link,) = late.outputs["Image"].links
    assert link.to_socket == sink


def test_undo_takes_the_nodes_out_again(scene: Any, room: Room) -> None:
    scene.view_settings.view_transform = "AgX"
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.splatwright.setup_render("EXEC_DEFAULT", True)
    nodes = room("host.render_nodes")
    assert nodes.is_set_up(bpy.context.scene)
    bpy.ops.ed.undo()
    scene = bpy.context.scene
    assert not nodes.is_set_up(scene) and scene.view_settings.view_transform == "AgX"
    bpy.ops.ed.redo()
    scene = bpy.context.scene
    assert nodes.is_set_up(scene) and scene.view_settings.view_transform == "Standard"
    nodes.remove(scene)
    assert scene.view_settings.view_transform == "AgX"


REFUSED = [
    ("view_settings", "use_curve_mapping", True, "curves"),
    ("view_settings", "use_white_balance", True, "white balance"),
    ("render.image_settings", "color_management", "OVERRIDE", "color management of its own"),
]
if IS_OLD:  # later Blenders have a node for all of them
    REFUSED += [
        ("view_settings", "view_transform", "False Color", "view transform 'False Color'"),
        ("view_settings", "look", "High Contrast", "look 'High Contrast'"),
    ]


@pytest.mark.parametrize(("owner", "name", "value", "words"), REFUSED, ids=[case[3] for case in REFUSED])
def test_a_view_whose_colours_cannot_be_kept_is_refused(
    scene: Any, room: Room, owner: str, name: str, value: Any, words: str
) -> None:
    for part in owner.split("."):
        settings = getattr(scene if part == owner.split(".", maxsplit=1)[0] else settings, part)  # noqa: F821
    setattr(settings, name, value)
    before = state(scene)
    with pytest.raises(RuntimeError, match=words):
        bpy.ops.splatwright.setup_render()
    assert state(scene) == before and getattr(settings, name) == value
    if name.startswith("use_") or name in ("view_transform", "look"):
        scene.splatwright.render.color = "VIEW"
        assert bpy.ops.splatwright.setup_render() == {"FINISHED"}, "as light they go through any view"
        bpy.ops.splatwright.remove_render_setup()
        assert state(scene) == before


def test_a_view_that_is_changed_later_is_said_and_mended(scene: Any, ball: Any, room: Room, tmp_path: Path) -> None:
    nodes = room("host.render_nodes")
    ball.hide_render = True
    scene.view_settings.view_transform, scene.view_settings.exposure = "AgX", 0.5
    agx = splat_scene.rendered(tmp_path / "agx.png")
    scene.view_settings.view_transform, scene.view_settings.exposure = "Filmic", 0.2
    bpy.ops.splatwright.setup_render()
    assert nodes.trouble(scene) == ""
    scene.view_settings.view_transform, scene.view_settings.exposure = "AgX", 0.3
    assert "view was changed" in nodes.trouble(scene)
    ball.hide_render = False
    with pytest.raises(RuntimeError, match="view was changed"):
        bpy.ops.splatwright.check_render()
    ball.hide_render = True
    assert bpy.ops.splatwright.update_render_setup() == {"FINISHED"}
    assert nodes.trouble(scene) == "" and scene.view_settings.view_transform == "Standard"
    assert np.abs(splat_scene.rendered(tmp_path / "mended.png") - agx).max() < 1e-3
    bpy.ops.splatwright.remove_render_setup()
    assert (scene.view_settings.view_transform, scene.view_settings.exposure) == ("AgX", pytest.approx(0.5))


def test_choices_change_the_nodes_that_are_in(scene: Any, room: Room) -> None:
    nodes, choice = room("host.render_nodes"), scene.splatwright.render
    scene.view_settings.view_transform = "AgX"
    bpy.ops.splatwright.setup_render()
    choice.color = "VIEW"
    assert nodes.is_set_up(scene) and scene.view_settings.view_transform == "AgX"
    choice.color = "MATCH"
    assert scene.view_settings.view_transform == "Standard"
    choice.depth, choice.write_passes = "Z_PASS", True
    assert nodes.depth_source(scene) == "Z_PASS" and nodes.writes_passes(scene)
    scene.view_settings.use_white_balance = True
    assert nodes.trouble(scene)
    bpy.ops.splatwright.remove_render_setup()
    assert scene.view_settings.view_transform == "AgX"


def test_the_panel_says_what_is_wrong_and_what_has_no_mesh(scene: Any, draw: Callable[..., Any]) -> None:
    def said() -> str:
        return " ".join(draw("SPLATWRIGHT_PT_render").texts)

    def offered(operator: str) -> bool:
        return operator in draw("SPLATWRIGHT_PT_render").operators

    assert offered("splatwright.setup_render") and not offered("splatwright.remove_render_setup")
    bpy.ops.splatwright.setup_render()
    assert offered("splatwright.remove_render_setup") and not offered("splatwright.update_render_setup")
    scene.view_settings.exposure = 1.0
    assert "The view was changed" in said() and offered("splatwright.update_render_setup")
    bpy.ops.splatwright.update_render_setup()
    assert "The view was changed" not in said() and "hide splats" not in said()
    cloud = bpy.data.objects.new("Smoke", bpy.data.volumes.new("Smoke"))
    scene.collection.objects.link(cloud)
    assert "volumes cannot hide splats" in said()
    hair = bpy.data.objects.new("Hair", bpy.data.hair_curves.new("Hair"))
    scene.collection.objects.link(hair)
    assert "scene's hair hide splats when the buttons above render" in said()
    assert "volumes cannot hide splats" in said()
    scene.splatwright.render.depth = "Z_PASS"
    assert "in 16 slices" in said()
    hair.hide_render = cloud.hide_render = True
    assert "hide splats" not in said()
    material = bpy.data.materials.new("Rough")
    tree: Any = material.node_tree
    if tree is None:  # until 4.5
        material.use_nodes = True
        tree = material.node_tree
    scene.objects["Cube"].data.materials.append(material)
    bump = tree.nodes.new("ShaderNodeDisplacement")
    output = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeOutputMaterial")
    tree.links.new(bump.outputs[0], output.inputs["Displacement"])
    material.displacement_method = "BUMP"
    assert "hide splats" not in said()
    material.displacement_method, scene.splatwright.render.depth = "DISPLACEMENT", "MESHES"
    assert "displacement hide splats" in said()


def test_after_a_render_nothing_is_left_unsaved(
    scene: Any, room: Room, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    current, images = room("host.current"), room("host.render_images")
    bpy.ops.splatwright.setup_render()
    splat_scene.rendered(tmp_path / "first.png")
    image = bpy.data.images[images.COLOR]
    filled = images.pixels(image)
    assert image.is_dirty and filled[..., 3].max() > 0.5
    monkeypatch.setattr(current, "is_interactive", lambda: True)
    room("host.saved_images").keep()
    assert not image.is_dirty and (images.pixels(image) == filled).all()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"), copy=True)
    assert not image.is_dirty and (images.pixels(image) == filled).all()
    with bpy.data.libraries.load(str(tmp_path / "scene.blend"), link=True) as (there, linked):
        linked.images = list(there.images)
    saved = next(image for image in linked.images if image.name == images.COLOR)
    assert (saved.source, saved.filepath) == ("GENERATED", "")
    bpy.data.libraries.remove(saved.library)
    monkeypatch.undo()
    splat_scene.rendered(tmp_path / "second.png")
    assert (images.pixels(image) == filled).all(), "it is filled again"
