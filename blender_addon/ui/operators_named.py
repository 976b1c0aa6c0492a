# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Selections with a name: kept with the splats, found again, forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

from ..host import named_selections
from ..protocol import errors, selecting
from . import asking
from .operators_select import SelectOperator, SplatsOperator, refuse_none_selected

if TYPE_CHECKING:
    from ..protocol import remote


class SPLATWRIGHT_OT_name_selection(SplatsOperator, bpy.types.Operator):
    bl_idname = "splatwright.name_selection"
    bl_label = "Keep Selection"
    bl_description = "Keep the selected splats under a name, which follows them through edits"

    name: bpy.props.StringProperty(name="Name", description="Of the set; empty: the panel's")  # type: ignore[valid-type]

    def act(self, context: Any, splats: Any) -> None:
        refuse_none_selected(splats)
        name = self.name or context.scene.splatwright.select.set_name
        if not name:
            raise errors.UserError("bad_input", "The selection has no name.", "Give one in the panel Select.")
        _name(splats, name, splats.splatwright.selection)


class SPLATWRIGHT_OT_forget_selection(SplatsOperator, bpy.types.Operator):
    bl_idname = "splatwright.forget_selection"
    bl_label = "Forget Named Selection"
    bl_description = "Forget this name; no splats are lost"

    name: bpy.props.StringProperty(name="Name", description="Of the set")  # type: ignore[valid-type]

    def act(self, context: Any, splats: Any) -> None:
        _name(splats, self.name, "")


class SPLATWRIGHT_OT_select_named(SelectOperator, bpy.types.Operator):
    bl_idname = "splatwright.select_named"
    bl_label = "Select Named Splats"
    bl_description = "Select the splats that were kept under this name"

    name: bpy.props.StringProperty(name="Name", description="Of the set")  # type: ignore[valid-type]

    def selector(self, context: Any, splats: Any) -> selecting.Selector:
        if not self.name:
            raise errors.UserError("bad_input", "No name is given.", "Choose a set in the panel Select.")
        return selecting.Named(name=self.name)


def _name(splats: Any, name: str, selection: str) -> None:
    asset, version = splats.splatwright.asset, splats.splatwright.version
    wish = selecting.NameSelection(asset=asset, version=version, name=name, selection=selection)

    def say(backend: remote.Backend) -> selecting.NamedSelections:
        return backend.request(wish, selecting.NamedSelections)

    asking.ask(say, named_selections.learn)


CLASSES: tuple[type[Any], ...] = (
    SPLATWRIGHT_OT_name_selection,
    SPLATWRIGHT_OT_forget_selection,
    SPLATWRIGHT_OT_select_named,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
