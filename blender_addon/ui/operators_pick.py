# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""The eyedropper: a splat under the mouse gives its color, or its place as a point for axes, ground and scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import bpy

from ..core.selecting import Shown
from ..host import current, objects, selections
from ..protocol import errors, selecting
from . import asking
from .operators_gestures import SeenFrom, place_in, view_of
from .operators_select import MODES, UNDO_LABEL, SplatsOperator, mode_called

if TYPE_CHECKING:
    from ..protocol import remote


class PickOperator(SeenFrom, SplatsOperator):
    x: bpy.props.FloatProperty(name="X", description="Pixels of the view, from its left", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    y: bpy.props.FloatProperty(name="Y", description="Pixels of the view, from below", options={"SKIP_SAVE"})  # type: ignore[valid-type]

    def invoke(self, context: Any, event: Any) -> set[Any]:
        found = view_of(context)
        if found is not None:
            self.x, self.y = place_in(found[0], event)
        return self.execute(context)  # type: ignore[return-value]

    def pick(self, context: Any, splats: Any, then: Callable[[selecting.PickedSplat], None]) -> None:
        """then: is called with the splat, unless there is none at the place."""
        camera, world = self.view(context, splats)
        ((x, y),) = self.in_picture([(self.x, self.y)], camera.height).tolist()
        if not (0 <= x < camera.width and 0 <= y < camera.height):
            raise errors.UserError("bad_input", "The place lies outside of the view.", "Click on splats.")
        own = splats.splatwright
        wish = selecting.PickSplat(
            asset=own.asset,
            version=own.version,
            hidden=own.hidden,
            camera=camera,
            world_from_object=world,
            x=x,
            y=y,
        )

        def ask(backend: remote.Backend) -> selecting.PickedSplat:
            return backend.request(wish, selecting.PickedSplat)

        def picked(found: selecting.PickedSplat) -> None:
            if found.index < 0:
                raise errors.UserError("not_found", "There is no splat at this place.", "Click on splats.")
            then(found)

        asking.ask(ask, picked)


class SPLATWRIGHT_OT_pick_color(PickOperator, bpy.types.Operator):
    bl_idname = "splatwright.pick_color"
    bl_label = "Select Color Under Mouse"
    bl_description = "Select splats of about the color of the one at a place of the view"

    mode: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Mode", description="What becomes of the splats that are selected already", items=MODES, default="SET"
    )

    def act(self, context: Any, splats: Any) -> None:
        name, mode, scene = splats.name, mode_called(self.mode), context.scene

        def picked(found: selecting.PickedSplat) -> None:
            chosen = scene.splatwright.select
            chosen.color = found.color
            by = selecting.OfColor(rgb=found.color, tolerance=chosen.tolerance)
            selections.change(
                selections.Change(name, lambda now: now.select(by, mode), Shown.with_selected, UNDO_LABEL)
            )

        self.pick(context, splats, picked)


class SPLATWRIGHT_OT_pick_point(PickOperator, bpy.types.Operator):
    bl_idname = "splatwright.pick_point"
    bl_label = "Pick Point"
    bl_description = "Keep the place of the splat under the mouse, for setting axes, ground or scale"

    def act(self, context: Any, splats: Any) -> None:
        name = splats.name

        def picked(found: selecting.PickedSplat) -> None:
            bpy.data.objects[name].splatwright.picked.add().place = found.position
            current.redraw()
            objects.push_undo("Pick Point")

        self.pick(context, splats, picked)


class SPLATWRIGHT_OT_clear_points(SplatsOperator, bpy.types.Operator):
    bl_idname = "splatwright.clear_points"
    bl_label = "Clear Points"
    bl_description = "Forget the points that were picked"

    def act(self, context: Any, splats: Any) -> None:
        splats.splatwright.picked.clear()
        current.redraw()
        objects.push_undo("Clear Points")


CLASSES: tuple[type[Any], ...] = (
    SPLATWRIGHT_OT_pick_color,
    SPLATWRIGHT_OT_pick_point,
    SPLATWRIGHT_OT_clear_points,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
