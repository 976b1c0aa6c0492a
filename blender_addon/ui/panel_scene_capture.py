# pyright: reportAttributeAccessIssue=false
"""What is chosen about capturing this scene, and how far a capture is."""

from __future__ import annotations

from typing import Any

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
    column = layout.column()
    column.prop(chosen, "source")
    _draw(column, chosen, [*(["count", "width", "height"] if chosen.source == "AROUND" else []), *_frames(chosen)])
    _draw_folded(layout, chosen, "Cameras", _cameras(chosen) if chosen.source == "AROUND" else [])
    _draw_folded(layout, chosen, "Pictures", _pictures(chosen))
    _draw(layout.column(), chosen, ["folder", "existing"])
    if chosen.source == "AROUND":
        is_shown = capture_preview.shown(context.scene) is not None
        button = layout.operator("splatwright.preview_capture", text="Hide Cameras" if is_shown else "Show Cameras")
        button.visible = not is_shown
    row = layout.row()
    row.scale_y = 1.4
    row.operator("splatwright.capture_scene", icon="RENDER_STILL")


def _frames(chosen: Any) -> list[str]:
    switch = "spread" if chosen.source == "AROUND" else "animated"
    return [switch, *(["frame_start", "frame_end", "frame_step"] if getattr(chosen, switch) else [])]


def _cameras(chosen: Any) -> list[str]:
    rings, seed = chosen.arrangement == "RINGS", chosen.jitter > 0
    names = ["arrangement", *(["rings"] if rings else []), "lowest", "highest", "distance", "lens", "jitter"]
    return [*names, *(["seed"] if seed else [])]


def _pictures(chosen: Any) -> list[str]:
    quality = {"CYCLES": ["samples", "denoise"], "EEVEE": ["samples"], "WORKBENCH": []}[chosen.engine]
    return ["engine", *quality, "transparent", "only_selected", "points", "meshes"]


def _draw_folded(layout: Any, chosen: Any, title: str, names: list[str]) -> None:
    if not names:
        return
    header, body = layout.panel(f"SPLATWRIGHT_capture_{title.lower()}", default_closed=True)
    header.label(text=title)
    if body is not None:
        _draw(body.column(), chosen, names)


def _draw(column: Any, chosen: Any, names: list[str]) -> None:
    column.use_property_split, column.use_property_decorate = True, False
    for name in names:
        column.prop(chosen, name)
