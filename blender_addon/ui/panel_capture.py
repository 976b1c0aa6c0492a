# pyright: reportAttributeAccessIssue=false
"""Capture: a folder of photos, or pictures that Blender renders of this scene."""

from __future__ import annotations

from typing import Any

import bpy

from .paragraphs import paragraph
from .sidebar import SidebarPanel


class SPLATWRIGHT_PT_capture(SidebarPanel, bpy.types.Panel):
    bl_label = "Capture"

    def draw(self, context: Any) -> None:
        layout, chosen = self.layout, context.scene.splatwright
        layout.row().prop(chosen, "capture_kind", expand=True)
        if chosen.capture_kind == "FOLDER":
            layout.prop(chosen, "capture_path", text="")
            if not chosen.capture_path:
                paragraph(layout, context, "Choose a folder of photos; camera poses are found by the backend.", "INFO")


CLASSES = (SPLATWRIGHT_PT_capture,)
