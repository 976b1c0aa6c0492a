# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Puts a box or a ball that is seen into the scene, for splats to be selected, kept or cut by what it encloses."""

from __future__ import annotations

from typing import Any

import bpy
from mathutils import Vector

from ..host import objects
from .chosen_splats import active_splats

_SHARE = 0.25  # of the size of the splats, that a new volume reaches from its middle
_DISPLAYS = {"BOX": "CUBE", "BALL": "SPHERE"}


class SPLATWRIGHT_OT_add_volume(bpy.types.Operator):
    bl_idname = "splatwright.add_volume"
    bl_label = "Add Volume"
    bl_description = (
        "Put an Empty, drawn as a box or a ball, into the middle of the splats; move, scale and turn it around what "
        "you want, then select what it encloses"
    )
    bl_options = {"REGISTER", "UNDO"}

    shape: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Shape",
        description="How it is drawn",
        items=[("BOX", "Box", "", "MESH_CUBE", 0), ("BALL", "Ball", "", "MESH_UVSPHERE", 1)],
        default="BOX",
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        if context.mode != "OBJECT":
            cls.poll_message_set("Go to Object Mode first")
            return False
        if active_splats(context) is None:
            cls.poll_message_set("Select a splat object first")
            return False
        return True

    def execute(self, context: Any) -> set[Any]:
        splats = active_splats(context)
        assert splats is not None
        corners: list[Any] = [tuple(corner) for corner in splats.bound_box]
        low, high = (Vector([pick(side) for side in zip(*corners, strict=True)]) for pick in (min, max))
        volume = bpy.data.objects.new(f"{splats.name} {self.shape.lower()}", None)
        volume.empty_display_type, volume.empty_display_size = _DISPLAYS[self.shape], 1.0
        volume.parent = splats  # it is about these, and goes where they go
        volume.location, volume.scale = (low + high) / 2, [_SHARE * max((high - low).length, 1e-6)] * 3
        (context.collection or context.scene.collection).objects.link(volume)
        context.scene.splatwright.box = volume
        objects.select(context, volume)
        return {"FINISHED"}


def register() -> None:
    bpy.utils.register_class(SPLATWRIGHT_OT_add_volume)


def unregister() -> None:
    bpy.utils.unregister_class(SPLATWRIGHT_OT_add_volume)
