"""Text in panels: broken to their width, because Blender's labels are one line and cut what does not fit."""

from __future__ import annotations

from typing import Any

from ..core import wording

_WIDTH_UNKNOWN = 280.0  # pixels


def paragraph(layout: Any, context: Any, text: str, icon: Any = "NONE") -> None:
    """A few lines of text with an icon before the first."""
    region = context.region
    width = region.width if region is not None and region.width > 1 else _WIDTH_UNKNOWN
    column = layout.column(align=True)
    column.scale_y = 0.8
    scale = context.preferences.system.ui_scale or 1.0  # 0 without a window
    for i, line in enumerate(wording.lines(text, width, scale)):
        column.label(text=line, icon=icon if i == 0 else ("NONE" if icon == "NONE" else "BLANK1"))


def figures(layout: Any, *pairs: tuple[str, str]) -> None:
    """Names on the left, what they are on the right."""
    column = layout.column(align=True)
    column.scale_y = 0.85
    for name, value in pairs:
        row = column.split(factor=0.4)
        left = row.row()
        left.alignment = "RIGHT"
        left.active = False
        left.label(text=name)
        row.label(text=value)
