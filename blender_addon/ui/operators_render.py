# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Splats in the final picture: the compositor nodes put in and taken out, and set-up and render with one button."""

from __future__ import annotations

from typing import Any

import bpy

from ..host import current, final_render, objects, render_nodes
from ..protocol import errors
from . import asking


class SPLATWRIGHT_OT_setup_render(bpy.types.Operator):
    bl_idname = "splatwright.setup_render"
    bl_label = "Splats in Renders"
    bl_description = (
        "Add two nodes to the compositor that lay the splats over the scene, in front of and behind its meshes. "
        "The view transform goes into the nodes, so that splats keep the colours of their photos"
    )
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if context.scene is not None and render_nodes.is_set_up(context.scene):
            cls.poll_message_set("The nodes are there already")
            return False
        return context.scene is not None

    def execute(self, context: Any) -> set[str]:
        return asking.attempt(self, lambda: render_nodes.set_up(context.scene))


class SPLATWRIGHT_OT_remove_render_setup(bpy.types.Operator):
    bl_idname = "splatwright.remove_render_setup"
    bl_label = "No Splats in Renders"
    bl_description = "Take our nodes out of the compositor and give the scene its view transform back"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if context.scene is None or not render_nodes.is_set_up(context.scene):
            cls.poll_message_set("There are no nodes of ours in the compositor")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        render_nodes.remove(context.scene)
        return {"FINISHED"}


class SPLATWRIGHT_OT_render(bpy.types.Operator):
    bl_idname = "splatwright.render"
    bl_label = "Render With Splats"
    bl_description = "Render the scene with its splats. Refuses where splats would be missing from the picture"
    bl_options = {"REGISTER", "UNDO"}

    animation: bpy.props.BoolProperty(name="Animation", description="Render all frames, and write them")  # type: ignore[valid-type]
    write_still: bpy.props.BoolProperty(name="Write", description="Write the picture to the scene's output path")  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: Any) -> bool:
        if context.scene is None or context.scene.camera is None:
            cls.poll_message_set("The scene needs a camera")
            return False
        return asking.can_ask(cls)

    def execute(self, context: Any) -> set[str]:
        return asking.attempt(self, lambda: self._render(context.scene))

    def _render(self, scene: bpy.types.Scene) -> None:
        final_render.make_ready()
        missing = [item.name for item in objects.splat_objects(scene) if objects.is_missing(item)]
        if missing:
            message = f"The splats of '{missing[0]}' are not here."
            raise errors.UserError(
                "not_found", message, "Locate them, or delete the object.", "splatwright.locate_asset"
            )
        render_nodes.set_up(scene)
        render: Any = bpy.ops.render.render
        how = ("INVOKE_DEFAULT",) if current.is_interactive() else ()
        render(*how, animation=self.animation, write_still=self.write_still)


CLASSES = (SPLATWRIGHT_OT_setup_render, SPLATWRIGHT_OT_remove_render_setup, SPLATWRIGHT_OT_render)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
