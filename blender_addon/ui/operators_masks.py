# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
"""Tells objects' splats apart by outlines drawn around them, masks of photos, or pass indices (FlashSplat)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

from ..core.gestures import Shape
from ..core.selecting import Shown
from ..host import index_masks, selections, view_masks
from ..protocol import errors, selecting, things
from . import asking
from .chosen_splats import object_called
from .operators_gestures import DrawnOperator
from .operators_select import UNDO_LABEL, SelectOperator, SplatsOperator

if TYPE_CHECKING:
    pass

_MOST_VIEWS = 60  # of one request


class SPLATWRIGHT_OT_draw_mask(DrawnOperator, bpy.types.Operator):
    bl_idname = "splatwright.draw_mask"
    bl_label = "Outline an Object"
    bl_description = "Draw around an object; do so in a few views from different sides, then tell its splats apart"

    def shape_drawn(self) -> Shape:
        return "lasso"

    def act(self, context: Any, splats: Any) -> None:
        if len(self.path) < 3:
            raise errors.UserError("bad_input", "An outline needs three corners.", "Give more places of its path.")
        camera, world = self.view(context, splats)
        outline = self.in_picture((place.loc for place in self.path), camera.height)
        own = splats.splatwright
        view_masks.add(
            own.asset,
            own.version,
            selecting.MaskedView(camera=camera, world_from_object=world, outlines=(outline,)),
        )


class SPLATWRIGHT_OT_clear_masks(SplatsOperator, bpy.types.Operator):
    bl_idname = "splatwright.clear_masks"
    bl_label = "Clear Outlines"
    bl_description = "Forget what was drawn around objects"

    def act(self, context: Any, splats: Any) -> None:
        view_masks.clear(splats.splatwright.asset, splats.splatwright.version)


class SPLATWRIGHT_OT_label_splats(SplatsOperator, bpy.types.Operator):
    bl_idname = "splatwright.label_splats"
    bl_label = "Tell Apart"
    bl_description = "Work out from all outlines which splats belong to the object, and select them"

    capture: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Capture",
        description="A folder of photos whose masks are taken, too; empty: only what was drawn",
        subtype="DIR_PATH",
    )

    def act(self, context: Any, splats: Any) -> None:
        views = view_masks.of(splats.splatwright.asset, splats.splatwright.version)
        capture = things.FolderCapture(path=bpy.path.abspath(self.capture)) if self.capture else None
        if not views and capture is None:
            raise errors.UserError("bad_input", "Nothing is outlined.", "Draw around the object in a few views first.")
        _tell_apart(context, splats, views, capture)


class SPLATWRIGHT_OT_label_by_index(SplatsOperator, bpy.types.Operator):
    bl_idname = "splatwright.label_by_index"
    bl_label = "Tell Apart by Pass Index"
    bl_description = (
        "Render which meshes each camera sees, and work out from that which splats belong to the object of each "
        "Pass Index (in a mesh's properties, under Relations); of the selected cameras, or of all"
    )

    cameras: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Cameras", description="Their names, one a line; empty: the selected ones, or all of the scene"
    )

    def act(self, context: Any, splats: Any) -> None:
        named = [object_called(name) for name in self.cameras.splitlines()]
        chosen = [item for item in context.selected_objects if item.type == "CAMERA"]
        seen_by = named or chosen or [item for item in context.scene.objects if item.type == "CAMERA"]
        if not 1 <= len(seen_by) <= _MOST_VIEWS:
            message = f"There are {len(seen_by)} cameras to look through." if seen_by else "The scene has no camera."
            raise errors.UserError("bad_input", message, f"Select 1 to {_MOST_VIEWS}, from different sides.")
        _tell_apart(context, splats, index_masks.render(context.scene, splats, seen_by), None)


def _tell_apart(
    context: Any, splats: Any, views: tuple[selecting.MaskedView, ...], capture: things.FolderCapture | None
) -> None:
    """Begins the job that does, and selects the object that is chosen when it ends. Raises UserError."""
    name, own = splats.name, splats.splatwright
    wish = selecting.LabelSplats(asset=own.asset, version=own.version, hidden=own.hidden, views=views, capture=capture)
    chosen = context.scene.splatwright.select
    label, bias = chosen.object_number, chosen.bias

    def ended(state: things.JobState) -> None:
        if state.status == "finished" and name in bpy.data.objects:
            by = selecting.Labelled(label=label, bias=bias)
            selections.change(selections.Change(name, lambda now: now.select(by), Shown.with_selected, UNDO_LABEL))

    asking.run_job(wish, ended)


class SPLATWRIGHT_OT_select_labelled(SelectOperator, bpy.types.Operator):
    bl_idname = "splatwright.select_labelled"
    bl_label = "Select Object"
    bl_description = "Select the splats of an object that was told apart"

    label: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Object", description="Its number in the masks; 0: what is no object", default=1, min=0, max=254
    )
    bias: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Background Bias", description="Above 0 fewer and surer splats, below 0 more", min=-1, max=1
    )

    def selector(self, context: Any, splats: Any) -> selecting.Selector:
        return selecting.Labelled(label=self.label, bias=self.bias)


CLASSES: tuple[type[Any], ...] = (
    SPLATWRIGHT_OT_draw_mask,
    SPLATWRIGHT_OT_clear_masks,
    SPLATWRIGHT_OT_label_splats,
    SPLATWRIGHT_OT_label_by_index,
    SPLATWRIGHT_OT_select_labelled,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
