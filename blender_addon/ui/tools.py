# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false, reportSelfClsParameterName=false
"""Tools of the toolbar that select splats in Object Mode, with the keys that Blender's artists know.

While one of them is active, the keys that select, hide and delete objects do so with splats of the active object.
"""

from __future__ import annotations

from typing import Any

import bpy

from ..core import selecting
from ..host import gesture_drawing, selections
from .chosen_splats import active_splats

_Key = tuple[str, dict[str, Any], dict[str, Any] | None]
_MODES = (("SET", {}), ("ADD", {"shift": True}), ("SUBTRACT", {"ctrl": True}))
_BOTH = ("INTERSECT", {"shift": True, "ctrl": True})


def _key(operator: str, kind: str, value: str = "PRESS", *, properties: Any = (), **held: bool) -> _Key:
    return (f"splatwright.{operator}", {"type": kind, "value": value, **held}, {"properties": list(properties)})


def _by_mouse(operator: str, value: str, *properties: tuple[str, Any]) -> tuple[_Key, ...]:
    """The left button, for each of the ways to combine with what is selected."""
    return tuple(
        _key(operator, "LEFTMOUSE", value, properties=(("mode", mode), *properties), **held)
        for mode, held in (*_MODES, _BOTH)
    )


_SHARED: tuple[_Key, ...] = (
    _key("select_all", "A", properties=(("action", "SELECT"),)),
    _key("select_all", "A", properties=(("action", "DESELECT"),), alt=True),
    _key("select_all", "I", properties=(("action", "INVERT"),), ctrl=True),
    _key("select_outline", "B", properties=(("shape", "BOX"),)),
    _key("select_brush", "C"),
    _key("select_outline", "RIGHTMOUSE", "CLICK_DRAG", properties=(("shape", "LASSO"), ("mode", "ADD")), ctrl=True),
    _key(
        "select_outline",
        "RIGHTMOUSE",
        "CLICK_DRAG",
        properties=(("shape", "LASSO"), ("mode", "SUBTRACT")),
        ctrl=True,
        shift=True,
    ),
    _key("select_flood", "L"),
    _key("select_flood", "L", properties=(("add", True),), shift=True),
    _key("select_linked", "L", ctrl=True),
    _key("select_grow", "NUMPAD_PLUS", properties=(("steps", 1),), ctrl=True),
    _key("select_grow", "NUMPAD_MINUS", properties=(("steps", -1),), ctrl=True),
    _key("hide_selected", "H"),
    _key("hide_selected", "H", properties=(("unselected", True),), shift=True),
    _key("reveal", "H", alt=True),
    _key("edit_selected", "X", properties=(("method", "delete"),)),
    _key("edit_selected", "DEL", properties=(("method", "delete"),)),
    _key("edit_selected", "P", properties=(("method", "separate"),)),
    _key("brush_size", "LEFT_BRACKET", properties=(("larger", False),)),
    _key("brush_size", "RIGHT_BRACKET", properties=(("larger", True),)),
)


def _draw_settings(context: Any, layout: Any, *names: str) -> None:
    chosen = context.scene.splatwright.select
    for name in names:
        layout.prop(chosen, name)
    splats = active_splats(context)
    if splats is None:
        layout.label(text="Select a splat object", icon="INFO")
        return
    info = selections.counted(splats)
    layout.label(text=selecting.selected_of(info) if info is not None else "No splats selected")


class SelectTool(bpy.types.WorkSpaceTool):
    bl_space_type = "VIEW_3D"
    bl_context_mode = "OBJECT"
    bl_idname = ""
    bl_cursor = "CROSSHAIR"
    bl_widget = None


class BoxTool(SelectTool):
    bl_idname = "splatwright.box"
    bl_label = "Select Splats by Box"
    bl_description = "Drag a box around splats"
    bl_icon = "ops.generic.select_box"
    bl_keymap = (*_by_mouse("select_outline", "CLICK_DRAG", ("shape", "BOX"), ("from_tool", True)), *_SHARED)

    def draw_settings(context: Any, layout: Any, tool: Any) -> None:  # noqa: N805  Blender calls it so
        _draw_settings(context, layout, "surface_only")


class LassoTool(SelectTool):
    bl_idname = "splatwright.lasso"
    bl_label = "Select Splats by Lasso"
    bl_description = "Draw a line around splats"
    bl_icon = "ops.generic.select_lasso"
    bl_keymap = (*_by_mouse("select_outline", "CLICK_DRAG", ("shape", "LASSO"), ("from_tool", True)), *_SHARED)
    draw_settings = BoxTool.draw_settings


class PolygonTool(SelectTool):
    bl_idname = "splatwright.polygon"
    bl_label = "Select Splats by Polygon"
    bl_description = "Click the corners of a polygon around splats; Enter closes it"
    bl_icon = "ops.sculpt.polyline_trim"
    bl_keymap = (*_by_mouse("select_outline", "PRESS", ("shape", "POLYGON"), ("from_tool", True)), *_SHARED)
    draw_settings = BoxTool.draw_settings


class BrushTool(SelectTool):
    bl_idname = "splatwright.brush"
    bl_label = "Select Splats with a Brush"
    bl_description = "Paint over splats; [ and ] change the size of the brush"
    bl_icon = "ops.generic.select_circle"
    bl_keymap = (*_by_mouse("select_brush", "PRESS", ("from_tool", True)), *_SHARED)

    def draw_settings(context: Any, layout: Any, tool: Any) -> None:  # noqa: N805  Blender calls it so
        _draw_settings(context, layout, "brush_radius", "surface_only")

    def draw_cursor(context: Any, _tool: Any, place: Any) -> None:  # noqa: N805  Blender calls it so
        gesture_drawing.draw_brush(place, context.scene.splatwright.select.brush_radius)


class VolumeTool(SelectTool):
    bl_idname = "splatwright.volume"
    bl_label = "Select Splats by Volume"
    bl_description = "Click splats to put a box or a ball around them, shape it with G, S and R; Enter selects"
    bl_icon = "ops.mesh.primitive_sphere_add_gizmo"
    bl_keymap = (
        _key("place_volume", "LEFTMOUSE"),
        *(
            _key("select_volume", "RET", "PRESS", properties=(("mode", mode),), **held)
            for mode, held in (*_MODES, _BOTH)
        ),
        *_SHARED,
    )

    def draw_settings(context: Any, layout: Any, tool: Any) -> None:  # noqa: N805  Blender calls it so
        layout.prop(context.scene.splatwright.select, "volume", expand=True)
        layout.operator("splatwright.select_volume", text="Select")
        _draw_settings(context, layout)


class FloodTool(SelectTool):
    bl_idname = "splatwright.flood"
    bl_label = "Flood Select Splats"
    bl_description = "Click splats to select all that hangs together with them and has their color"
    bl_icon = "ops.paint.weight_fill"
    bl_cursor = "PAINT_CROSS"
    bl_keymap = (
        _key("select_flood", "LEFTMOUSE"),
        _key("select_flood", "LEFTMOUSE", properties=(("add", True),), shift=True),
        *_SHARED,
    )

    def draw_settings(context: Any, layout: Any, tool: Any) -> None:  # noqa: N805  Blender calls it so
        _draw_settings(context, layout, "tolerance")


class ColorTool(SelectTool):
    bl_idname = "splatwright.color"
    bl_label = "Select Splats by Color"
    bl_description = "Click a splat to select all of about its color"
    bl_icon = "ops.sculpt.mask_by_color"
    bl_cursor = "EYEDROPPER"
    bl_keymap = (*_by_mouse("pick_color", "PRESS"), *_SHARED)

    def draw_settings(context: Any, layout: Any, tool: Any) -> None:  # noqa: N805  Blender calls it so
        _draw_settings(context, layout, "color", "tolerance")


class PointTool(SelectTool):
    bl_idname = "splatwright.point"
    bl_label = "Pick Points on Splats"
    bl_description = "Click places on splats, by which axes, ground and scale are set"
    bl_icon = "ops.paint.eyedropper_add"
    bl_cursor = "EYEDROPPER"
    bl_keymap = (_key("pick_point", "LEFTMOUSE"), _key("clear_points", "BACK_SPACE"))

    def draw_settings(context: Any, layout: Any, tool: Any) -> None:  # noqa: N805  Blender calls it so
        splats = active_splats(context)
        count = 0 if splats is None else len(splats.splatwright.picked)
        layout.label(text=f"{count} points picked; Backspace clears them")


TOOLS: tuple[type[SelectTool], ...] = (
    BoxTool,
    LassoTool,
    PolygonTool,
    BrushTool,
    VolumeTool,
    FloodTool,
    ColorTool,
    PointTool,
)


def register() -> None:
    before: type[SelectTool] | None = None
    for tool in TOOLS:
        bpy.utils.register_tool(
            tool,
            after=None if before is None else {before.bl_idname},
            separator=before is None,
            group=before is None,
        )
        before = tool


def unregister() -> None:
    for tool in reversed(TOOLS):
        bpy.utils.unregister_tool(tool)
