# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Selects splats by what lies beside them: floods, rims, islands in the air; and by a view that they add to."""

from __future__ import annotations

from typing import Any

import bpy

from ..core.selecting import Shown
from ..host import selections
from ..protocol import selecting
from .operators_gestures import SeenFrom, place_in, view_of
from .operators_prepare import change_by_neighbours
from .operators_select import UNDO_LABEL, SelectOperator, SplatsOperator, refuse_none_selected

_USUAL = "units of the splats' own frame; 0: a few times the usual distance"


class SPLATWRIGHT_OT_select_grow(SplatsOperator, bpy.types.Operator):
    bl_idname = "splatwright.select_grow"
    bl_label = "Grow Selection"
    bl_description = "Select the neighbours of the selected splats, too, or leave out those at the rim"

    steps: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Steps", description="Below 0: the selection shrinks", default=1, min=-50, max=50
    )

    def act(self, context: Any, splats: Any) -> None:
        refuse_none_selected(splats)
        by = selecting.Grown(steps=self.steps)
        wanted = selections.Change(splats.name, lambda now: now.select(by), Shown.with_selected, UNDO_LABEL)
        change_by_neighbours(self, splats, wanted)


class SPLATWRIGHT_OT_select_linked(SplatsOperator, bpy.types.Operator):
    bl_idname = "splatwright.select_linked"
    bl_label = "Select Linked Splats"
    bl_description = "Select all that hangs together with the selected splats"

    distance: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Distance", description=f"How far apart neighbours may lie, in {_USUAL}", min=0
    )
    by_color: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Of the Same Color", description="Only splats of about the color of those that are selected"
    )
    tolerance: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Tolerance", description="How far a splat's color may be from theirs, 0 to 1", default=0.1, min=0, max=1
    )

    def act(self, context: Any, splats: Any) -> None:
        refuse_none_selected(splats)
        by = self.selector()
        wanted = selections.Change(splats.name, lambda now: now.select(by), Shown.with_selected, UNDO_LABEL)
        change_by_neighbours(self, splats, wanted)

    def selector(self) -> selecting.Connected:
        tolerance = self.tolerance if self.by_color else None
        return selecting.Connected(distance=self.distance, color_tolerance=tolerance)


class SPLATWRIGHT_OT_select_flood(SeenFrom, SplatsOperator, bpy.types.Operator):
    bl_idname = "splatwright.select_flood"
    bl_label = "Flood Select"
    bl_description = "Select all that hangs together with the splats at a place of the view, and has their color"

    x: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="X", description="Pixels of the view, from its left", options={"SKIP_SAVE"}
    )
    y: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Y", description="Pixels of the view, from below", options={"SKIP_SAVE"}
    )
    radius: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Radius", description="Around the place, in pixels, where it begins", default=4, min=1
    )
    add: bpy.props.BoolProperty(name="Extend", description="What is selected stays so")  # type: ignore[valid-type]
    tolerance: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Tolerance", description="How far a splat's color may be from theirs, 0 to 1", default=0.1, min=0, max=1
    )

    def invoke(self, context: Any, event: Any) -> set[Any]:
        found = view_of(context)
        if found is not None:
            self.x, self.y = place_in(found[0], event)
        if not self.properties.is_property_set("tolerance"):
            self.tolerance = context.scene.splatwright.select.tolerance
        return self.execute(context)

    def act(self, context: Any, splats: Any) -> None:
        camera, world = self.view(context, splats)
        begin = selecting.UnderBrush(
            camera=camera,
            world_from_object=world,
            path=self.in_picture([(self.x, self.y)], camera.height),
            radius_px=self.radius,
            surface_only=True,
        )
        all_linked = selecting.Connected(color_tolerance=self.tolerance)
        name, before = splats.name, selections.shown(splats)
        # First the splats at the place, then what hangs together with them; only the whole of it is a step of undo.
        adds = self.add and before.selection

        def changed(by: selecting.Selector, mode: selecting.Mode, undo: str) -> selections.Change:
            return selections.Change(name, lambda now: now.select(by, mode), Shown.with_selected, undo)

        changes = [changed(begin, "set", ""), changed(all_linked, "set", "" if adds else UNDO_LABEL)]
        if adds:
            changes.append(changed(selecting.Stored(selection=before.selection), "add", UNDO_LABEL))
        change_by_neighbours(self, splats, *changes)


class SPLATWRIGHT_OT_select_floaters(SelectOperator, bpy.types.Operator):
    bl_idname = "splatwright.select_floaters"
    bl_label = "Select Floaters"
    bl_description = "Select splats that hang alone in the air, or with few others"

    most: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Most Together", description="Islands of no more splats than this are floaters", default=50, min=1
    )
    distance: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Distance", description=f"How far apart the splats of an island may lie, in {_USUAL}", min=0
    )

    def selector(self, context: Any, splats: Any) -> selecting.Selector:
        return selecting.Floaters(most=self.most, distance=self.distance)

    def act(self, context: Any, splats: Any) -> None:
        change_by_neighbours(self, splats, self.wanted(context, splats))


class SPLATWRIGHT_OT_select_contributing(SeenFrom, SelectOperator, bpy.types.Operator):
    bl_idname = "splatwright.select_contributing"
    bl_label = "Select What the View Shows"
    bl_description = "Select splats that add something to the view"

    at_least: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="At Least", description="As many pixels as a splat must fill, all its shares counted", default=0.5, min=0
    )

    def selector(self, context: Any, splats: Any) -> selecting.Selector:
        camera, world = self.view(context, splats)
        return selecting.Contributing(camera=camera, world_from_object=world, at_least=self.at_least)


CLASSES: tuple[type[Any], ...] = (
    SPLATWRIGHT_OT_select_grow,
    SPLATWRIGHT_OT_select_linked,
    SPLATWRIGHT_OT_select_flood,
    SPLATWRIGHT_OT_select_floaters,
    SPLATWRIGHT_OT_select_contributing,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
