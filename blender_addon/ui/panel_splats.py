# pyright: reportAttributeAccessIssue=false
"""The active splats, and what can be done with them: edit, export."""

from __future__ import annotations

from typing import Any

import bpy

from ..core import wording
from ..host import current, local_display, objects, packed, point_attributes, preferences, versions
from . import shown_colors
from .chosen_splats import active_splats
from .method_panels import MethodsPanel, draw_choices
from .panel_mesh import SPLATWRIGHT_PT_mesh
from .panel_render import SPLATWRIGHT_PT_render
from .panel_rig import SPLATWRIGHT_PT_rig
from .panel_select import SPLATWRIGHT_PT_select
from .paragraphs import figures, paragraph
from .sidebar import SidebarPanel


class SPLATWRIGHT_PT_splats(SidebarPanel, bpy.types.Panel):
    bl_label = "Splats"

    def draw(self, context: Any) -> None:
        splats = active_splats(context)
        if splats is None:
            paragraph(self.layout, context, "Select splats, import a file, or train a capture.", "INFO")
        else:
            _draw_splats(self.layout, context, splats)
            _draw_choice_of_display(self.layout)
        if point_attributes.has_splats(context.active_object):
            self.layout.operator("splatwright.read_attributes", icon="SPREADSHEET").object = context.active_object.name
        row = self.layout.row(align=True)
        row.operator("splatwright.import_splats", text="Import", icon="IMPORT")
        if current.session().assets:
            row.menu("SPLATWRIGHT_MT_assets", icon="ADD")


def _draw_choice_of_display(layout: Any) -> None:
    chosen = preferences.chosen()
    if chosen is not None:
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(chosen, "drawn_by")


def _draw_splats(layout: Any, context: Any, splats: Any) -> None:
    layout.prop(splats, "name", text="", icon="OUTLINER_OB_POINTCLOUD")
    if objects.is_missing(splats):
        box = layout.box()
        paragraph(box, context, f"The backend does not have '{splats.splatwright.name}'.", "ERROR")
        box.operator("splatwright.locate_asset", icon="FILE_FOLDER")
        return
    asset = splats.splatwright.asset
    info = current.session().assets.get(asset)
    if info is None:
        if local_display.has_copy(splats):
            paragraph(layout, context, "The backend is not running. Blender draws the copy of these splats.", "INFO")
        else:
            paragraph(layout, context, "The backend is not running, so these splats cannot be drawn.", "INFO")
        return
    choices = ("BINDING", "NORMALS", "DEPTH") if splats.splatwright.mesh is not None else ("NORMALS", "DEPTH")
    shown_colors.draw(layout, context, splats, *choices)
    job = current.session().job_of_asset(asset)
    if job is not None:
        paragraph(layout, context, f"Follows the job '{job.state.name}': {wording.doing(job)}.", "PLAY")
        return
    shown = versions.find(asset, splats.splatwright.version)
    layout.menu("SPLATWRIGHT_MT_versions", text=(shown.label if shown else "") or "Version", icon="RECOVER_LAST")
    figures(
        layout,
        ("Splats", wording.count(shown.splats if shown else info.splats)),
        ("On disk", wording.size(info.bytes)),
    )
    layout.operator("splatwright.keep_copy", icon="FILE_TICK").object = splats.name
    row = layout.row(align=True)
    if not packed.is_current(splats):
        row.operator("splatwright.pack_splats", icon="PACKAGE").object = splats.name
    if packed.is_packed(splats):
        row.operator("splatwright.unpack_splats", icon="UGLYPACKAGE").object = splats.name
    layout.operator("splatwright.write_attributes", icon="SPREADSHEET").object = splats.name


class SPLATWRIGHT_PT_edit(MethodsPanel, bpy.types.Panel):
    bl_label = "Edit"
    bl_options = {"DEFAULT_CLOSED"}
    category = "editing"
    empty = "Select the splats that you want to edit."

    def draw_inputs(self, layout: Any, context: Any, splats: bpy.types.Object | None) -> None:
        draw_choices(layout, context.scene.splatwright, "box")
        if splats is not None and context.scene.splatwright.box is None:
            paragraph(layout, context, "Choose an object around the region, such as a cube or an Empty.", "INFO")
        row = layout.row(align=True)
        row.operator("splatwright.join", text="Join", icon="AUTOMERGE_ON")
        row.operator("splatwright.save_recipe", text="Save Recipe", icon="FILE_TICK")


class SPLATWRIGHT_PT_export(SidebarPanel, bpy.types.Panel):
    bl_label = "Export"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Any) -> None:
        if active_splats(context) is None:
            paragraph(self.layout, context, "Select the splats that you want to write to a file.", "INFO")
        self.layout.operator("splatwright.export_splats", icon="EXPORT")
        self.layout.operator("splatwright.export_animation", icon="RENDER_ANIMATION")


CLASSES = (
    SPLATWRIGHT_PT_splats,
    SPLATWRIGHT_PT_select,
    SPLATWRIGHT_PT_edit,
    SPLATWRIGHT_PT_mesh,
    SPLATWRIGHT_PT_rig,
    SPLATWRIGHT_PT_render,
    SPLATWRIGHT_PT_export,
)
