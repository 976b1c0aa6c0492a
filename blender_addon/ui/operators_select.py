# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Selects splats by what can be said without a mouse: all, a color, a range, a volume, a mesh, neighbours, a name."""

from __future__ import annotations

from typing import Any

import bpy

from ..core.selecting import Shown, selected_of
from ..host import regions, selections
from ..protocol import errors, selecting
from . import asking
from .chosen_splats import can_work_on, chosen_splats, object_called
from .operators_methods import refuse_busy

MODES = [
    ("SET", "Set", "Select these instead of those that are selected", "SELECT_SET", 0),
    ("ADD", "Extend", "Select these, too", "SELECT_EXTEND", 1),
    ("SUBTRACT", "Subtract", "Select these no more", "SELECT_SUBTRACT", 2),
    ("INTERSECT", "Intersect", "Of those that are selected keep only these", "SELECT_INTERSECT", 3),
]
UNDO_LABEL = "Select Splats"
_MODES: dict[str, selecting.Mode] = {"SET": "set", "ADD": "add", "SUBTRACT": "subtract", "INTERSECT": "intersect"}


class SplatsOperator:
    """What has splats to work on: those that are given by name, or the active ones. They must not be written now."""

    bl_options = {"REGISTER"}  # the backend answers later in a window, and the step of undo is made then

    object: bpy.props.StringProperty(name="Splats", description="The splat object; empty: the active one")  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: Any) -> bool:
        return can_work_on(cls, context)

    def execute(self, context: Any) -> set[Any]:
        return asking.attempt(self, lambda: self.act(context, self.splats(context)))  # type: ignore[arg-type]

    def splats(self, context: Any) -> Any:
        splats = chosen_splats(self.object, context)
        refuse_busy(splats)
        if not splats.splatwright.version:
            raise errors.UserError("refused", f"'{splats.name}' shows no splats yet.", "Wait until it does.")
        return splats

    def act(self, context: Any, splats: Any) -> None:
        raise NotImplementedError

    def change(self, wanted: selections.Change) -> None:
        """Without a window the operator says what came of it."""
        info = selections.change(wanted)
        if info is not None:
            self.report({"INFO"}, selected_of(info))  # type: ignore[attr-defined]


def mode_called(word: str) -> selecting.Mode:
    """By the word that `MODES` has for it."""
    return _MODES[word]


class SelectOperator(SplatsOperator):
    """What selects: it says by what, and `mode` says what becomes of those that are selected already."""

    mode: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Mode", description="What becomes of the splats that are selected already", items=MODES, default="SET"
    )

    def act(self, context: Any, splats: Any) -> None:
        self.change(self.wanted(context, splats))

    def wanted(self, context: Any, splats: Any) -> selections.Change:
        by, mode = self.selector(context, splats), mode_called(self.mode)
        return selections.Change(splats.name, lambda now: now.select(by, mode), Shown.with_selected, UNDO_LABEL)

    def selector(self, context: Any, splats: Any) -> selecting.Selector:
        raise NotImplementedError


class SPLATWRIGHT_OT_select_all(SplatsOperator, bpy.types.Operator):
    bl_idname = "splatwright.select_all"
    bl_label = "Select All Splats"
    bl_description = "Select all splats of the object, none, or the others"

    action: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Action",
        items=[
            ("SELECT", "Select", "Select all", "NONE", 0),
            ("DESELECT", "Deselect", "Select none", "NONE", 1),
            ("INVERT", "Invert", "Select those that are not selected", "NONE", 2),
        ],
        default="SELECT",
    )

    def act(self, context: Any, splats: Any) -> None:
        if self.action == "DESELECT":
            selections.show(splats, selections.shown(splats).with_none_selected(), UNDO_LABEL)
            return
        by = selecting.Everything() if self.action == "SELECT" else selecting.Inverted()
        self.change(selections.Change(splats.name, lambda now: now.select(by), Shown.with_selected, UNDO_LABEL))


class SPLATWRIGHT_OT_select_color(SelectOperator, bpy.types.Operator):
    bl_idname = "splatwright.select_color"
    bl_label = "Select by Color"
    bl_description = "Select splats of about this color"

    color: bpy.props.FloatVectorProperty(  # type: ignore[valid-type]
        name="Color", description="sRGB, 0 to 1", size=3, subtype="COLOR_GAMMA", min=0, max=1
    )
    tolerance: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Tolerance", description="How far a splat's color may be from it, 0 to 1", default=0.1, min=0, max=1
    )

    def selector(self, context: Any, splats: Any) -> selecting.Selector:
        red, green, blue = self.color
        return selecting.OfColor(rgb=(red, green, blue), tolerance=self.tolerance)


class SPLATWRIGHT_OT_select_range(SelectOperator, bpy.types.Operator):
    bl_idname = "splatwright.select_range"
    bl_label = "Select by Range"
    bl_description = "Select splats of which something lies between two values"

    attribute: bpy.props.StringProperty(name="Attribute", description="Such as opacity or size", default="opacity")  # type: ignore[valid-type]
    low: bpy.props.FloatProperty(name="From", description="The lowest value")  # type: ignore[valid-type]
    high: bpy.props.FloatProperty(name="To", description="The highest value", default=1)  # type: ignore[valid-type]

    def selector(self, context: Any, splats: Any) -> selecting.Selector:
        return selecting.InRange(attribute=self.attribute, low=self.low, high=self.high)


class SPLATWRIGHT_OT_select_box(SelectOperator, bpy.types.Operator):
    bl_idname = "splatwright.select_box"
    bl_label = "Select in Box"
    bl_description = "Select splats within the box around an object"

    box: bpy.props.StringProperty(name="Box", description="An object; empty: the scene's choice")  # type: ignore[valid-type]

    def selector(self, context: Any, splats: Any) -> selecting.Selector:
        return selecting.InBox(asset_from_box=_volume(context, splats, self.box))


class SPLATWRIGHT_OT_select_sphere(SelectOperator, bpy.types.Operator):
    bl_idname = "splatwright.select_sphere"
    bl_label = "Select in Sphere"
    bl_description = "Select splats within the ball, or ellipsoid, that fits into the box around an object"

    sphere: bpy.props.StringProperty(name="Sphere", description="An object; empty: the scene's choice")  # type: ignore[valid-type]

    def selector(self, context: Any, splats: Any) -> selecting.Selector:
        return selecting.InSphere(asset_from_sphere=_volume(context, splats, self.sphere))


class SPLATWRIGHT_OT_select_mesh(SelectOperator, bpy.types.Operator):
    bl_idname = "splatwright.select_mesh"
    bl_label = "Select in Mesh"
    bl_description = "Select splats inside a closed mesh, or outside of it"

    mesh: bpy.props.StringProperty(name="Mesh", description="An object; empty: the scene's choice")  # type: ignore[valid-type]
    outside: bpy.props.BoolProperty(name="Outside", description="Those outside")  # type: ignore[valid-type]

    def selector(self, context: Any, splats: Any) -> selecting.Selector:
        found = regions.mesh_of(splats, region(context, self.mesh), at_rest=False)
        return selecting.InMesh(vertices=found.vertices, faces=found.faces, outside=self.outside)


def region(context: Any, name: str) -> bpy.types.Object:
    """An object by its name; "" = the scene's choice. Raises UserError when there is none."""
    found = object_called(name) if name else context.scene.splatwright.box
    if found is None:
        raise errors.UserError(
            "bad_input", "No object around the region is chosen.", "Choose one, such as a cube or an Empty."
        )
    return found


def _volume(context: Any, splats: Any, name: str) -> Any:
    return regions.asset_from_box(splats, region(context, name), context.evaluated_depsgraph_get())


def refuse_none_selected(splats: Any) -> None:
    if not splats.splatwright.selection:
        raise errors.UserError("bad_input", f"No splats of '{splats.name}' are selected.", "Select some first.")


class SPLATWRIGHT_OT_hide_selected(SplatsOperator, bpy.types.Operator):
    bl_idname = "splatwright.hide_selected"
    bl_label = "Hide Splats"
    bl_description = "Leave the selected splats out of the viewport and of renders, until they are revealed"

    unselected: bpy.props.BoolProperty(name="Unselected", description="Hide those that are not selected instead")  # type: ignore[valid-type]

    def act(self, context: Any, splats: Any) -> None:
        refuse_none_selected(splats)
        unselected = self.unselected

        selections.change(
            selections.Change(
                splats.name,
                lambda now: now.hide(unselected=unselected),
                lambda now, info: now.with_hidden(info, unselected=unselected),
                self.bl_label,
            )
        )


class SPLATWRIGHT_OT_reveal(SplatsOperator, bpy.types.Operator):
    bl_idname = "splatwright.reveal"
    bl_label = "Reveal Splats"
    bl_description = "Show the hidden splats again"

    select: bpy.props.BoolProperty(name="Select", description="Select what is revealed", default=True)  # type: ignore[valid-type]

    def act(self, context: Any, splats: Any) -> None:
        now = selections.shown(splats)
        if not now.hidden:
            raise errors.UserError("bad_input", f"No splats of '{splats.name}' are hidden.", "There is nothing to do.")
        selections.show(splats, now.revealed(select=self.select), self.bl_label)


CLASSES: tuple[type[Any], ...] = (
    SPLATWRIGHT_OT_select_all,
    SPLATWRIGHT_OT_select_color,
    SPLATWRIGHT_OT_select_range,
    SPLATWRIGHT_OT_select_box,
    SPLATWRIGHT_OT_select_sphere,
    SPLATWRIGHT_OT_select_mesh,
    SPLATWRIGHT_OT_hide_selected,
    SPLATWRIGHT_OT_reveal,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
