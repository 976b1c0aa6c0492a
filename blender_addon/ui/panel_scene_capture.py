# pyright: reportAttributeAccessIssue=false
"""What is chosen about capturing this scene, and how far a capture is."""

from __future__ import annotations

from typing import Any

import bpy

from ..core import wording
from ..host import capture_preview
from . import operators_capture


def draw(layout: Any, context: Any) -> None:
    """The choices, or the progress of the capture that is being rendered."""
    now = operators_capture.progress()
    if now is not None:
        left = "" if now.seconds_left is None else f", {wording.duration(now.seconds_left)} left"
        layout.progress(factor=now.done / now.total, text=f"{now.done} of {now.total} views{left}")
        layout.label(text="Esc stops and keeps nothing", icon="INFO")
        return
    chosen = context.scene.splatwright.capture
    layout.use_property_split, layout.use_property_decorate = True, False
    layout.prop(chosen, "source")
    _draw_cameras(layout.column(align=True), chosen)
    column = layout.column(align=True)
    for name in ("engine", "samples", "denoise", "transparent", "only_selected"):
        if (
            name not in ("samples", "denoise")
            or chosen.engine == "CYCLES"
            or (name, chosen.engine) == ("samples", "EEVEE")
        ):
            column.prop(chosen, name)
    column = layout.column(align=True)
    column.prop(chosen, "points")
    column.prop(chosen, "meshes")
    column = layout.column(align=True)
    column.prop(chosen, "folder")
    column.prop(chosen, "existing")
    if chosen.source == "AROUND":
        is_shown = capture_preview.shown(context.scene) is not None
        button = layout.operator("splatwright.preview_capture", text="Hide Cameras" if is_shown else "Show Cameras")
        button.visible = not is_shown
    row = layout.row()
    row.scale_y = 1.4
    row.operator("splatwright.capture_scene", icon="RENDER_STILL")


def _draw_cameras(column: bpy.types.UILayout, chosen: Any) -> None:
    names = ["count", "arrangement", *(["rings"] if chosen.arrangement == "RINGS" else []), "lowest", "highest"]
    names += ["distance", "lens", "width", "height", "jitter", *(["seed"] if chosen.jitter else [])]
    if chosen.source == "CAMERAS":
        names = ["animated", *(["frame_start", "frame_end", "frame_step"] if chosen.animated else [])]
    for name in names:
        column.prop(chosen, name)
