# pyright: reportAttributeAccessIssue=false
"""Capture: a folder of photos, or pictures that Blender renders of this scene."""

from __future__ import annotations

from typing import Any

import bpy

from . import panel_scene_capture
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
            row = layout.row(align=True)
            row.operator("splatwright.pick_capture_folder", text="Folder", icon="FILE_FOLDER")
            row.operator("splatwright.pick_photos", text="Photos", icon="FILE_IMAGE")
        else:
            panel_scene_capture.draw(layout, context)
        layout.operator("splatwright.import_capture_cameras", text="Import Cameras", icon="OUTLINER_OB_CAMERA")


CLASSES = (SPLATWRIGHT_PT_capture,)
