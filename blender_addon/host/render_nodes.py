"""The compositor nodes that lay splats over what Blender renders: put in by one button, taken out by another.

What the scene was like before is kept with our node, so that taking the nodes out brings it back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import msgspec

from . import render_groups, render_images, render_passes, render_view
from .changed_settings import changed
from .render_view import View

_OURS = "splatwright"  # a custom property of each of our nodes: what it is for
_MADE = "splatwright_made"  # and of each node of the usual kind that was not there before
_BEFORE = "splatwright_before"
_WIDTH = 200  # between two nodes


class _Before(msgspec.Struct):
    """What the scene was like."""

    view: View
    color: str  # how splats go in: MATCH or VIEW
    depth: str  # MESHES or Z_PASS
    use_compositing: bool
    use_lock_interface: bool
    has_tree: bool
    has_nodes: bool
    use_nodes: bool
    use_pass_z: dict[str, bool]  # by view layer
    moved_from: tuple[float, float]  # the node behind ours
    moved_to: tuple[float, float]


def is_set_up(scene: bpy.types.Scene) -> bool:
    tree = _tree(scene)
    return tree is not None and _over(tree) is not None and render_images.find(render_images.COLOR) is not None


def depth_source(scene: bpy.types.Scene) -> str:
    """What hides splats in the nodes that are in: MESHES or Z_PASS."""
    over = _over(_tree(scene))
    return _before(over).depth if over is not None else "MESHES"


def writes_passes(scene: bpy.types.Scene) -> bool:
    tree = _tree(scene)
    return tree is not None and "passes" in _ours(tree)


def set_up(scene: bpy.types.Scene) -> None:
    """Lays splats over whatever the scene's nodes put out; nothing changes when it is done already.

    Raises UserError for a view whose colours cannot be kept.
    """
    if is_set_up(scene):
        return
    remove(scene)  # what somebody has left of an earlier set-up
    _set_up(scene, render_view.view_of(scene))


def remove(scene: bpy.types.Scene) -> None:
    """Takes our nodes out and gives the scene its settings back; all other nodes stay as they are.

    What somebody has changed of the view while our nodes were in stays changed.
    """
    tree = _tree(scene)
    if tree is None:
        return
    over = _over(tree)
    before = _before(over) if over is not None else None
    if over is not None:
        _unlink(tree, over)
    for node in _ours(tree).values():
        group = getattr(node, "node_tree", None)
        tree.nodes.remove(node)
        if group is not None and not group.users:
            bpy.data.node_groups.remove(group)
    if before is not None:
        _give_back(scene, before)
        _forget_tree(scene, tree, before)


def follow_choices(scene: bpy.types.Scene) -> None:
    """Makes the nodes anew when they are in, as the scene's choices, and its view, are now."""
    if is_set_up(scene):
        view = _wanted_view(scene)
        if scene.splatwright.render.color == "MATCH":  # type: ignore[attr-defined]
            render_view.refuse(scene, view)
        remove(scene)
        _set_up(scene, view)


@contextmanager
def depth_written_to(scene: bpy.types.Scene, folder: Path, name: str) -> Iterator[None]:
    """In the block a render writes the depth of each frame as a float EXR into the folder, and no other files."""
    tree = _tree(scene)
    with changed([(node, "mute", True) for node in tree.nodes if node.bl_idname == "CompositorNodeOutputFile"]):
        writer = render_passes.made_depth_writer(tree, folder, name)
        try:
            tree.links.new(_layers(tree, scene).outputs["Depth"], writer.inputs[0])
            yield
        finally:
            tree.nodes.remove(writer)


def trouble(scene: Any) -> str:
    """One sentence when the nodes that are in are not what the scene's settings say; else ""."""
    over = _over(_tree(scene))
    if over is None:
        return ""
    before, choice = _before(over), scene.splatwright.render
    if (before.color, before.depth) != (choice.color, choice.depth):
        return "The nodes in the compositor are not what is chosen here."
    if before.color == "MATCH" and render_view.changed_since(scene):
        return "The view was changed: it lies on top of the one in our nodes, and the splats lose their colors."
    return ""


def _wanted_view(scene: bpy.types.Scene) -> View:
    over = _over(_tree(scene))
    if over is None or _before(over).color != "MATCH":
        return render_view.view_of(scene)
    return render_view.wanted(scene, _before(over).view)


def _set_up(scene: Any, view: View) -> None:
    choice, matches = scene.splatwright.render, scene.splatwright.render.color == "MATCH"
    if matches:
        render_view.refuse(scene, view)
    before = _Before(
        view, choice.color, choice.depth, scene.render.use_compositing, scene.render.use_lock_interface,
        _tree(scene) is not None, _has_nodes(scene), _uses_nodes(scene), {}, (0.0, 0.0), (0.0, 0.0),
    )  # fmt: skip
    tree = _made_tree(scene)
    sink, layers = _output(tree), _layers(tree, scene)
    source = sink.links[0].from_socket if sink.links else layers.outputs["Image"]
    before.moved_from = tuple(sink.node.location)
    sink.node.location.x += 2 * _WIDTH
    before.moved_to = tuple(sink.node.location)
    over = _insert(tree, source, sink, layers, view if matches else None, choice.depth)
    if choice.depth == "Z_PASS":
        layer = scene.view_layers.get(layers.layer) or scene.view_layers[0]
        before.use_pass_z[layer.name] = layer.use_pass_z
        layer.use_pass_z = True
        tree.links.new(layers.outputs["Depth"], _ours(tree)["by depth"].inputs["Depth"])
    if choice.write_passes:
        _insert_passes(tree, source, over, scene.render.filepath)
    over[_BEFORE] = msgspec.json.encode(before).decode()
    render_view.apply(scene, render_view.NEUTRAL if matches else view)
    scene.render.use_compositing = True
    scene.render.use_lock_interface = True  # pictures are asked for on the render's own thread


def _insert(tree: Any, source: Any, sink: Any, layers: Any, view: View | None, depth: str) -> Any:
    x, y = sink.node.location.x - 2 * _WIDTH, sink.node.location.y
    over = _new(tree, "CompositorNodeGroup", "over", "Splats Over Scene", (x, y))
    over.node_tree = render_groups.made_over(view)
    render_images.made(render_images.COLOR)
    place = (x - 1.5 * _WIDTH, y - _WIDTH)
    if depth == "Z_PASS":
        splats = _new(tree, "CompositorNodeGroup", "by depth", "Splats by Depth", place)
        splats.node_tree = render_groups.made_by_depth()
    else:
        splats = _new(tree, "CompositorNodeImage", "image", "Splats", place)
        splats.image = render_images.made(render_images.COLOR)
    tree.links.new(source, over.inputs["Scene"])
    tree.links.new(splats.outputs[0], over.inputs["Splats"])
    tree.links.new(over.outputs["Image"], sink)
    return over


def _insert_passes(tree: Any, source: Any, over: Any, picture_path: str) -> None:
    x, y = over.location
    depth = _new(tree, "CompositorNodeImage", "depth", "Splats Depth", (x, y - 2 * _WIDTH))
    depth.image = render_images.made(render_images.DEPTH)
    passes = render_passes.made(tree, picture_path)
    passes[_OURS], passes.label, passes.location = "passes", "Splat Passes", (x + 1.5 * _WIDTH, y - _WIDTH)
    for name, socket in (
        ("Image", source),
        ("Splats", over.outputs["Splats"]),
        ("Splats Depth", depth.outputs["Image"]),
    ):
        tree.links.new(socket, passes.inputs[name])


def _unlink(tree: Any, over: Any) -> None:
    """What came into our node goes where it went out, and the node behind moves back."""
    before = _before(over)
    sources = [link.from_socket for link in over.inputs["Scene"].links]
    for link in list(over.outputs["Image"].links):
        node, target = link.to_node, link.to_socket
        if tuple(node.location) == before.moved_to:
            node.location = before.moved_from
        if sources and not (_MADE in sources[0].node and sources[0].name == "Image" and before.has_tree):
            tree.links.new(sources[0], target)
    for node in [node for node in tree.nodes if _MADE in node and before.has_tree]:
        others = [link for socket in node.outputs for link in socket.links if _OURS not in link.to_node]
        if not others and node.bl_idname == "CompositorNodeRLayers":
            tree.nodes.remove(node)


def _give_back(scene: Any, before: _Before) -> None:
    if before.color == "MATCH":
        render_view.apply(scene, render_view.wanted(scene, before.view))
    scene.render.use_compositing = before.use_compositing
    scene.render.use_lock_interface = before.use_lock_interface
    for name, value in before.use_pass_z.items():
        if name in scene.view_layers:
            scene.view_layers[name].use_pass_z = value


def _forget_tree(scene: Any, tree: Any, before: _Before) -> None:
    """A tree that was made for our nodes goes with them, unless somebody has put others into it."""
    is_ours = not before.has_nodes and all(_MADE in node for node in tree.nodes)
    if not hasattr(scene, "compositing_node_group"):
        if before.has_nodes or is_ours:
            scene.use_nodes = before.use_nodes
    elif not before.has_tree and is_ours:
        bpy.data.node_groups.remove(tree)


def _new(tree: Any, kind: str, purpose: str, label: str, place: tuple[float, float]) -> Any:
    node = tree.nodes.new(kind)
    node[_OURS], node.label, node.location = purpose, label, place
    return node


def _ours(tree: Any) -> dict[str, Any]:
    return {node[_OURS]: node for node in tree.nodes if _OURS in node}


def _over(tree: Any) -> Any:
    """Our node that holds the scene with splats; None where the nodes are not in, or not whole."""
    over = _ours(tree).get("over") if tree is not None else None
    return over if over is not None and _BEFORE in over else None


def _before(over: Any) -> _Before:
    return msgspec.json.decode(over[_BEFORE], type=_Before)


# ---- the tree, which is the scene's own until 4.5 and a node group from 5.0 on


def _tree(scene: Any) -> Any:
    if hasattr(scene, "compositing_node_group"):
        return scene.compositing_node_group
    return scene.node_tree if scene.use_nodes else None


def _uses_nodes(scene: Any) -> bool:
    return hasattr(scene, "compositing_node_group") or scene.use_nodes


def _has_nodes(scene: Any) -> bool:
    """Also where they are not in use."""
    new = hasattr(scene, "compositing_node_group")
    tree = scene.compositing_node_group if new else scene.node_tree
    return tree is not None and len(tree.nodes) > 0


def _made_tree(scene: Any) -> Any:
    tree: Any = _tree(scene)
    if tree is not None:
        return tree
    if not hasattr(scene, "compositing_node_group"):
        has_nodes = _has_nodes(scene)
        scene.use_nodes = True
        for node in () if has_nodes else scene.node_tree.nodes:
            node[_MADE] = True
        return scene.node_tree
    tree = bpy.data.node_groups.new("Compositor", "CompositorNodeTree")
    scene.compositing_node_group = tree
    tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    return tree


def _output(tree: Any) -> Any:
    """The socket that the picture goes into."""
    kind = "NodeGroupOutput" if tree.interface.items_tree else "CompositorNodeComposite"
    nodes = [node for node in tree.nodes if node.bl_idname == kind]
    active = [node for node in nodes if getattr(node, "is_active_output", True)]
    node = (active or nodes or [None])[0]
    if node is None:
        node = tree.nodes.new(kind)
        node[_MADE], node.location = True, (300, 0)
    return node.inputs[0]


def _layers(tree: Any, scene: bpy.types.Scene) -> Any:
    for node in tree.nodes:
        if node.bl_idname == "CompositorNodeRLayers":
            return node
    node = tree.nodes.new("CompositorNodeRLayers")
    node[_MADE], node.scene = True, scene
    return node
