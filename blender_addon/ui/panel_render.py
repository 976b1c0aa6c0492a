"""Splats in the final picture: the two buttons, what is chosen, and what is not as it should be."""

from __future__ import annotations

from typing import Any

import bpy

from ..host import not_meshes, render_nodes
from .paragraphs import paragraph
from .sidebar import SidebarPanel


class SPLATWRIGHT_PT_render(SidebarPanel, bpy.types.Panel):
    bl_label = "Render"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Any) -> None:
        layout: Any = self.layout
        scene = context.scene
        if scene.camera is None:
            paragraph(layout, context, "Add a camera to render the splats with the scene.", "INFO")
        row = layout.row(align=True)
        row.operator("splatwright.render", text="Render", icon="RENDER_STILL")
        row.operator("splatwright.render", text="Animation", icon="RENDER_ANIMATION").animation = True
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        for name in ("color", "depth", "write_passes"):
            column.prop(scene.splatwright.render, name)
        if sentence := said_of_depth(scene):
            paragraph(layout, context, sentence, "INFO")
        if not render_nodes.is_set_up(scene):
            layout.operator("splatwright.setup_render", icon="NODE_COMPOSITING")
            return
        if sentence := render_nodes.trouble(scene):
            paragraph(layout, context, sentence, "ERROR")
            layout.operator("splatwright.update_render_setup", icon="FILE_REFRESH")
        layout.operator("splatwright.remove_render_setup", icon="X")


def said_of_depth(scene: bpy.types.Scene) -> str:
    """What there is to know about things that are rendered and have no mesh; "" = nothing."""
    found = not_meshes.found_in(scene)
    hiding = " and ".join(kind for kind in found if kind not in not_meshes.WITHOUT_DEPTH)
    others = " and ".join(kind for kind in found if kind in not_meshes.WITHOUT_DEPTH)
    sentences: list[str] = []
    if hiding and scene.splatwright.render.depth == "Z_PASS":  # type: ignore[attr-defined]
        sentences.append(
            f"The scene's {hiding} hide splats in 16 slices in F12, and exactly when the buttons above render."
        )
    elif hiding:
        sentences.append(f"The scene's {hiding} hide splats when the buttons above render. For F12, choose Z Pass.")
    if others:
        sentences.append(f"The scene's {others} cannot hide splats: renderers give them no depth.")
    return " ".join(sentences)
