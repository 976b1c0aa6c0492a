# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Which version of its asset an object shows, and objects of assets that the backend has."""

from __future__ import annotations

from typing import Any

import bpy

from ..core import wording
from ..core.selecting import Shown
from ..host import current, objects, selections, versions
from .chosen_splats import active_splats, in_object_mode


class SPLATWRIGHT_OT_show_version(bpy.types.Operator):
    bl_idname = "splatwright.show_version"
    bl_label = "Show Version"
    bl_description = "Show this version of the splats; nothing is lost, every version stays"
    bl_options = {"REGISTER", "UNDO"}

    version: bpy.props.StringProperty(name="Version", description="The version's id")
    object: bpy.props.StringProperty(name="Splats", description="The splat object; empty: the active one")

    @classmethod
    def poll(cls, context: Any) -> bool:
        return in_object_mode(cls, context)

    def execute(self, context: Any) -> set[Any]:
        splats: Any = bpy.data.objects.get(self.object) if self.object else active_splats(context)
        if splats is None or not objects.is_splats(splats):
            self.report({"ERROR"}, "Select a splat object first.")
            return {"CANCELLED"}
        now = selections.shown(splats)
        if now.version != self.version:  # what is selected and hidden is of the version
            selections.show(splats, Shown(now.asset, self.version), "")
        current.redraw()
        return {"FINISHED"}


class SPLATWRIGHT_MT_versions(bpy.types.Menu):
    bl_idname = "SPLATWRIGHT_MT_versions"
    bl_label = "Versions"
    bl_description = "Which version of the splats is shown"

    def draw(self, context: Any) -> None:
        splats = active_splats(context)
        if splats is None:
            return
        shown = splats.splatwright.version
        for version in reversed(versions.of(splats.splatwright.asset)):
            text = f"{version.label or 'Unnamed'}, {wording.splats(version.splats)}"
            icon = "LAYER_ACTIVE" if version.version == shown else "LAYER_USED"
            self.layout.operator("splatwright.show_version", text=text, icon=icon).version = version.version


class SPLATWRIGHT_MT_assets(bpy.types.Menu):
    bl_idname = "SPLATWRIGHT_MT_assets"
    bl_label = "Add"
    bl_description = "Add an object that shows splats which the backend has"

    def draw(self, context: Any) -> None:
        for asset in sorted(current.session().assets.values(), key=lambda asset: -asset.created):
            text = f"{asset.name}, {wording.splats(asset.splats)}"
            self.layout.operator("splatwright.add_splats", text=text, icon="OUTLINER_OB_POINTCLOUD").asset = asset.asset


CLASSES = (SPLATWRIGHT_OT_show_version, SPLATWRIGHT_MT_versions, SPLATWRIGHT_MT_assets)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
