"""The mesh of the scene that a training hangs its splats on, in the frame of the capture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bpy

from ..core.capture_file import WORLD, WORLD_KEY
from ..protocol import errors
from . import meshes


def fields(mesh: bpy.types.Object | None, capture: Path) -> dict[str, Any]:
    """`vertices` and `faces` of the protocol's `Train`: the mesh with all modifiers, as it stands in this frame.

    Raises UserError without a mesh or without faces, and for a capture that does not stand where the scene stands.
    """
    if mesh is None:
        hint = "Choose the mesh that the photos show."
        raise errors.UserError("bad_input", "No mesh is chosen for the splats to hang on.", hint)
    if not _stands_in_the_scene(capture):
        message = (
            f"'{capture.name}' is no capture of a Blender scene, so nobody knows where '{mesh.name}' stands in it."
        )
        hint = "Capture this scene, or train from the command line with a mesh that stands where the photos show it."
        raise errors.UserError("unsupported", message, hint)
    found = meshes.evaluated_mesh(mesh, bpy.context.evaluated_depsgraph_get(), world=True)
    if not len(found.faces):
        raise errors.UserError("bad_input", f"'{mesh.name}' has no faces.", "Choose a mesh with a surface.")
    return {"vertices": found.vertices, "faces": found.faces}


def _stands_in_the_scene(capture: Path) -> bool:
    try:
        about = json.loads((capture / "transforms.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and about.get(WORLD_KEY) == WORLD
