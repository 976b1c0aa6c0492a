"""Draws the settings of any method from its schema."""

from __future__ import annotations

from typing import Any

import bpy

from ..core import settings_values
from ..host import properties, settings_properties
from ..protocol import schema, things


def draw(layout: Any, scene: Any, method: things.MethodInfo) -> None:
    """The usual settings; below them, closed, the advanced ones; a button for the defaults when one is changed."""
    group = properties.settings_of(scene, method)
    usual = [setting for setting in method.settings if not setting.advanced]
    advanced = [setting for setting in method.settings if setting.advanced]
    _draw_all(layout, group, usual)
    if advanced:
        header, body = layout.panel(f"SPLATWRIGHT_{method.id}_advanced", default_closed=True)
        header.label(text="Advanced")
        if body is not None:
            _draw_all(body, group, advanced)
    if settings_properties.is_changed(group, method):
        layout.operator("splatwright.reset_settings", icon="LOOP_BACK").method = method.id


def draw_folded(layout: Any, scene: Any, method: things.MethodInfo) -> None:
    """All settings of a method below a line that opens them."""
    if not method.settings:
        return
    header, body = layout.panel(f"SPLATWRIGHT_{method.id}_settings", default_closed=True)
    header.label(text="Settings")
    if body is not None:
        draw(body, scene, method)


def _draw_all(layout: Any, group: Any, settings: list[schema.Setting]) -> None:
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    for setting in settings:
        _draw(column, group, setting)


def _draw(column: Any, group: Any, setting: schema.Setting) -> None:
    name = settings_values.property_name(setting.name)
    has_slider = setting.kind in ("integer", "number")
    if not settings_values.has_toggle(setting):
        column.prop(group, name, slider=has_slider)
        return
    toggle = settings_values.automatic_name(setting)
    if getattr(group, toggle):
        column.row(heading=setting.label).prop(group, toggle, text="Automatic", toggle=True)
        return
    row = column.row(align=True)
    row.prop(group, name, slider=has_slider)
    row.prop(group, toggle, text="", icon="FILE_REFRESH")


class SPLATWRIGHT_OT_reset_settings(bpy.types.Operator):
    bl_idname = "splatwright.reset_settings"
    bl_label = "Reset to Defaults"
    bl_description = "Set all settings of this method back to their defaults"
    bl_options = {"REGISTER", "UNDO"}

    method: bpy.props.StringProperty(name="Method", description="The method whose settings are reset")

    def execute(self, context: Any) -> set[Any]:
        method = properties.method_called(self.method)
        if method is None:
            self.report({"ERROR"}, f"There is no method '{self.method}'.")
            return {"CANCELLED"}
        settings_properties.reset(properties.settings_of(context.scene, method), method)
        return {"FINISHED"}


CLASSES = (SPLATWRIGHT_OT_reset_settings,)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
