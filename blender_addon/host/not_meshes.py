"""What a scene renders that has no mesh, so that meshes alone do not say where it hides splats."""

from __future__ import annotations

from typing import Any

import bpy

_KINDS = {"CURVES": "hair", "POINTCLOUD": "points", "VOLUME": "volumes", "GREASEPENCIL": "grease pencil"}

WITHOUT_DEPTH = frozenset({"volumes", "grease pencil"})  # renderers leave them out of their Z pass


def found_in(scene: bpy.types.Scene) -> tuple[str, ...]:
    """What there is, each kind once, as words of a sentence."""
    kinds = {_KINDS[item.type] for item in scene.objects if item.type in _KINDS and not item.hide_render}
    if any(_has_particles(item) for item in scene.objects if not item.hide_render):
        kinds.add("hair")
    if scene.render.engine == "CYCLES" and any(_is_displaced(material) for material in bpy.data.materials):
        kinds.add("displacement")
    return tuple(sorted(kinds))


def may_hide_splats(scene: bpy.types.Scene) -> bool:
    """Whether the renderer knows the depth of something that has no mesh."""
    return bool(set(found_in(scene)) - WITHOUT_DEPTH)


def _has_particles(item: Any) -> bool:
    return any(
        system.settings.type == "HAIR" and system.settings.render_type == "PATH" for system in item.particle_systems
    )


def _is_displaced(material: Any) -> bool:
    if material.displacement_method == "BUMP" or material.node_tree is None or not material.users:
        return False
    outputs = [node for node in material.node_tree.nodes if node.bl_idname == "ShaderNodeOutputMaterial"]
    return any(node.inputs["Displacement"].is_linked for node in outputs)
