# pyright: reportAttributeAccessIssue=false
"""Rig: which mesh splats are bound to and how, how many follow it, and what can be done with their pose."""

from __future__ import annotations

from typing import Any

import bpy

from ..core import wording
from ..host import bindings, current, properties, settings_properties, versions
from ..protocol import things
from . import shown_colors
from .chosen_splats import active_splats
from .method_panels import draw_choices, draw_method, newest_job
from .panel_train import draw_job
from .paragraphs import paragraph
from .sidebar import SidebarPanel

_NEEDS_A_BINDING = ("apply_pose",)
_LEGEND = (  # of the backend's colours: what, and Blender's icon that looks most like it
    ("As at rest", "STRIP_COLOR_04"),
    ("Stretched", "STRIP_COLOR_03"),
    ("Stretched to twice its length", "STRIP_COLOR_01"),
    ("Far: moved, never stretched", "STRIP_COLOR_05"),
    ("Not bound", "STRIP_COLOR_09"),
)


class SPLATWRIGHT_PT_rig(SidebarPanel, bpy.types.Panel):
    bl_label = "Rig"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        return bool(properties.methods_of("rigging"))

    def draw(self, context: Any) -> None:
        layout: Any = self.layout
        splats, chosen = active_splats(context), context.scene.splatwright
        bound = None if splats is None else _bound_version(splats)
        if splats is None:
            paragraph(layout, context, "Select the splats that shall follow a mesh.", "INFO")
        elif bound is not None:
            _draw_binding(layout.box(), context, splats, bound)
        draw_choices(layout, chosen, "bind_mesh", "bind_pose")
        if chosen.bind_mesh is not None:
            _draw_groups(layout, context.scene, chosen)
        if splats is not None and chosen.bind_mesh is None:
            paragraph(layout, context, "Choose the mesh that the splats shall follow.", "INFO")
        for method in properties.methods_of("rigging"):
            if method.id not in _NEEDS_A_BINDING:
                draw_method(layout, context, method, in_view=True)
        if bound is None or splats is None or splats.splatwright.mesh is None:
            _draw_poses(layout, context, are_enabled=False)
        job = newest_job("rigging", splats)
        if job is not None:
            draw_job(layout.box(), context, job)


def _bound_version(splats: Any) -> things.VersionInfo | None:
    """The version that is shown, where it is bound to a mesh and the backend is there to pose it."""
    own = splats.splatwright
    known = current.session().assets.get(own.asset)
    shown = None if known is None else versions.find(own.asset, own.version or known.head)
    return shown if shown is not None and shown.bound_vertices else None


def _draw_binding(layout: Any, context: Any, splats: Any, bound: things.VersionInfo) -> None:
    """What follows which mesh, what is wrong with that, and what can be done with the pose."""
    own = splats.splatwright
    column = layout.column()
    column.use_property_split, column.use_property_decorate = True, False
    column.prop(own, "mesh", text="Follows")
    if own.mesh is None:
        paragraph(layout, context, "These splats are bound, and stay at rest until they have a mesh to follow.", "INFO")
        layout.operator("splatwright.add_bound_mesh", icon="MESH_DATA").object = splats.name
        return
    paragraph(layout, context, wording.following(bound, own.mesh.name), "LINKED")
    if trouble := bindings.trouble_of(splats):
        paragraph(layout, context, trouble, "ERROR")
        layout.operator("splatwright.bind_again", icon="FILE_REFRESH").object = splats.name
    column.prop(own, "rebinds")
    _draw_colors(layout, context, splats)
    _draw_poses(layout, context)
    layout.operator("splatwright.unbind_splats", icon="UNLINKED").object = splats.name


def _draw_poses(layout: Any, context: Any, *, are_enabled: bool = True) -> None:
    """What can be done with the pose of a mesh that is followed."""
    column = layout.column()
    column.enabled = are_enabled
    for method in properties.methods_of("rigging"):
        if method.id in _NEEDS_A_BINDING:
            draw_method(column, context, method)


def _draw_groups(layout: Any, scene: Any, chosen: Any) -> None:
    """Which vertex groups of the mesh count; the one for far splats where they follow."""
    column = layout.column()
    column.use_property_split, column.use_property_decorate = True, False
    column.prop_search(chosen, "bind_strength", chosen.bind_mesh, "vertex_groups")
    method = properties.method_called("bind")
    settings = {} if method is None else settings_properties.values(properties.settings_of(scene, method), method)
    if settings.get("far") == "follow":
        column.prop_search(chosen, "bind_far", chosen.bind_mesh, "vertex_groups")


def _draw_colors(layout: Any, context: Any, splats: Any) -> None:
    """What the viewport's colours say, and which colour says what."""
    shown_colors.draw(layout, context, splats, "BINDING")
    if splats.splatwright.colors != "BINDING":
        return
    column = layout.column(align=True)
    column.scale_y = 0.8
    for text, icon in _LEGEND:
        column.label(text=text, icon=icon)
