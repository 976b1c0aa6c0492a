"""The compositor nodes that lay splats over what Blender renders: put in by one button, taken out by another.

Splats are trained on photos and blended in sRGB values, so that is how they are laid over the scene: the scene goes
through its view transform first, the splats over it, and the result goes back to light, which the view "Standard" shows
unchanged.
"""

from __future__ import annotations

from typing import Any

import bpy

from ..protocol import errors

IMAGE = "Splatwright Render"
GROUP = "Splatwright Over Scene"
_OURS = "splatwright"  # a custom property of each of our nodes: what it is for
_LIGHT = "Linear Rec.709"
_SHOWN_AS = {"Standard": "sRGB", "AgX": "AgX Base sRGB", "Filmic": "Filmic sRGB"}  # view transforms, as colour spaces
_NONE = ("", "None")
_WIDTH = 200  # between two nodes


def image() -> bpy.types.Image | None:
    """The picture of the splats that the nodes read."""
    return bpy.data.images.get(IMAGE)


def is_set_up(scene: bpy.types.Scene) -> bool:
    tree = _tree(scene)
    return tree is not None and _ours(tree).keys() >= {"over", "image"} and image() is not None


def set_up(scene: bpy.types.Scene) -> None:
    """Lays splats over whatever the scene's nodes put out; nothing changes when it is done already.

    Raises UserError for a view whose colours cannot be kept.
    """
    if is_set_up(scene):
        return
    view: Any = scene.view_settings
    encoding = _SHOWN_AS.get(view.view_transform)
    if encoding is None:
        message = f"Splats cannot be laid over the view transform '{view.view_transform}'."
        raise errors.UserError("unsupported", message, f"Choose one of {', '.join(_SHOWN_AS)} in Color Management.")
    if view.look not in _NONE:
        message = f"Splats cannot be laid over a scene with the look '{view.look}'."
        raise errors.UserError("unsupported", message, "Set the look to None in Color Management.")
    remove(scene)  # what somebody has left of an earlier set-up
    tree = _made_tree(scene)
    sink = _output(tree)
    source = sink.links[0].from_socket if sink.links else _layers(tree).outputs["Image"]
    _insert(tree, source, sink, encoding, view)
    view.view_transform, view.exposure = "Standard", 0.0  # both are in the nodes now
    scene.render.use_compositing = True
    scene.render.use_lock_interface = True  # pictures are asked for on the render's own thread


def remove(scene: bpy.types.Scene) -> None:
    """Takes our nodes out and gives the scene its view back; all other nodes stay as they are."""
    tree = _tree(scene)
    if tree is None:
        return
    for over in [node for purpose, node in _ours(tree).items() if purpose == "over"]:
        scene.view_settings.view_transform = over["view_transform"]
        scene.view_settings.exposure = over["exposure"]
        source, targets = _origin(over.inputs["Scene"]), [link.to_socket for link in over.outputs[0].links]
        group = over.node_tree
        tree.nodes.remove(over)
        if group is not None and not group.users:
            bpy.data.node_groups.remove(group)
        for target in targets if source is not None else ():
            tree.links.new(source, target)
    for node in _ours(tree).values():
        tree.nodes.remove(node)


def _insert(tree: Any, source: Any, sink: Any, encoding: str, view: Any) -> None:
    place = sink.node.location.copy()
    sink.node.location.x += 2 * _WIDTH
    splats, over = tree.nodes.new("CompositorNodeImage"), tree.nodes.new("CompositorNodeGroup")
    for node, purpose in ((splats, "image"), (over, "over")):
        node[_OURS] = purpose
    splats.image, splats.label = _made_image(), "Splats"
    over.node_tree, over.label = _made_group(encoding, view.exposure), GROUP
    over["view_transform"], over["exposure"] = view.view_transform, view.exposure
    over.location, splats.location = place, (place.x - 1.5 * _WIDTH, place.y - _WIDTH)
    tree.links.new(source, over.inputs["Scene"])
    tree.links.new(splats.outputs["Image"], over.inputs["Splats"])
    tree.links.new(over.outputs[0], sink)


def _made_group(encoding: str, exposure: float) -> Any:
    """Scene and splats in, the scene with splats out: all of it premultiplied, the splats sRGB, and the rest light."""
    group: Any = bpy.data.node_groups.new(GROUP, "CompositorNodeTree")
    for name in ("Scene", "Splats"):
        group.interface.new_socket(name, in_out="INPUT", socket_type="NodeSocketColor")
    group.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    begin, end = group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")
    color = begin.outputs["Scene"]
    if exposure != 0:
        expose = _after(color, group, "CompositorNodeExposure")
        expose.inputs["Exposure"].default_value = exposure
        color = expose.outputs[0]
    color = _converted(color, group, _LIGHT, encoding, clamped=True)
    over = group.nodes.new("CompositorNodeAlphaOver")
    background, foreground = (socket for socket in over.inputs if socket.type == "RGBA")
    group.links.new(color, background)
    group.links.new(begin.outputs["Splats"], foreground)
    color = _converted(over.outputs[0], group, "sRGB", _LIGHT)
    group.links.new(color, end.inputs["Image"])
    for position, node in enumerate(node for node in group.nodes if node not in (begin, end)):
        node.location.x = (position + 1) * _WIDTH
    end.location.x = len(group.nodes) * _WIDTH
    return group


def _converted(color: Any, group: Any, encoding: str, wanted: str, *, clamped: bool = False) -> Any:
    """Colours in another encoding. The node that does it does not know that colours are premultiplied."""
    straight = _after(color, group, "CompositorNodePremulKey")
    convert = _after(straight.outputs[0], group, "CompositorNodeConvertColorSpace")
    color = _clamped(convert.outputs[0], group) if clamped else convert.outputs[0]
    premultiplied = _after(color, group, "CompositorNodePremulKey")
    convert.from_color_space, convert.to_color_space = encoding, wanted
    for node, old, new in (
        (straight, "PREMUL_TO_STRAIGHT", "To Straight"),
        (premultiplied, "STRAIGHT_TO_PREMUL", "To Premultiplied"),
    ):
        if hasattr(node, "mapping"):  # until 4.5
            node.mapping = old
        else:
            node.inputs["Type"].default_value = new
    return premultiplied.outputs[0]


def _clamped(color: Any, group: Any) -> Any:
    """What is brighter than the view shows would shine through splats brighter than it looks beside them."""
    mix = group.nodes.new("ShaderNodeMix")
    mix.data_type, mix.clamp_result = "RGBA", True
    sockets = {socket.identifier: socket for socket in (*mix.inputs, *mix.outputs)}
    sockets["Factor_Float"].default_value = 0.0
    group.links.new(color, sockets["A_Color"])
    return sockets["Result_Color"]


def _after(color: Any, group: Any, kind: str) -> Any:
    node = group.nodes.new(kind)
    group.links.new(color, node.inputs["Image"])
    return node


def _origin(socket: Any) -> Any:
    return socket.links[0].from_socket if socket.links else None


def _ours(tree: Any) -> dict[str, Any]:
    return {node[_OURS]: node for node in tree.nodes if _OURS in node}


def _made_image() -> bpy.types.Image:
    found = image()
    if found is None:
        found = bpy.data.images.new(IMAGE, 1, 1, alpha=True, float_buffer=True, is_data=True)
        found.alpha_mode = "PREMUL"
        found.pixels.foreach_set([0.0] * 4)  # type: ignore[attr-defined]
    return found


# ---- the tree, which is the scene's own until 4.5 and a node group from 5.0 on


def _tree(scene: Any) -> Any:
    if hasattr(scene, "compositing_node_group"):
        return scene.compositing_node_group
    return scene.node_tree if scene.use_nodes else None


def _made_tree(scene: Any) -> Any:
    tree: Any = _tree(scene)
    if tree is not None:
        return tree
    if not hasattr(scene, "compositing_node_group"):
        scene.use_nodes = True
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
        node.location = (300, 0)
    return node.inputs[0]


def _layers(tree: Any) -> Any:
    for node in tree.nodes:
        if node.bl_idname == "CompositorNodeRLayers":
            return node
    return tree.nodes.new("CompositorNodeRLayers")
