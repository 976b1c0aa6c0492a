"""The layout that records refuses what Blender's own would not show: tests of panels lean on that."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import bpy
import pytest
from recording_layout import draw


def test_what_is_drawn_is_recorded_in_order(recording_layout: Any) -> None:
    box = recording_layout.box()
    box.label(text="Resolution", icon="INFO")
    row = box.row(align=True)
    row.prop(bpy.context.scene.render, "resolution_x", text="Width")
    row.prop(bpy.context.scene.render, "resolution_y")
    button = row.operator("mesh.primitive_cube_add", text="Cube")
    button.size = 3.0
    assert recording_layout.texts == ["Resolution", "Width", "Cube"]
    assert recording_layout.properties == ["resolution_x", "resolution_y"]
    assert recording_layout.operators["mesh.primitive_cube_add"].result.size == 3.0


def test_what_stands_in_a_disabled_row_is_disabled(recording_layout: Any) -> None:
    row = recording_layout.row()
    row.enabled = False
    row.column().operator("mesh.primitive_cube_add")
    recording_layout.operator("mesh.primitive_plane_add")
    buttons = recording_layout.operators
    assert not buttons["mesh.primitive_cube_add"].is_enabled
    assert buttons["mesh.primitive_plane_add"].is_enabled


def test_a_foldable_part_has_a_header_and_a_body(recording_layout: Any) -> None:
    header, body = recording_layout.panel("part", default_closed=True)
    header.label(text="Part")
    body.label(text="Inside")
    assert recording_layout.texts == ["Part", "Inside"]


@pytest.mark.parametrize(
    "mistake",
    [
        lambda layout: layout.lable(text="A"),
        lambda layout: layout.label(txt="A"),
        lambda layout: layout.label(text=3),
        lambda layout: layout.label(text="A", icon="NO_SUCH_ICON"),
        lambda layout: layout.prop(bpy.context.scene.render, "no_such_property"),
        lambda layout: layout.prop(bpy.context.scene.render),
        lambda layout: layout.operator("splatwright.no_such_operator"),
        lambda layout: setattr(layout.operator("mesh.primitive_cube_add"), "no_such_property", 1),
        lambda layout: setattr(layout.operator("mesh.primitive_cube_add"), "size", "large"),
        lambda layout: setattr(layout, "enabeld", False),
        lambda layout: setattr(layout, "alignment", "SIDEWAYS"),
    ],
)
def test_a_mistake_is_an_error(recording_layout: Any, mistake: Any) -> None:
    with pytest.raises((AttributeError, TypeError)):
        mistake(recording_layout)


class SomePanel:
    bl_label = "Some"

    @classmethod
    def poll(cls, context: Any) -> bool:
        return context.is_open

    def draw_header(self, context: Any) -> None:
        self.layout.label(text="header")

    def draw(self, context: Any) -> None:
        self._draw_more()

    def _draw_more(self) -> None:
        self.layout.label(text=self.bl_label)


def test_a_panel_is_drawn_header_first_and_only_when_its_poll_allows() -> None:
    assert draw(SomePanel, SimpleNamespace(is_open=False)) is None
    layout = draw(SomePanel, SimpleNamespace(is_open=True))
    assert layout is not None and layout.texts == ["header", "Some"]
