# pyright: reportAttributeAccessIssue=false
"""What the user chooses about splats in renders: `Scene.splatwright.render`."""

from __future__ import annotations

from typing import Any

import bpy

from ..protocol import errors


def _changed(self: Any, _context: object) -> None:
    """Nodes that are in follow the choice."""
    from . import current, render_nodes  # they look at scenes, which know their properties

    try:
        render_nodes.follow_choices(self.id_data)
    except errors.UserError as error:
        current.tell(error)


class RenderProperties(bpy.types.PropertyGroup):
    color: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Color",
        description="How the splats' colors become those of the picture",
        items=[
            ("MATCH", "Match Photos", "Splats look as in their photos, whatever the view transform is", "NONE", 0),
            (
                "VIEW",
                "View Transform",
                "Splats are light like everything else, and the view transform changes them with the scene",
                "NONE",
                1,
            ),
        ],
        default="MATCH",
        options=set(),
        update=_changed,
    )
    depth: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Depth From",
        description="What hides splats in F12 and animations",
        items=[
            ("MESHES", "Meshes (Exact)", "Everything with faces, exact along its edges", "NONE", 0),
            (
                "Z_PASS",
                "Z Pass, 16 Slices",
                "Whatever the renderer draws, hair too; splats are cut at 16 depths and are soft in between",
                "NONE",
                1,
            ),
        ],
        default="MESHES",
        options=set(),
        update=_changed,
    )
    write_passes: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Write Passes",
        description=(
            "Also write a float EXR beside each picture: the scene, the splats and their depth, as light and before "
            "the view transform"
        ),
        options=set(),
        update=_changed,
    )


def register() -> None:
    bpy.utils.register_class(RenderProperties)


def unregister() -> None:
    bpy.utils.unregister_class(RenderProperties)
