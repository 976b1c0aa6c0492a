# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Makes meshes of splats: runs the method that is chosen, with a preset of its settings, and takes what came of it."""

from __future__ import annotations

from typing import Any

import bpy

from ..core import mesh_quality, wording
from ..host import properties, settings_properties
from ..protocol import errors, things
from . import asking, fetched_meshes, operators_methods
from .chosen_splats import can_work_on, in_object_mode, object_called, splats_or_their_mesh


def chosen_method(scene: Any, name: str = "") -> things.MethodInfo:
    """name: "" = the scene's choice. Raises UserError when there is no such method."""
    method = properties.method_called(name or scene.splatwright.mesh_method)
    if method is None or method.category != "meshing":
        known = ", ".join(m.id for m in properties.methods_of("meshing"))
        raise errors.UserError("bad_input", f"There is no method '{name}' for meshes.", f"There are: {known}.")
    return method


class SPLATWRIGHT_OT_extract_mesh(bpy.types.Operator):
    bl_idname = "splatwright.extract_mesh"
    bl_label = "Extract Mesh"
    bl_description = (
        "Make a mesh of the active splats. The mesh that was made of them before stays the same object, with its "
        "modifiers, materials, vertex groups and place"
    )
    bl_options = {"REGISTER"}

    object: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Splats",
        description="The splat object, or the mesh that was made of it; empty: the active one",
        options={"SKIP_SAVE"},
    )
    method: bpy.props.StringProperty(
        name="Method", description="How to make it; empty: the scene's choice", options={"SKIP_SAVE"}
    )
    settings: bpy.props.StringProperty(
        name="Settings",
        description='Of the method, over those of the scene, such as {"faces": 20000}',
        options={"SKIP_SAVE"},
    )
    new_object: bpy.props.BoolProperty(
        name="New Object",
        description="Make another object, and leave the one from before as it is",
        default=False,
        options={"SKIP_SAVE"},  # else the next button would remember it
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        return can_work_on(cls, context, lambda at: splats_or_their_mesh(at.active_object, at), why="")

    def execute(self, context: Any) -> set[Any]:
        return asking.attempt(self, lambda: self._extract(context))

    def _extract(self, context: Any) -> None:
        active = object_called(self.object) if self.object else context.active_object
        splats = splats_or_their_mesh(active, context)
        if splats is None:
            raise errors.UserError("bad_input", "No splat object is chosen.", "Select one first.")
        operators_methods.refuse_busy(splats)
        method, settings = chosen_method(context.scene, self.method), wording.settings_from_text(self.settings)
        name, new_object = splats.name, self.new_object  # the operator is gone when the job has ended

        def take(ended: things.JobState) -> None:
            fetched_meshes.take(ended, name, new_object=new_object)

        if ended := operators_methods.begin(context.scene, method, splats, {}, settings=settings, ended=take):
            self.report({"INFO"}, f"{method.label}: {ended}")


class SPLATWRIGHT_OT_fetch_mesh(bpy.types.Operator):
    bl_idname = "splatwright.fetch_mesh"
    bl_label = "Get Mesh"
    bl_description = "Give the mesh of these splats the faces that this job has made, or make an object of them"
    bl_options = {"REGISTER"}

    job: bpy.props.StringProperty(name="Job", description="A finished job that extracted a mesh")
    new_object: bpy.props.BoolProperty(
        name="New Object",
        description="Make another object, and leave the one from before as it is",
        default=False,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        return asking.can_ask(cls) and in_object_mode(cls, context, why="")

    def execute(self, context: Any) -> set[Any]:
        splats = splats_or_their_mesh(context.active_object, context)
        name = splats.name if splats is not None else ""
        return asking.attempt(self, lambda: fetched_meshes.fetch(self.job, name, new_object=self.new_object))


class SPLATWRIGHT_OT_set_mesh_quality(bpy.types.Operator):
    bl_idname = "splatwright.set_mesh_quality"
    bl_label = "Mesh Quality"
    bl_description = "Set how much time and size a mesh is worth"
    bl_options = {"REGISTER", "UNDO"}

    method: bpy.props.StringProperty(name="Method", description="Whose settings are set; empty: the scene's choice")
    quality: bpy.props.EnumProperty(
        name="Quality",
        items=[
            ("draft", "Draft", "A quick look: few faces, a small texture"),
            ("normal", "Normal", "The method's own numbers of views, faces and texels"),
            ("high", "High", "More views and faces and a larger texture; takes longer"),
        ],
        default="normal",
    )

    @classmethod
    def description(cls, context: Any, operator_properties: Any) -> str:
        return operator_properties.bl_rna.properties["quality"].enum_items[operator_properties.quality].description

    def execute(self, context: Any) -> set[Any]:
        def set_quality() -> None:
            method = chosen_method(context.scene, self.method)
            chosen = mesh_quality.preset(method.settings, self.quality)  # type: ignore[arg-type]
            settings_properties.assign(properties.settings_of(context.scene, method), method, chosen)

        return asking.attempt(self, set_quality)


CLASSES = (SPLATWRIGHT_OT_extract_mesh, SPLATWRIGHT_OT_fetch_mesh, SPLATWRIGHT_OT_set_mesh_quality)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
