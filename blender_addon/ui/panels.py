# pyright: reportIncompatibleMethodOverride=false
"""The sidebar tab: its panels in the order of work. Each reads the session and draws; none asks or waits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import bpy

from ..core import backend_state
from ..host import current
from . import panel_capture, panel_splats, panel_statistics, panel_train, panel_views, uploads
from .paragraphs import figures, paragraph
from .sidebar import SidebarPanel

if TYPE_CHECKING:
    from ..protocol import things

_OPERATOR = re.compile(r"[a-z_]+\.[a-z_]+")
_ICONS: dict[backend_state.State, Any] = {
    "not_installed": "IMPORT",
    "installing": "SORTTIME",
    "broken": "ERROR",
    "stopped": "UNLINKED",
    "starting": "SORTTIME",
    "running": "CHECKMARK",
    "busy": "SORTTIME",
    "lost": "ERROR",
    "failed": "ERROR",
}


class SPLATWRIGHT_PT_problem(SidebarPanel, bpy.types.Panel):
    bl_label = "Something Went Wrong"

    @classmethod
    def poll(cls, context: Any) -> bool:
        return current.session().failure is not None

    def draw_header(self, context: Any) -> None:
        row = self.layout.row()
        row.alert = True
        row.label(icon="ERROR")

    def draw_header_preset(self, context: Any) -> None:
        self.layout.operator("splatwright.dismiss_failure", text="", icon="X", emboss=False)

    def draw(self, context: Any) -> None:
        failure = current.session().failure
        if failure is not None:
            draw_failure(self.layout, context, failure)


def draw_failure(layout: Any, context: Any, failure: things.Failed) -> None:
    """What went wrong, what to do about it, and the button that does it."""
    paragraph(layout, context, failure.message)
    if failure.hint:
        paragraph(layout, context, failure.hint)
    row = layout.row(align=True)
    if _OPERATOR.fullmatch(failure.fix):
        if failure.fix != "splatwright.copy_report":
            row.operator(failure.fix)
    elif failure.fix:
        row.operator("splatwright.copy_text", text="Copy Command", icon="CONSOLE").text = failure.fix
    row.operator("splatwright.copy_report", icon="COPYDOWN")


class SPLATWRIGHT_PT_backend(SidebarPanel, bpy.types.Panel):
    bl_label = "Backend"

    def draw(self, context: Any) -> None:
        session = current.session()
        life = session.life
        paragraph(self.layout, context, life.sentence, _ICONS[life.state])
        if session.restarted:
            paragraph(self.layout, context, f"It was started again: {session.restarted}", "INFO")
        if life.progress is not None:
            self.layout.progress(factor=life.progress, text=f"{life.progress:.0%}")
        if session.is_connected and session.device:
            figures(self.layout, ("Computes on", session.device))
        uploads.draw(self.layout, context)
        if life.button is not None:
            row = self.layout.row()
            row.scale_y = 1.0 if session.is_connected else 1.4
            row.operator(life.button.operator, text=life.button.label)


class SPLATWRIGHT_OT_copy_text(bpy.types.Operator):
    bl_idname = "splatwright.copy_text"
    bl_label = "Copy"
    bl_description = "Copy this command, to be run in a terminal"
    bl_options = {"INTERNAL"}

    text: bpy.props.StringProperty(name="Text", description="What is copied")

    @classmethod
    def description(cls, context: Any, operator_properties: Any) -> str:
        return f"Copy, to be run in a terminal: {operator_properties.text}"

    def execute(self, context: Any) -> set[Any]:
        context.window_manager.clipboard = self.text
        return {"FINISHED"}


CLASSES: tuple[type[Any], ...] = (
    SPLATWRIGHT_OT_copy_text,
    SPLATWRIGHT_PT_backend,
    SPLATWRIGHT_PT_problem,  # not first: Blender moves a tab whose first panel appears
    *panel_capture.CLASSES,
    *panel_train.CLASSES,
    *panel_views.CLASSES,
    *panel_splats.CLASSES,
    *panel_statistics.CLASSES,
)


def register() -> None:
    for order, cls in enumerate(CLASSES):
        cls.bl_order = order
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
