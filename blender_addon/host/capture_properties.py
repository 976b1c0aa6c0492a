"""What the user chooses about capturing this scene."""

from __future__ import annotations

import math
from typing import Any

import bpy

from ..core.settings_enum import enum_number
from . import capture_preview


def _on_change(self: CaptureProperties, context: bpy.types.Context) -> None:
    capture_preview.refresh(context, self)


def _choice(name: str, description: str, items: tuple[tuple[str, str, str], ...], **more: Any) -> Any:
    numbered = [(word, label, text, enum_number(word)) for word, label, text in items]
    return bpy.props.EnumProperty(name=name, description=description, items=numbered, default=items[0][0], **more)


class CaptureProperties(bpy.types.PropertyGroup):
    source: _choice(  # type: ignore[valid-type]
        "Cameras",
        "Which cameras take the pictures",
        (
            ("AROUND", "Around the Selection", "Cameras all around the selected objects, or around everything"),
            ("CAMERAS", "Selected Cameras", "The selected cameras, or the scene's camera, over the chosen frames"),
        ),
        update=_on_change,
    )
    count: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Views",
        description="How many pictures are rendered",
        default=60,
        min=4,
        max=5000,
        soft_max=300,
        update=_on_change,
    )
    arrangement: _choice(  # type: ignore[valid-type]
        "Arrangement",
        "How the cameras are spread",
        (
            ("FIBONACCI", "Even", "Every camera has the same room around it"),
            ("RINGS", "Rings", "Level rings one above the other"),
        ),
        update=_on_change,
    )
    rings: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Rings",
        description="How many rings stand one above the other",
        default=4,
        min=1,
        max=100,
        update=_on_change,
    )
    lowest: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Lowest",
        description="Elevation of the lowest cameras; 0 is level with the object, negative is below it",
        default=math.radians(-20),
        min=-math.pi / 2,
        max=math.pi / 2,
        subtype="ANGLE",
        update=_on_change,
    )
    highest: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Highest",
        description="Elevation of the highest cameras; 90 degrees is straight above",
        default=math.radians(75),
        min=-math.pi / 2,
        max=math.pi / 2,
        subtype="ANGLE",
        update=_on_change,
    )
    distance: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Distance",
        description="From the middle of the objects to the cameras (0 = so that the objects just fit)",
        default=0.0,
        min=0.0,
        subtype="DISTANCE",
        update=_on_change,
    )
    lens: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Lens",
        description="Focal length of the cameras in millimetres, on a sensor of 36 mm",
        default=50.0,
        min=8.0,
        max=500.0,
        update=_on_change,
    )
    jitter: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Jitter",
        description="How far cameras leave their places at random, in distances between neighbours",
        default=0.0,
        min=0.0,
        max=1.0,
        update=_on_change,
    )
    seed: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Seed", description="Another number, other random places", default=0, min=0, update=_on_change
    )
    animated: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Frames", description="The chosen cameras take a picture in each frame of a range", default=False
    )
    spread: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Over Frames",
        description="The pictures around the selection are spread over the frames of a range, each in its own pose",
        default=False,
    )
    frame_start: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="From", description="The first frame in which pictures are taken", default=1
    )
    frame_end: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="To", description="The last frame in which pictures are taken", default=1
    )
    frame_step: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Every", description="One picture in so many frames", default=1, min=1
    )
    engine: _choice(  # type: ignore[valid-type]
        "Engine",
        "What renders the pictures",
        (
            ("CYCLES", "Cycles", "Exact light; slow"),
            ("EEVEE", "EEVEE", "Quick where there is a graphics card"),
            ("WORKBENCH", "Workbench", "The colours of the solid view; a quick look"),
        ),
    )
    samples: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Samples", description="Rays a pixel; more is less noise", default=64, min=1, max=16384
    )
    denoise: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Denoise", description="Cycles takes the noise out of each picture", default=True
    )
    width: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Width",
        description="Of the pictures around the selection, in pixels; chosen cameras use the scene's resolution",
        default=800,
        min=16,
        max=16384,
        update=_on_change,
    )
    height: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Height",
        description="Of the pictures around the selection, in pixels; chosen cameras use the scene's resolution",
        default=800,
        min=16,
        max=16384,
        update=_on_change,
    )
    transparent: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Transparent",
        description="The world's background is left out of the pictures, so that the splats are of the objects alone",
        default=True,
    )
    only_selected: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Only Selected", description="Objects that are not selected are left out of the pictures", default=False
    )
    points: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="Points",
        description="Points on the surfaces that the training starts from (0 = the backend finds its own)",
        default=20_000,
        min=0,
        max=5_000_000,
    )
    meshes: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Meshes", description="The meshes themselves are put beside the pictures", default=False
    )
    folder: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Folder",
        description="Where the pictures are put; // is the folder of the .blend file",
        default="//splatwright_capture",
        subtype="DIR_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    existing: _choice(  # type: ignore[valid-type]
        "If There Is One",
        "What happens when the folder holds a capture already",
        (
            ("KEEP", "Keep", "Nothing is captured, and it says so"),
            ("REPLACE", "Replace", "The pictures of the earlier capture are deleted when the new ones are done"),
            ("EXTEND", "Extend", "The new pictures are added to the earlier ones"),
        ),
    )


def register() -> None:
    bpy.utils.register_class(CaptureProperties)


def unregister() -> None:
    bpy.utils.unregister_class(CaptureProperties)
