# pyright: reportAttributeAccessIssue=false
"""The panel that selects splats without a mouse over the view, and says how many are selected."""

from __future__ import annotations

from typing import Any

import bpy

from ..core import selecting, wording
from ..host import histograms, named_selections, selections, view_masks
from . import icons
from .chosen_splats import active_splats
from .method_panels import draw_choices
from .paragraphs import figures, paragraph
from .sidebar import SidebarPanel

_TILES, _TILE_SCALE = 4, 2.7  # of a histogram


class SPLATWRIGHT_PT_select(SidebarPanel, bpy.types.Panel):
    bl_label = "Select"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Any) -> None:
        layout: Any = self.layout
        splats = active_splats(context)
        if splats is None:
            paragraph(layout, context, "Select the object whose splats you want to select.", "INFO")
            return
        _draw_counts(layout, splats)
        _draw_all(layout)
        _draw_by_color(layout, context)
        _draw_by_range(layout, context, splats)
        _draw_by_volume(layout, context)
        _draw_named(layout, context, splats)
        _draw_objects(layout, context, splats)


def _draw_counts(layout: Any, splats: Any) -> None:
    selected, hidden = selections.counted(splats), selections.hidden_of(splats)
    layout.label(text=selecting.selected_of(selected) if selected else "No splats selected", icon="RESTRICT_SELECT_OFF")
    layout.prop(bpy.context.scene.splatwright.select, "show_centers")
    if hidden is not None:
        layout.label(text=f"{wording.splats(hidden.count)} hidden", icon="HIDE_ON")


def _draw_all(layout: Any) -> None:
    column = layout.column(align=True)
    row = column.row(align=True)
    for action, text in (("SELECT", "All"), ("DESELECT", "None"), ("INVERT", "Invert")):
        row.operator("splatwright.select_all", text=text).action = action
    row = column.row(align=True)
    row.operator("splatwright.select_grow", text="Grow", icon="ADD").steps = 1
    row.operator("splatwright.select_grow", text="Shrink", icon="REMOVE").steps = -1
    row.operator("splatwright.select_linked", text="Linked")
    row = column.row(align=True)
    row.operator("splatwright.select_floaters", text="Floaters")
    row.operator("splatwright.select_contributing", text="In View")
    row = column.row(align=True)
    row.operator("splatwright.hide_selected", text="Hide", icon="HIDE_ON")
    row.operator("splatwright.reveal", text="Reveal", icon="HIDE_OFF")
    row = column.row(align=True)
    row.operator("splatwright.edit_selected", text="Delete", icon="TRASH").method = "delete"
    row.operator("splatwright.edit_selected", text="Separate", icon="UNLINKED").method = "separate"


def _draw_by_color(layout: Any, context: Any) -> None:
    chosen = context.scene.splatwright.select
    header, body = layout.panel("SPLATWRIGHT_select_color", default_closed=True)
    header.label(text="By Color")
    if body is None:
        return
    draw_choices(body, chosen, "color", "tolerance")
    _draw_modes(body, "splatwright.select_color", color=chosen.color, tolerance=chosen.tolerance)


def _draw_by_range(layout: Any, context: Any, splats: Any) -> None:
    chosen = context.scene.splatwright.select
    header, body = layout.panel("SPLATWRIGHT_select_range", default_closed=True)
    header.label(text="By Range")
    if body is None:
        return
    draw_choices(body, chosen, "attribute")
    _draw_histogram(body, context, splats)
    draw_choices(body, chosen, "low", "high")
    _draw_modes(body, "splatwright.select_range", attribute=chosen.attribute, low=chosen.low, high=chosen.high)


def _draw_histogram(layout: Any, context: Any, splats: Any) -> None:
    chosen, own = context.scene.splatwright.select, splats.splatwright
    histogram = histograms.of(own.asset, own.version, chosen.attribute)
    if histogram is not None and histogram.counts:
        row = layout.row(align=True)
        row.alignment = "CENTER"
        for tile in icons.histogram_tiles(histogram, (chosen.low, chosen.high), _TILES):
            row.template_icon(icon_value=tile, scale=_TILE_SCALE)
        column = layout.column(align=True)
        figures(column, ("Lowest", f"{histogram.low:.4g}"), ("Highest", f"{histogram.high:.4g}"))
    elif histograms.is_refused(own.asset, own.version, chosen.attribute):
        is_seen = chosen.attribute == "visibility"
        hint = "Press Prepare first." if is_seen else "Tell an object apart by outlines first."
        paragraph(layout, context, f"Not known of these splats yet. {hint}", "INFO")
        if is_seen:
            layout.operator("splatwright.prepare_splats", icon="HIDE_OFF")


def _draw_by_volume(layout: Any, context: Any) -> None:
    chosen = context.scene.splatwright
    header, body = layout.panel("SPLATWRIGHT_select_volume", default_closed=True)
    header.label(text="Around or Within an Object")
    if body is None:
        return
    row = body.row(align=True)
    for shape, text, icon in (("BOX", "Add Box", "MESH_CUBE"), ("BALL", "Add Ball", "MESH_UVSPHERE")):
        row.operator("splatwright.add_volume", text=text, icon=icon).shape = shape
    draw_choices(body, chosen, "box")
    for operator, icon in (("box", "MESH_CUBE"), ("sphere", "MESH_UVSPHERE"), ("mesh", "MESH_DATA")):
        body.label(text={"box": "Its box", "sphere": "Its ball", "mesh": "Its mesh"}[operator], icon=icon)
        _draw_modes(body, f"splatwright.select_{operator}")


def _draw_named(layout: Any, context: Any, splats: Any) -> None:
    header, body = layout.panel("SPLATWRIGHT_select_named", default_closed=True)
    header.label(text="Named Sets")
    if body is None:
        return
    row = body.row(align=True)
    row.prop(context.scene.splatwright.select, "set_name", text="")
    row.operator("splatwright.name_selection", text="", icon="ADD")
    named = named_selections.of(splats.splatwright.asset, splats.splatwright.version)
    for item in () if named is None else named.selections:
        row = body.row(align=True)
        row.label(text=f"{item.name} ({wording.count(item.count)})")
        for mode, icon in (("SET", "SELECT_SET"), ("ADD", "SELECT_EXTEND"), ("SUBTRACT", "SELECT_SUBTRACT")):
            button = row.operator("splatwright.select_named", text="", icon=icon)
            button.name, button.mode = item.name, mode
        row.operator("splatwright.forget_selection", text="", icon="X").name = item.name


def _draw_objects(layout: Any, context: Any, splats: Any) -> None:
    header, body = layout.panel("SPLATWRIGHT_select_objects", default_closed=True)
    header.label(text="Objects by Masks")
    if body is None:
        return
    views = view_masks.of(splats.splatwright.asset, splats.splatwright.version)
    outlined = f"Outlined in {len(views)} views" if len(views) != 1 else "Outlined in 1 view"
    paragraph(body, context, outlined if views else "Draw around the object in views from a few sides.", "INFO")
    row = body.row(align=True)
    row.operator("splatwright.draw_mask", text="Outline", icon="GREASEPENCIL")
    row.operator("splatwright.clear_masks", text="", icon="X")
    body.operator("splatwright.label_splats", icon="MOD_MASK").capture = ""
    folder = context.scene.splatwright.capture_path
    row = body.row()
    row.enabled = bool(folder)  # the folder is chosen in Capture
    row.operator("splatwright.label_splats", text="Tell Apart by the Photos' Masks", icon="IMAGE_DATA").capture = folder
    body.operator("splatwright.label_by_index", icon="RENDERLAYERS")
    if selections.knows_labels(splats):
        chosen = context.scene.splatwright.select
        draw_choices(body, chosen, "object_number", "bias")
        button = body.operator("splatwright.select_labelled", text="Select Object")
        button.label, button.bias = chosen.object_number, chosen.bias


def _draw_modes(layout: Any, operator: str, **arguments: Any) -> None:
    """A button for each way to combine with what is selected."""
    row = layout.row(align=True)
    for mode, text, icon in (
        ("SET", "Select", "SELECT_SET"),
        ("ADD", "", "SELECT_EXTEND"),
        ("SUBTRACT", "", "SELECT_SUBTRACT"),
        ("INTERSECT", "", "SELECT_INTERSECT"),
    ):
        button = row.operator(operator, text=text, icon=icon)
        button.mode = mode
        for name, value in arguments.items():
            setattr(button, name, value)
