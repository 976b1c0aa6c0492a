# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Edits that have a key or a button of their own: of the selected splats only, and joining objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import bpy
import numpy as np
from bpy_extras.io_utils import ExportHelper

from ..core import wording
from ..core.camera import as_matrix
from ..host import current, objects, properties, regions
from ..protocol import errors, things
from . import asking, operators_methods
from .chosen_splats import active_splats, can_choose, can_work_on, chosen_splats, object_called
from .operators_select import SplatsOperator, refuse_none_selected
from .outgoing import outgoing


class SPLATWRIGHT_OT_edit_selected(SplatsOperator, bpy.types.Operator):
    bl_idname = "splatwright.edit_selected"
    bl_label = "Edit Selected Splats"
    bl_description = "Edit the selected splats; when none is, nothing happens"

    method: bpy.props.StringProperty(name="Method", description="The edit's name, such as delete", default="delete")  # type: ignore[valid-type]
    settings: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Settings", description='Of the method, over those of the scene, such as {"what": "others"}'
    )

    @classmethod
    def description(cls, context: Any, operator_properties: Any) -> str:
        method = properties.method_called(operator_properties.method)
        return cls.bl_description if method is None else method.help.removesuffix(".")

    def act(self, context: Any, splats: Any) -> None:
        refuse_none_selected(splats)
        method = properties.method_called(self.method)
        if method is None or method.category != "editing":
            known = ", ".join(m.id for m in properties.methods_of("editing"))
            raise errors.UserError("bad_input", f"There is no edit '{self.method}'.", f"There are: {known}.")
        settings = wording.settings_from_text(self.settings)
        if ended := operators_methods.begin(context.scene, method, splats, {}, settings=settings):
            self.report({"INFO"}, f"{method.label}: {ended}")


class SPLATWRIGHT_OT_join(SplatsOperator, bpy.types.Operator):
    bl_idname = "splatwright.join"
    bl_label = "Join Splats"
    bl_description = "Take the splats of the other selected objects into the active one, where they stand"

    others: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Others", description="Names of the other objects, one a line; empty: the selected ones"
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not can_work_on(cls, context):
            return False
        if current.is_interactive() and sum(objects.is_splats(item) for item in context.selected_objects) < 2:
            cls.poll_message_set("Select other splat objects, too")
            return False
        return True

    def act(self, context: Any, splats: Any) -> None:
        named = [object_called(name) for name in self.others.splitlines()]
        others = [item for item in named or context.selected_objects if objects.is_splats(item) and item != splats]
        if not others:
            raise errors.UserError("bad_input", "There are no other splats to join with.", "Select two objects.")
        for other in others:
            operators_methods.refuse_busy(other)
        depsgraph = context.evaluated_depsgraph_get()
        asset_from_world = regions.asset_from_world(splats, depsgraph)
        placed = tuple(
            things.PlacedAsset(
                asset=other.splatwright.asset,
                version=other.splatwright.version,
                asset_from_other=_matrix(asset_from_world @ np.array(other.evaluated_get(depsgraph).matrix_world)),
            )
            for other in others
        )
        names = [other.name for other in others]
        method = properties.method_called("join")
        assert method is not None
        if ended := operators_methods.begin(
            context.scene, method, splats, {"others": placed, "selection": ""}, together=lambda: _remove(names)
        ):
            self.report({"INFO"}, f"{method.label}: {ended}")


def _matrix(matrix: Any) -> things.Matrix:
    return cast(things.Matrix, as_matrix(np.asarray(matrix, np.float64)))


def _remove(names: list[str]) -> None:
    """The objects are gone; their assets stay, and undo brings both back."""
    for name in names:
        item = bpy.data.objects.get(name)
        if item is not None:
            bpy.data.objects.remove(item)


class SPLATWRIGHT_OT_save_recipe(bpy.types.Operator, ExportHelper):
    bl_idname = "splatwright.save_recipe"
    bl_label = "Save Recipe"
    bl_description = (
        "Write the edits that made these splats, with what was selected, to a file; splatwright edit --recipe "
        "does them again to other splats"
    )
    bl_options = {"REGISTER"}

    filename_ext = ".json"
    filepath: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="File Path", description="The file that is written", maxlen=1024, subtype="FILE_PATH"
    )
    filter_glob: bpy.props.StringProperty(default="*.json", options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]
    object: bpy.props.StringProperty(name="Splats", description="The splat object; empty: the active one")  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: Any) -> bool:
        return asking.can_ask(cls) and can_choose(cls, context)

    def invoke(self, context: Any, event: Any) -> set[Any]:
        splats = active_splats(context)
        if splats is not None and not self.filepath:
            self.filepath = bpy.path.clean_name(splats.name) + ".recipe.json"
        return super().invoke(context, event)

    def execute(self, context: Any) -> set[Any]:
        return asking.attempt(self, lambda: self._save(context))

    def _save(self, context: Any) -> None:
        splats, path = chosen_splats(self.object, context), Path(bpy.path.abspath(self.filepath))
        leaving = outgoing(splats, path, context.evaluated_depsgraph_get(), as_placed=False)
        asking.ask(leaving.write, lambda _: current.say(f"Wrote '{path}'"))


CLASSES = (SPLATWRIGHT_OT_edit_selected, SPLATWRIGHT_OT_join, SPLATWRIGHT_OT_save_recipe)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
