"""A small tower that is captured: its scene, and what a capture of it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bpy

VIEWS = 6


def make() -> Any:
    """The scene: a tower that looks different from every side, a lamp, and quick choices for a capture."""
    scene: Any = bpy.context.scene
    for size, place, color in ((2.0, (0, 0, 0), (1, 0, 0, 1)), (1.0, (0.5, 0.2, 1.5), (0, 1, 0, 1))):
        bpy.ops.mesh.primitive_cube_add(size=size, location=place)
        material = bpy.data.materials.new("Paint")
        material.use_nodes = True
        next(n for n in material.node_tree.nodes if n.type == "BSDF_PRINCIPLED").inputs[
            "Base Color"
        ].default_value = color
        bpy.context.object.data.materials.append(material)
    bpy.ops.object.light_add(type="SUN", location=(0, 0, 5))
    bpy.ops.object.select_all(action="DESELECT")
    chosen = scene.splatwright.capture
    chosen.count, chosen.width, chosen.height = VIEWS, 96, 64
    chosen.samples, chosen.denoise, chosen.points = 1, False, 500
    return scene


def capture(folder: Path, **options: Any) -> set[str]:
    return bpy.ops.splatwright.capture_scene(folder=str(folder), **options)


def told(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "transforms.json").read_text())


def everything(scene: Any) -> dict[str, Any]:
    """All that can be set about the scene and its render, and what objects there are."""
    owners = {
        "scene": scene,
        "render": scene.render,
        "image": scene.render.image_settings,
        "view": scene.view_settings,
        "display": scene.display_settings,
        "cycles": scene.cycles,
        "eevee": scene.eevee,
        **{f"lens of {camera.name}": camera.dof for camera in bpy.data.cameras},
    }
    values = {
        f"{owner}.{prop.identifier}": repr(getattr(thing, prop.identifier))
        for owner, thing in owners.items()
        for prop in thing.bl_rna.properties
        if prop.type in ("BOOLEAN", "INT", "FLOAT", "STRING", "ENUM")
    }
    objects = [(o.name, o.hide_render, o.select_get(), tuple(map(tuple, o.matrix_world))) for o in bpy.data.objects]
    counts = {"cameras": len(bpy.data.cameras), "meshes": len(bpy.data.meshes)}
    camera = scene.camera.name if scene.camera else None
    return {**values, "objects": objects, "camera": camera, **counts}


def unusual(scene: Any) -> None:
    """Settings that a capture cannot use."""
    render = scene.render
    bpy.ops.object.camera_add(location=(9, 9, 9))
    scene.camera = bpy.context.object
    scene.camera.data.dof.use_dof = True
    bpy.ops.object.select_all(action="DESELECT")
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "MULTI_LAYER_IMAGE"
    render.image_settings.file_format = "OPEN_EXR_MULTILAYER"
    render.engine, render.resolution_percentage, render.pixel_aspect_x = "BLENDER_WORKBENCH", 37, 1.5
    render.use_border = render.use_crop_to_border = render.use_stamp = render.use_motion_blur = True
    render.border_max_x, render.filepath, render.dither_intensity = 0.5, "//mine", 2.0
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Punchy"
    scene.view_settings.exposure, scene.view_settings.use_curve_mapping = 1.5, True
    scene.frame_set(7, subframe=0.25)
    # Looking once brings what Blender works out by itself up to date.
    everything(scene)
