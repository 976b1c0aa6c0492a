# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""The mesh that splats are bound to, as an object: with files that hold it, and for splats that were trained on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

from ..host import extracted_meshes, objects
from ..protocol import errors, messages
from . import asking
from .chosen_splats import can_choose, chosen_splats

if TYPE_CHECKING:
    from ..protocol import remote


class SPLATWRIGHT_OT_add_bound_mesh(bpy.types.Operator):
    bl_idname = "splatwright.add_bound_mesh"
    bl_label = "Add the Bound Mesh"
    bl_description = "Make an object of the mesh that the active splats are bound to, and let them follow it"
    bl_options = {"REGISTER"}

    object: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Splats", description="The splat object; empty: the active one", options={"HIDDEN"}
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        return asking.can_ask(cls) and can_choose(cls, context)

    def execute(self, context: Any) -> set[Any]:
        return asking.attempt(self, lambda: self._add(context))

    def _add(self, context: Any) -> None:
        splats = chosen_splats(self.object, context)
        name, asset, version = splats.name, splats.splatwright.asset, objects.shown_version(splats)

        def fetch(backend: remote.Backend) -> messages.MeshData:
            return backend.bound_mesh(asset, version)

        def add(data: messages.MeshData) -> None:
            if name in bpy.data.objects:
                made = add_mesh(bpy.context, bpy.data.objects[name], data)
                objects.push_undo(f"Add {made.name}")

        asking.ask(fetch, add)


def bound_mesh_of(backend: remote.Backend, asset: str) -> messages.MeshData | None:
    """None where the asset's newest version is not bound. Needs no Blender."""
    try:
        return backend.bound_mesh(asset)
    except errors.UserError as error:
        if error.kind != "not_found":
            raise
        return None


def add_mesh(context: Any, splats: Any, data: messages.MeshData) -> bpy.types.Object:
    """An object that the splats follow: drawn as wires, so that it neither hides them nor appears in renders."""
    made = extracted_meshes.create(context, f"{splats.name} mesh", data, splats)
    made.display_type, made.hide_render = "WIRE", True
    splats.splatwright.mesh = made
    return made


def register() -> None:
    bpy.utils.register_class(SPLATWRIGHT_OT_add_bound_mesh)


def unregister() -> None:
    bpy.utils.unregister_class(SPLATWRIGHT_OT_add_bound_mesh)
