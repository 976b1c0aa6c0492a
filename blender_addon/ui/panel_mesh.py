# pyright: reportAttributeAccessIssue=false
"""Mesh: how a mesh is made of the active splats, where their surface is, and what was made of them."""

from __future__ import annotations

from typing import Any

import bpy

from ..core import mesh_quality, wording
from ..core.session import JobView
from ..host import current, extracted_meshes, properties, settings_properties
from ..protocol import things
from . import settings_panel, shown_colors
from .chosen_splats import splats_or_their_mesh
from .method_panels import newest_job
from .panel_train import draw_job
from .paragraphs import figures, paragraph
from .sidebar import SidebarPanel


class SPLATWRIGHT_PT_mesh(SidebarPanel, bpy.types.Panel):
    bl_label = "Mesh"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return bool(properties.methods_of("meshing"))

    def draw(self, context: Any) -> None:
        layout: Any = self.layout
        splats, chosen = splats_or_their_mesh(context.active_object, context), context.scene.splatwright
        if splats is None:
            paragraph(layout, context, "Select the splats that shall become a mesh.", "INFO")
        else:
            layout.label(text="See the Surface")
            shown_colors.draw(layout, context, splats, "NORMALS", "DEPTH")
        column = layout.column()
        column.use_property_split, column.use_property_decorate = True, False
        column.prop(chosen, "mesh_method")
        method = properties.method_called(chosen.mesh_method)
        if method is not None:
            _draw_quality(layout, context.scene, method)
            settings_panel.draw(layout, context.scene, method)
        _draw_buttons(layout, splats)
        if splats is None:
            return
        job = newest_job("meshing", splats)
        if job is not None:
            draw_job(layout.box(), context, job)
        if (made := _newest_mesh(splats)) is not None:
            _draw_made(layout, made)


def _draw_quality(layout: Any, scene: Any, method: things.MethodInfo) -> None:
    """Buttons that set the settings below them; none is pressed when these are the user's own."""
    if not mesh_quality.has_presets(method.settings):
        return
    changed = settings_properties.values(properties.settings_of(scene, method), method)
    now = mesh_quality.quality_of(method.settings, changed)
    row = layout.row(align=True)
    for quality in mesh_quality.QUALITIES:
        button = row.operator("splatwright.set_mesh_quality", text=quality.capitalize(), depress=quality == now)
        button.method, button.quality = method.id, quality


def _draw_buttons(layout: Any, splats: Any) -> None:
    """One makes the mesh, or makes it again; another leaves the one there is alone."""
    known = None if splats is None else extracted_meshes.made_of(splats)
    row = layout.row()
    row.scale_y = 1.2
    text = "Extract Mesh" if known is None else f"Update {known.name}"
    row.operator("splatwright.extract_mesh", text=text, icon="MESH_DATA")
    if splats is None or known is None:
        return
    layout.operator("splatwright.extract_mesh", text="New Object", icon="ADD").new_object = True
    column = layout.column()
    column.use_property_split, column.use_property_decorate = True, False
    column.prop(splats.splatwright, "extracted_mesh")


def _newest_mesh(splats: Any) -> JobView | None:
    """The last job that came to a mesh of these splats."""
    for job in reversed(current.session().jobs.values()):
        state = job.state
        if (state.category, state.asset, state.status) == ("meshing", splats.splatwright.asset, "finished"):
            return job
    return None


def _draw_made(layout: Any, job: JobView) -> None:
    found = job.state.figures
    pairs = [("Vertices", wording.count(int(found["vertices"]))), ("Faces", wording.count(int(found["faces"])))]
    if "watertight" in found:
        pairs.append(("Watertight", "Yes" if found["watertight"] else "No"))
    figures(layout, *pairs)
