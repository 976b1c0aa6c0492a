# pyright: reportAttributeAccessIssue=false
"""What the colours of splats say in the viewport, as a row of buttons."""

from __future__ import annotations

from typing import Any

from ..host import local_display
from .paragraphs import paragraph


def draw(layout: Any, context: Any, splats: Any, *choices: str) -> None:
    """choices: of `Object.splatwright.colors`, besides the splats' own."""
    own, row = splats.splatwright, layout.row(align=True)
    for choice in ("OWN", *choices):
        row.prop_enum(own, "colors", choice)
    if own.colors != "OWN" and own.colors in choices and local_display.is_by_choice():
        paragraph(layout, context, "Blender draws the splats in their own colors. Let the backend draw them.", "INFO")
