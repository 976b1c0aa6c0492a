# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""What can be done with splats that are bound: let go of their mesh, or bind them again after it was changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

from ..host import bindings, current, meshes, objects, properties, rebinding, regions, rest_surfaces
from ..protocol import errors, messages
from . import asking, operators_methods
from .chosen_splats import active_splats, chosen_splats, in_object_mode

if TYPE_CHECKING:
    from ..protocol import remote


def _chosen(name: str, context: Any) -> bpy.types.Object:
    """The splats that an operator is about. Raises UserError unless they follow a mesh."""
    splats = chosen_splats(name, context)
    if splats.splatwright.mesh is None:
        raise errors.UserError("bad_input", f"'{splats.name}' follows no mesh.", "Bind it to one first.")
    return splats


def _may_be_chosen(operator: Any, context: Any) -> bool:
    if not current.is_interactive():
        return True  # the object may be given by name
    splats: Any = active_splats(context)
    if splats is None or splats.splatwright.mesh is None:
        operator.poll_message_set("Select splats that follow a mesh first")
        return False
    return True


class SPLATWRIGHT_OT_unbind_splats(bpy.types.Operator):
    bl_idname = "splatwright.unbind_splats"
    bl_label = "Unbind"
    bl_description = "Let the splats stay at rest. Their binding is kept: choose the mesh again, and they follow it"
    bl_options = {"REGISTER", "UNDO"}

    object: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Splats", description="The splat object; empty: the active one", options={"HIDDEN"}
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        return _may_be_chosen(cls, context)

    def execute(self, context: Any) -> set[Any]:
        def unbind() -> None:
            splats: Any = _chosen(self.object, context)
            splats.splatwright.mesh = None

        return asking.attempt(self, unbind)


class SPLATWRIGHT_OT_bind_again(bpy.types.Operator):
    bl_idname = "splatwright.bind_again"
    bl_label = "Bind Again"
    bl_description = "Bind the splats to their mesh as it is now, where its surface at rest is still the same one"
    bl_options = {"REGISTER"}

    object: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Splats", description="The splat object; empty: the active one", options={"HIDDEN"}
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        return asking.can_ask(cls) and _may_be_chosen(cls, context) and in_object_mode(cls, context)

    def execute(self, context: Any) -> set[Any]:
        return asking.attempt(self, lambda: _bind_again(_chosen(self.object, context), context.scene))


def _bind_again(splats: Any, scene: Any, *, by_itself: bool = False) -> None:
    """As they were bound before: with its settings, vertex groups and pose, whatever the panel says now.

    The version that is shown holds the splats at rest, so that it can be bound to any mesh of the same surface.
    by_itself: nobody has asked for it, so that what speaks against it is said in the Rig panel alone.
    """
    name, asset, version = splats.name, splats.splatwright.asset, objects.shown_version(splats)
    operators_methods.refuse_busy(splats)
    scene_name = scene.name

    def fetch(backend: remote.Backend) -> messages.MeshData:
        return backend.bound_mesh(asset, version)

    def compare(before: messages.MeshData) -> None:
        splats: Any = bpy.data.objects.get(name)
        scene: Any = bpy.data.scenes.get(scene_name)
        method = properties.method_called("bind")
        if splats is None or scene is None or splats.splatwright.mesh is None or method is None:
            return
        if by_itself and not rebinding.may_bind(splats):  # meanwhile somebody has begun to edit
            return
        own = splats.splatwright
        groups = regions.Groups(own.mesh_strength, own.mesh_far)
        try:
            rig = regions.rig_of(splats, own.mesh, groups, at_rest=own.mesh_at_rest)
            rest_surfaces.refuse_another(own.mesh.name, before, meshes.Mesh(rig["vertices"], rig["faces"]))
        except errors.UserError as error:
            if not by_itself:
                raise
            bindings.say_trouble(splats, str(error))
            return
        leader = operators_methods.Leader.now(own.mesh, groups, at_rest=own.mesh_at_rest)
        operators_methods.begin(scene, method, splats, rig, leader, {"as_before": True})

    asking.ask(fetch, compare)


def _bind_by_itself(splats: Any) -> None:
    """Called by the tick, which shows what goes wrong."""
    _bind_again(splats, bpy.context.scene, by_itself=True)


CLASSES = (SPLATWRIGHT_OT_unbind_splats, SPLATWRIGHT_OT_bind_again)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    rebinding.listen(_bind_by_itself)


def unregister() -> None:
    rebinding.listen(None)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
