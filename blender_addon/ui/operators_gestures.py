# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Selects splats by what is drawn over a view: with the mouse, or from a script with the places of the line."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ..core import gestures
from ..core.camera import as_matrix
from ..core.gestures import Gesture, Shape
from ..core.selecting import Shown, selected_of
from ..host import cameras, gesture_drawing, selections
from ..protocol import errors, selecting, things
from .chosen_splats import object_called
from .operators_select import UNDO_LABEL, SelectOperator, mode_called

_NAVIGATION = frozenset(
    {
        *("MIDDLEMOUSE", "WHEELUPMOUSE", "WHEELDOWNMOUSE", "WHEELINMOUSE", "WHEELOUTMOUSE"),
        *("TRACKPADPAN", "TRACKPADZOOM", "MOUSEROTATE", "NDOF_MOTION"),
        *(f"NUMPAD_{number}" for number in range(10)),
        "NUMPAD_PERIOD",
    }
)
_LARGER = ("RIGHT_BRACKET", "NUMPAD_PLUS")
_SMALLER = ("LEFT_BRACKET", "NUMPAD_MINUS")
_HELP: dict[Shape, str] = {
    "box": "Drag a box   |   Shift: extend, Ctrl: subtract, both: intersect   |   Esc, right click: cancel",
    "lasso": "Draw around splats   |   Shift: extend, Ctrl: subtract, both: intersect   |   Esc: cancel",
    "polygon": (
        "Click the corners   |   Enter, double click, first corner: select   |   Backspace: one back   |   "
        "Esc, right click: cancel"
    ),
    "brush": "Paint over splats   |   Ctrl: subtract   |   [ and ]: size   |   Enter, Esc, right click: end",
}


class SeenFrom:
    """What selects by what is seen: in the 3D view, or through a camera."""

    camera: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Camera",
        description="The places are pixels of the picture that F12 makes of this camera; empty: of the 3D view",
        options={"SKIP_SAVE"},
    )

    def view(self, context: Any, splats: Any) -> tuple[things.ViewCamera, things.Matrix]:
        """The camera, and where the splats stand. Raises UserError when there is none."""
        depsgraph = context.evaluated_depsgraph_get()
        world = as_matrix(np.array(splats.evaluated_get(depsgraph).matrix_world, np.float64))
        if self.camera:
            return cameras.view_camera_of_scene(context.scene, object_called(self.camera), depsgraph), world
        found = view_of(context)
        if found is None:
            raise errors.UserError("bad_input", "There is no 3D view to look from.", "Give a camera's name.")
        return cameras.view_camera_of_region(*found), world

    def in_picture(self, places: Iterable[tuple[float, float]], height: int) -> Any:
        """Places from the lower left corner as pixels of the camera's picture, [P, 2]. Raises UserError."""
        found = tuple((float(x), float(y)) for x, y in places)
        if not all(math.isfinite(value) for place in found for value in place):
            raise errors.UserError("bad_input", "The path has places that are no numbers.", "Give finite ones.")
        return gestures.in_picture(found, height)


class DrawnOperator(SeenFrom, SelectOperator):
    """What selects by a line over a view. A script gives the line; an artist draws it."""

    path: bpy.props.CollectionProperty(  # type: ignore[valid-type]
        name="Path",
        description="Places in pixels of the view, from its lower left corner",
        type=bpy.types.OperatorMousePath,
        options={"SKIP_SAVE"},
    )
    surface_only: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Surface Only", description="Only splats that are seen, not what lies behind them"
    )
    from_tool: bpy.props.BoolProperty(options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    def shape_drawn(self) -> Shape:
        raise NotImplementedError

    # ---- drawn with the mouse

    def invoke(self, context: Any, event: Any) -> set[Any]:
        found = view_of(context)
        if found is None:
            self.report({"ERROR"}, "This can only be drawn over a 3D view.")
            return {"CANCELLED"}
        chosen = context.scene.splatwright.select
        if self.from_tool or not self.properties.is_property_set("surface_only"):
            self.surface_only = chosen.surface_only
        shape = self.shape_drawn()
        self._button = event.type if event.type in ("LEFTMOUSE", "RIGHTMOUSE") else "LEFTMOUSE"
        self._area, self._region = context.area, found[0]
        place = place_in(self._region, event)
        self._gesture = Gesture(shape, cursor=place, radius=float(chosen.brush_radius))
        self._begun_by_key = event.type != self._button
        if not self._begun_by_key:
            start = place
            if event.value == "CLICK_DRAG":
                start = event.mouse_prev_press_x - self._region.x, event.mouse_prev_press_y - self._region.y
            self._gesture = self._gesture.pressed(start).moved(place)
        self._stroke = None
        context.window_manager.modal_handler_add(self)
        context.window.cursor_modal_set("CROSSHAIR")
        context.workspace.status_text_set(_HELP[shape])
        self._tell_count(context)
        gesture_drawing.show(self._region, self._gesture)
        return {"RUNNING_MODAL"}

    def modal(self, context: Any, event: Any) -> set[Any]:
        if self._ends(event):
            return self._end(context, {"CANCELLED"})
        before = self._gesture
        if not self._draw(context, event):
            may_pass = event.type in _NAVIGATION and not before.is_down and not before.points
            return {"PASS_THROUGH" if may_pass else "RUNNING_MODAL"}
        if self._gesture.is_done:
            finished = self._finish(context)
            if not self._begun_by_key or self._gesture.shape != "brush":
                return self._end(context, finished)
            # A brush that was taken up by a key stays in the hand.
            self._gesture = Gesture("brush", cursor=self._gesture.cursor, radius=self._gesture.radius)
        self.preview(context, self._gesture)
        self._tell_count(context)
        gesture_drawing.show(self._region, self._gesture)
        return {"RUNNING_MODAL"}

    def preview(self, context: Any, gesture: Gesture) -> None:
        """Shows what would be selected, while it is being drawn."""

    def cancel(self, context: Any) -> None:
        """Blender ends it, as when a file is opened."""
        gesture_drawing.hide()

    def _ends(self, event: Any) -> bool:
        if event.value != "PRESS":
            return False
        is_other_button = event.type == "RIGHTMOUSE" and self._button != "RIGHTMOUSE"
        puts_brush_down = event.type in ("RET", "NUMPAD_ENTER") and self._gesture.shape == "brush"
        return event.type == "ESC" or is_other_button or puts_brush_down

    def _draw(self, context: Any, event: Any) -> bool:
        """Whether the event was for what is drawn."""
        gesture, place = self._gesture, place_in(self._region, event)
        if event.type in ("MOUSEMOVE", "INBETWEEN_MOUSEMOVE"):
            self._gesture = gesture.moved(place)
        elif event.type == self._button and event.value == "DOUBLE_CLICK" and gesture.shape == "polygon":
            self._gesture = gesture.closed()
        elif event.type == self._button and event.value in ("PRESS", "CLICK_DRAG", "DOUBLE_CLICK"):
            if self._begun_by_key and not gesture.points:
                self.mode = _mode_of(event, gesture.shape)
            self._gesture = gesture.pressed(place)
        elif event.type == self._button and event.value == "RELEASE":
            self._gesture = gesture.released(place)
        elif event.value != "PRESS":
            return False
        elif event.type in ("RET", "NUMPAD_ENTER"):
            self._gesture = gesture.closed()
        elif event.type == "BACK_SPACE":
            self._gesture = gesture.without_last()
        elif gesture.shape == "brush" and event.type in _LARGER + _SMALLER:
            self._gesture = gesture.resized(larger=event.type in _LARGER)
            context.scene.splatwright.select.brush_radius = int(self._gesture.radius)
        else:
            return False
        return True

    def _finish(self, context: Any) -> set[Any]:
        """What was drawn is what a script would have given."""
        gesture = self._gesture
        if gesture.is_empty:
            return {"CANCELLED"}
        self.path.clear()
        for place in gesture.outline:
            self.path.add().loc = place
        self.take_over(gesture)
        return self.execute(context)

    def take_over(self, gesture: Gesture) -> None:
        """What the shape has besides its path."""

    def take_back(self, context: Any) -> None:
        """What was shown meanwhile, and not finished."""

    def _end(self, context: Any, result: set[Any]) -> set[Any]:
        self.take_back(context)
        gesture_drawing.hide()
        context.window.cursor_modal_restore()
        context.workspace.status_text_set(None)
        self._area.header_text_set(None)
        self._region.tag_redraw()
        return result

    def _tell_count(self, context: Any) -> None:
        splats = self.splats(context) if self.poll(context) else None
        info = selections.counted(splats) if splats is not None else None
        self._area.header_text_set(selected_of(info) if info else "No splats selected")


class SPLATWRIGHT_OT_select_outline(DrawnOperator, bpy.types.Operator):
    bl_idname = "splatwright.select_outline"
    bl_label = "Select in Outline"
    bl_description = "Select splats within a box, a lasso or a polygon that is drawn over the view"

    shape: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Shape",
        description="How it is drawn; a path that is given is closed at its end",
        items=[("BOX", "Box", "", "NONE", 0), ("LASSO", "Lasso", "", "NONE", 1), ("POLYGON", "Polygon", "", "NONE", 2)],
        default="LASSO",
    )

    def shape_drawn(self) -> Shape:
        return self.shape.lower()

    def selector(self, context: Any, splats: Any) -> selecting.Selector:
        if len(self.path) < 3:
            raise errors.UserError("bad_input", "An outline needs three corners.", "Give more places of its path.")
        camera, world = self.view(context, splats)
        return selecting.InOutline(
            camera=camera,
            world_from_object=world,
            points=self.in_picture((place.loc for place in self.path), camera.height),
            surface_only=self.surface_only,
        )


@dataclass
class _Stroke:
    """What a stroke of the brush has shown so far."""

    object: str
    before: Shown
    shown: int = 0  # of the stroke's places


class SPLATWRIGHT_OT_select_brush(DrawnOperator, bpy.types.Operator):
    bl_idname = "splatwright.select_brush"
    bl_label = "Select with Brush"
    bl_description = "Select splats under a brush that is drawn over the view"

    radius: bpy.props.FloatProperty(name="Radius", description="In pixels", default=30, min=1, subtype="PIXEL")  # type: ignore[valid-type]

    def shape_drawn(self) -> Shape:
        return "brush"

    def take_over(self, gesture: Gesture) -> None:
        self.radius = gesture.radius

    def preview(self, context: Any, gesture: Gesture) -> None:
        """What lies under the stroke so far is tinted, piece by piece, as fast as the backend answers."""
        if not gesture.is_down or self.mode == "INTERSECT" or selections.is_busy() or not self.poll(context):
            return
        splats = self.splats(context)
        if self._stroke is None:
            self._stroke = _Stroke(splats.name, selections.shown(splats))
        fresh = gesture.points[max(self._stroke.shown - 1, 0) :]
        if len(gesture.points) <= self._stroke.shown:
            return
        is_first, self._stroke.shown = self._stroke.shown == 0, len(gesture.points)
        mode = mode_called(self.mode) if is_first or self.mode != "SET" else "add"
        by = self._under(context, splats, fresh, gesture.radius)
        selections.change(selections.Change(splats.name, lambda now: now.select(by, mode), Shown.with_selected, ""))

    def take_back(self, context: Any) -> None:
        stroke, self._stroke = self._stroke, None
        splats = bpy.data.objects.get(stroke.object) if stroke is not None else None
        if stroke is not None and splats is not None:
            selections.take_back(splats, stroke.before)

    def act(self, context: Any, splats: Any) -> None:
        """The whole stroke is one change of what was selected before it."""
        stroke, self._stroke = getattr(self, "_stroke", None), None
        if stroke is None:
            super().act(context, splats)
            return
        by, mode, before = self.selector(context, splats), mode_called(self.mode), stroke.before
        self.change(
            selections.Change(splats.name, lambda now: before.select(by, mode), Shown.with_selected, UNDO_LABEL)
        )

    def selector(self, context: Any, splats: Any) -> selecting.Selector:
        if not self.path:
            raise errors.UserError("bad_input", "The brush has been nowhere.", "Give places of its path.")
        return self._under(context, splats, [tuple(place.loc) for place in self.path], self.radius)

    def _under(self, context: Any, splats: Any, places: Iterable[Any], radius: float) -> selecting.UnderBrush:
        camera, world = self.view(context, splats)
        return selecting.UnderBrush(
            camera=camera,
            world_from_object=world,
            path=self.in_picture(places, camera.height),
            radius_px=radius,
            surface_only=self.surface_only,
        )


class SPLATWRIGHT_OT_brush_size(bpy.types.Operator):
    bl_idname = "splatwright.brush_size"
    bl_label = "Brush Size"
    bl_description = "Make the brush that selects splats larger or smaller"
    bl_options = {"INTERNAL"}

    larger: bpy.props.BoolProperty(name="Larger", description="Larger, else smaller", default=True)  # type: ignore[valid-type]

    def execute(self, context: Any) -> set[Any]:
        chosen = context.scene.splatwright.select
        chosen.brush_radius = int(gestures.resized(chosen.brush_radius, larger=self.larger))
        if context.area is not None:
            context.area.tag_redraw()
        return {"FINISHED"}


def view_of(context: Any) -> tuple[bpy.types.Region, bpy.types.RegionView3D] | None:
    """The 3D view that is meant: the one that the mouse is in, or for a button of the sidebar the one beside it."""
    region, area = context.region, context.area
    if region is not None and isinstance(context.region_data, bpy.types.RegionView3D) and region.type == "WINDOW":
        return region, context.region_data
    if area is None or area.type != "VIEW_3D":
        return None
    beside = next(region for region in area.regions if region.type == "WINDOW")
    return beside, area.spaces.active.region_3d


def place_in(region: bpy.types.Region, event: Any) -> gestures.Point:
    """Where the mouse is, in pixels of a region from its lower left corner."""
    return float(event.mouse_x - region.x), float(event.mouse_y - region.y)


def _mode_of(event: Any, shape: Shape) -> str:
    """Blender's own custom. A brush that stays in the hand adds, stroke after stroke."""
    if event.shift and event.ctrl:
        return "INTERSECT"
    if event.ctrl:
        return "SUBTRACT"
    return "ADD" if event.shift or shape == "brush" else "SET"


CLASSES: tuple[type[Any], ...] = (
    SPLATWRIGHT_OT_select_outline,
    SPLATWRIGHT_OT_select_brush,
    SPLATWRIGHT_OT_brush_size,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    gesture_drawing.hide()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
