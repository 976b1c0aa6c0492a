# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Puts a box or a ball that is seen into the scene, for splats to be selected, kept or cut by what it encloses."""

from __future__ import annotations

from typing import Any

import bpy
from mathutils import Vector

from ..host import current, objects, regions
from ..protocol import selecting
from .chosen_splats import active_splats, in_object_mode
from .operators_pick import PickOperator
from .operators_select import SelectOperator, region

_SHARE = 0.25  # of the size of the splats, that a new volume reaches from its middle
_DISPLAYS = {"BOX": "CUBE", "BALL": "SPHERE"}
SHAPES = [("BOX", "Box", "", "MESH_CUBE", 0), ("BALL", "Ball", "", "MESH_UVSPHERE", 1)]


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
        items=SHAPES,
        default="BOX",
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not in_object_mode(cls, context, why=""):
            return False
        if active_splats(context) is None:
            cls.poll_message_set("Select a splat object first")
            return False
        return True

    def execute(self, context: Any) -> set[Any]:
        splats = active_splats(context)
        assert splats is not None
        _made(context, splats, self.shape, _middle_of(splats)[0])
        return {"FINISHED"}


class SPLATWRIGHT_OT_place_volume(PickOperator, bpy.types.Operator):
    bl_idname = "splatwright.place_volume"
    bl_label = "Place Volume"
    bl_description = "Put the box or the ball around the splat under the mouse; move, scale and turn it with G, S and R"

    shape: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Shape", description="How it is drawn", items=SHAPES, default="BALL"
    )

    def invoke(self, context: Any, event: Any) -> set[Any]:
        self.shape = context.scene.splatwright.select.volume
        return super().invoke(context, event)

    def act(self, context: Any, splats: Any) -> None:
        name, shape, label = splats.name, self.shape, self.bl_label  # the operator is gone by then

        def picked(found: selecting.PickedSplat) -> None:
            of, volume = bpy.data.objects[name], context.scene.splatwright.box
            if volume is None or volume.parent != of or volume.type != "EMPTY":
                volume = _made(bpy.context, of, shape, found.position)
            volume.empty_display_type, volume.location = _DISPLAYS[shape], found.position
            objects.select(bpy.context, volume)
            objects.push_undo(label)
            current.redraw()

        self.pick(context, splats, picked)


class SPLATWRIGHT_OT_select_volume(SelectOperator, bpy.types.Operator):
    bl_idname = "splatwright.select_volume"
    bl_label = "Select in Volume"
    bl_description = "Select splats within the box or the ball that was put into the scene, as it stands now"

    def selector(self, context: Any, splats: Any) -> selecting.Selector:
        box = region(context, "")
        matrix = regions.asset_from_box(splats, box, context.evaluated_depsgraph_get())
        if box.type == "EMPTY" and box.empty_display_type == "SPHERE":
            return selecting.InSphere(asset_from_sphere=matrix)
        return selecting.InBox(asset_from_box=matrix)


def _middle_of(splats: Any) -> tuple[Vector, float]:
    """Of the box around them, in their own frame, and how long its diagonal is."""
    corners: list[Any] = [tuple(corner) for corner in splats.bound_box]
    low, high = (Vector([pick(side) for side in zip(*corners, strict=True)]) for pick in (min, max))
    return (low + high) / 2, (high - low).length


def _made(context: Any, splats: Any, shape: str, place: Any) -> Any:
    """The scene's box from now on, selected. place: in the splats' own frame."""
    volume = bpy.data.objects.new(f"{splats.name} {shape.lower()}", None)
    volume.empty_display_type, volume.empty_display_size = _DISPLAYS[shape], 1.0
    volume.parent = splats  # it is about these, and goes where they go
    volume.location, volume.scale = place, [_SHARE * max(_middle_of(splats)[1], 1e-6)] * 3
    (context.collection or context.scene.collection).objects.link(volume)
    context.scene.splatwright.box = volume
    objects.select(context, volume)
    return volume


CLASSES: tuple[type[Any], ...] = (
    SPLATWRIGHT_OT_add_volume,
    SPLATWRIGHT_OT_place_volume,
    SPLATWRIGHT_OT_select_volume,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
