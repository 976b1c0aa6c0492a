"""The colour management of a scene with splats: what of it goes into our nodes, and what cannot."""

from __future__ import annotations

from typing import Any

import bpy
import msgspec

from ..protocol import errors

# View transforms as colour spaces, for Blender 4.5; from 5.0 on a node knows all views with their looks.
ENCODINGS = {"Standard": "sRGB", "AgX": "AgX Base sRGB", "Filmic": "Filmic sRGB"}
_NO_LOOK = ("", "None")
_CLOSE = 1e-6


class View(msgspec.Struct, frozen=True):
    """What of Color Management goes into the nodes."""

    view_transform: str = "Standard"
    look: str = "None"
    exposure: float = 0.0
    gamma: float = 1.0

    @property
    def has_look(self) -> bool:
        return self.look not in _NO_LOOK


NEUTRAL = View()  # how the scene's view is while ours is in the nodes


def view_of(scene: bpy.types.Scene) -> View:
    view: Any = scene.view_settings
    return View(view.view_transform, view.look or "None", view.exposure, view.gamma)


def apply(scene: bpy.types.Scene, view: View) -> None:
    settings: Any = scene.view_settings
    settings.view_transform = view.view_transform
    settings.look = view.look  # exists only within its view transform
    settings.exposure, settings.gamma = view.exposure, view.gamma


def knows_all_views() -> bool:
    return hasattr(bpy.types, "CompositorNodeConvertToDisplay")


def refuse(scene: bpy.types.Scene, view: View) -> None:
    """Raises UserError for what cannot go into our nodes."""
    settings, display = scene.view_settings, scene.display_settings
    where = "in Color Management, or choose the color 'View Transform' for the splats."
    if display.display_device != "sRGB":
        message = f"Splats match their photos only on the display device sRGB, not '{display.display_device}'."
        raise errors.UserError("unsupported", message, f"Choose sRGB {where}")
    if scene.render.image_settings.color_management == "OVERRIDE":
        message = "Splats cannot match their photos where the output has a color management of its own."
        raise errors.UserError("unsupported", message, "Set it to Follow Scene in the output properties.")
    for name, words in (("use_curve_mapping", "curves"), ("use_white_balance", "a white balance")):
        if getattr(settings, name):
            message = f"Splats cannot be laid over a view with {words}."
            raise errors.UserError("unsupported", message, f"Turn that off {where}")
    if knows_all_views():
        return
    if view.view_transform not in ENCODINGS:
        message = f"Splats cannot be laid over the view transform '{view.view_transform}'."
        raise errors.UserError("unsupported", message, f"Choose one of {', '.join(ENCODINGS)} {where}")
    if view.has_look:
        message = f"Splats cannot be laid over a scene with the look '{view.look}'."
        raise errors.UserError("unsupported", message, f"Set the look to None {where}")


def changed_since(scene: bpy.types.Scene) -> bool:
    """Whether somebody has changed the view that our nodes have set to neutral."""
    settings, now = scene.view_settings, view_of(scene)
    return (
        now.view_transform != NEUTRAL.view_transform
        or now.has_look
        or abs(now.exposure) > _CLOSE
        or abs(now.gamma - 1) > _CLOSE
        or settings.use_curve_mapping
        or settings.use_white_balance
    )


def wanted(scene: bpy.types.Scene, in_nodes: View) -> View:
    """The view that the user wants: the one in the nodes, with what was changed at the scene since."""
    now = view_of(scene)
    has_view = now.view_transform != NEUTRAL.view_transform
    look = now.look if now.has_look or has_view else in_nodes.look
    return View(
        now.view_transform if has_view or now.has_look else in_nodes.view_transform,
        look,
        in_nodes.exposure + now.exposure,
        in_nodes.gamma * now.gamma,
    )
