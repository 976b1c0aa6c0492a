"""The node groups that lay splats over the scene.

Splats are trained on photos and blended in sRGB values. To match the photos they are laid over a scene that has gone
through its view transform already, and the result goes back to light, which the view "Standard" shows unchanged. Else
they become light themselves, lie over the scene's light, and the view transform is for both.
All that goes in and out is premultiplied; the splats come as sRGB, and all else is light.
"""

from __future__ import annotations

from typing import Any

import bpy

from . import render_images
from .render_view import ENCODINGS, View, knows_all_views

OVER = "Splatwright Over Scene"
BY_DEPTH = "Splatwright By Depth"
_COLOR, _VALUE = "NodeSocketColor", "NodeSocketFloat"
_WIDTH = 200  # between two nodes


def made_over(view: View | None) -> Any:
    """Scene and splats in; out come the scene with splats, and the splats alone as light.

    view: what the scene goes through before; None = splats become light.
    """
    group: Any = bpy.data.node_groups.new(OVER, "CompositorNodeTree")
    for name in ("Scene", "Splats"):
        group.interface.new_socket(name, in_out="INPUT", socket_type=_COLOR)
    for name in ("Image", "Splats"):
        group.interface.new_socket(name, in_out="OUTPUT", socket_type=_COLOR)
    begin, end = group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")
    light = _straight(begin.outputs["Splats"], group, lambda color: _converted(color, group, "sRGB", _light()))
    if view is None:
        color = _over(begin.outputs["Scene"], light, group)
    else:
        seen = _seen(begin.outputs["Scene"], group, view)
        color = _over(seen, begin.outputs["Splats"], group)
        color = _straight(color, group, lambda color: _converted(color, group, "sRGB", _light()))
    group.links.new(color, end.inputs["Image"])
    group.links.new(light, end.inputs["Splats"])
    _in_a_row(group, begin, end)
    return group


def made_by_depth() -> Any:
    """The Z pass in; out come the splats before it: slices whole before it, none behind it, and one in part."""
    group: Any = bpy.data.node_groups.new(BY_DEPTH, "CompositorNodeTree")
    group.interface.new_socket("Depth", in_out="INPUT", socket_type=_VALUE)
    group.interface.new_socket("Splats", in_out="OUTPUT", socket_type=_COLOR)
    begin, end = group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")
    first_and_rate = group.nodes.new("CompositorNodeSeparateColor")
    group.links.new(_image(render_images.RANGE, group), first_and_rate.inputs[0])
    beyond = _math("SUBTRACT", begin.outputs["Depth"], first_and_rate.outputs[0], group)
    slices = _math("MULTIPLY", beyond, first_and_rate.outputs[1], group)  # how many lie before the surface
    color = None
    for number in reversed(range(render_images.SLICES)):
        part = _math("SUBTRACT", slices, float(number), group, clamped=True)
        cut = _after(_image(render_images.slice_name(number), group), group, "CompositorNodeSetAlpha")
        if hasattr(cut, "mode"):  # until 4.5
            cut.mode = "APPLY"
        else:
            cut.inputs["Type"].default_value = "Apply Mask"
        group.links.new(part, cut.inputs["Alpha"])
        color = cut.outputs[0] if color is None else _over(color, cut.outputs[0], group)
    group.links.new(color, end.inputs["Splats"])
    _in_a_row(group, begin, end)
    return group


def _light() -> str:
    """The colour space in which the compositor computes."""
    return getattr(getattr(bpy.data, "colorspace", None), "working_space", "Linear Rec.709")


def _seen(color: Any, group: Any, view: View) -> Any:
    """The scene as its view shows it, in sRGB values."""
    if view.exposure != 0:
        expose = _after(color, group, "CompositorNodeExposure")
        expose.inputs["Exposure"].default_value = view.exposure
        color = expose.outputs[0]

    def shown(color: Any) -> Any:
        if knows_all_views():
            display = _after(color, group, "CompositorNodeConvertToDisplay")
            display.view_settings.view_transform = view.view_transform
            if view.has_look:
                display.view_settings.look = view.look
            color = display.outputs[0]
        else:
            color = _converted(color, group, _light(), ENCODINGS[view.view_transform])
        color = _clamped(color, group)
        if view.gamma != 1:
            kind = "ShaderNodeGamma" if knows_all_views() else "CompositorNodeGamma"
            gamma = _after(color, group, kind)
            gamma.inputs["Gamma"].default_value = 1 / view.gamma
            color = gamma.outputs[0]
        return color

    return _straight(color, group, shown)


def _straight(color: Any, group: Any, change: Any) -> Any:
    """change(colour) without its alpha. Nodes that change colours do not know that colours are premultiplied."""
    straight = _after(color, group, "CompositorNodePremulKey")
    premultiplied = _after(change(straight.outputs[0]), group, "CompositorNodePremulKey")
    for node, old, new in (
        (straight, "PREMUL_TO_STRAIGHT", "To Straight"),
        (premultiplied, "STRAIGHT_TO_PREMUL", "To Premultiplied"),
    ):
        if hasattr(node, "mapping"):  # until 4.5
            node.mapping = old
        else:
            node.inputs["Type"].default_value = new
    return premultiplied.outputs[0]


def _converted(color: Any, group: Any, encoding: str, wanted: str) -> Any:
    convert = _after(color, group, "CompositorNodeConvertColorSpace")
    convert.from_color_space, convert.to_color_space = encoding, wanted
    return convert.outputs[0]


def _over(background: Any, foreground: Any, group: Any) -> Any:
    over = group.nodes.new("CompositorNodeAlphaOver")
    sockets = [socket for socket in over.inputs if socket.type == "RGBA"]
    for color, socket in zip((background, foreground), sockets, strict=True):
        group.links.new(color, socket)
    return over.outputs[0]


def _clamped(color: Any, group: Any) -> Any:
    """What is brighter than the view shows would shine through splats brighter than it looks beside them."""
    mix = group.nodes.new("ShaderNodeMix")
    mix.data_type, mix.clamp_result = "RGBA", True
    sockets = {socket.identifier: socket for socket in (*mix.inputs, *mix.outputs)}
    sockets["Factor_Float"].default_value = 0.0
    group.links.new(color, sockets["A_Color"])
    return sockets["Result_Color"]


def _math(operation: str, one: Any, other: Any, group: Any, *, clamped: bool = False) -> Any:
    node = group.nodes.new("ShaderNodeMath")
    node.operation, node.use_clamp = operation, clamped
    for value, socket in zip((one, other), node.inputs, strict=False):
        if isinstance(value, float):
            socket.default_value = value
        else:
            group.links.new(value, socket)
    return node.outputs[0]


def _image(name: str, group: Any) -> Any:
    node = group.nodes.new("CompositorNodeImage")
    node.image, node.label = render_images.made(name), name
    return node.outputs["Image"]


def _after(color: Any, group: Any, kind: str) -> Any:
    node = group.nodes.new(kind)
    group.links.new(color, node.inputs[0])
    return node


def _in_a_row(group: Any, begin: Any, end: Any) -> None:
    inner = [node for node in group.nodes if node not in (begin, end)]
    for position, node in enumerate(inner):
        node.location = ((position + 1) * _WIDTH, 0)
    end.location.x = (len(inner) + 1) * _WIDTH
