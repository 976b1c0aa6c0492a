"""What the user chooses about selecting splats: `Scene.splatwright.select`."""

from __future__ import annotations

from typing import Any

import bpy

from ..core import gestures, settings_enum
from ..protocol import selecting

ATTRIBUTES = (
    ("opacity", "Opacity", "How much a splat hides what is behind it, 0 to 1"),
    ("size", "Size", "The longest of the three radii of a splat, in units of the splats' own frame"),
    ("elongation", "Elongation", "The longest radius in shortest ones: 1 is a ball, a needle has a high one"),
    ("distance", "Distance", "From the middle of all splats, in units of the splats' own frame"),
    ("sh_energy", "View Dependence", "How much a splat's color changes with the direction it is seen from"),
    ("visibility", "Visibility", "How much is seen of a splat: 1 is as much as of the mean one. Press Prepare first"),
    ("confidence", "Confidence", "How sure it is to which object a splat belongs, 0 to 1. Press Tell Apart first"),
    ("x", "X", "Of the centre, in the splats' own frame"),
    ("y", "Y", "Of the centre, in the splats' own frame"),
    ("z", "Z", "Of the centre, in the splats' own frame"),
    ("label", "Object", "The number of the object that a splat belongs to; 0 is none. Press Tell Apart first"),
)

# Blender 4.5 does not see names of this module in a loop within an annotation.
_ATTRIBUTE_ITEMS: list[Any] = [(*item, "NONE", settings_enum.enum_number(item[0])) for item in ATTRIBUTES]


def _bias_chosen(self: Any, context: Any) -> None:
    """The object that was told apart is selected again, as the slider goes."""
    from . import current, objects, selections

    splats = context.view_layer.objects.active if current.is_interactive() else None
    if splats is None or not objects.is_splats(splats) or not selections.knows_labels(splats):
        return
    selections.change_soon(splats, selecting.Labelled(label=self.object_number, bias=self.bias))


def _range_chosen(self: Any, context: Any) -> None:
    """What lies between the two values is selected again, as the sliders go."""
    from . import current, histograms, objects, selections

    splats = context.view_layer.objects.active if current.is_interactive() else None
    if splats is None or not objects.is_splats(splats) or histograms.is_fitting:
        return
    by = selecting.InRange(attribute=self.attribute, low=self.low, high=self.high)
    selections.change_soon(splats, by, "Select by Range")


def _attribute_chosen(self: Any, context: Any) -> None:
    from . import histograms, objects

    splats = context.view_layer.objects.active
    if splats is not None and objects.is_splats(splats):
        histograms.fit_soon(self, splats.splatwright.asset, splats.splatwright.version)


class SelectionProperties(bpy.types.PropertyGroup):
    surface_only: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Surface Only",
        description="Only splats that are seen, not what lies behind them",
        options=set(),
    )
    show_centers: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Show Centers",
        description="Draw a point at the centre of each splat of the active object, also where others hide it",
        options=set(),
    )
    brush_radius: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Radius",
        description="Of the brush, in pixels; the keys [ and ] change it",
        default=30,
        min=gestures.SMALLEST_RADIUS,
        max=gestures.LARGEST_RADIUS,
        soft_max=200,
        subtype="PIXEL",
        options=set(),
    )
    color: bpy.props.FloatVectorProperty(  # type: ignore[valid-type]
        name="Color",
        description="Splats of about this color are selected",
        subtype="COLOR_GAMMA",
        size=3,
        default=(0.5, 0.5, 0.5),
        min=0,
        max=1,
        options=set(),
    )
    tolerance: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Tolerance",
        description="How far a splat's color may be from the one that is looked for, 0 to 1",
        default=0.1,
        min=0,
        max=1,
        subtype="FACTOR",
        options=set(),
    )
    attribute: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Attribute",
        description="What splats are selected by",
        items=_ATTRIBUTE_ITEMS,
        default="opacity",
        options=set(),
        update=_attribute_chosen,
    )
    bias: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Background Bias",
        description="Above 0 fewer and surer splats belong to the object, below 0 more",
        default=0,
        min=-1,
        max=1,
        subtype="FACTOR",
        options=set(),
        update=_bias_chosen,
    )
    object_number: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Object",
        description="Which of the objects that were told apart: its pass index, 1 for outlines; 0 is the rest",
        default=1,
        min=0,
        max=254,
        options=set(),
        update=_bias_chosen,
    )
    volume: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Volume",
        description="What a click puts around a splat",
        items=[("BOX", "Box", "", "MESH_CUBE", 0), ("BALL", "Ball", "", "MESH_UVSPHERE", 1)],
        default="BALL",
        options=set(),
    )
    set_name: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Name", description="Under which a selection is kept", default="Set", maxlen=60
    )
    low: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="From",
        description="The lowest value that is selected; what is in the range is selected while you drag",
        default=0,
        precision=3,
        options=set(),
        update=_range_chosen,
    )
    high: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="To",
        description="The highest value that is selected; what is in the range is selected while you drag",
        default=0.1,
        precision=3,
        options=set(),
        update=_range_chosen,
    )


def register() -> None:
    bpy.utils.register_class(SelectionProperties)


def unregister() -> None:
    bpy.utils.unregister_class(SelectionProperties)
