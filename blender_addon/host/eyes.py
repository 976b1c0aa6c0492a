"""What is known of every region of a 3D view: what it shows, what it was answered, what hides splats in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import bpy
import msgspec

from ..core import overlay
from ..protocol import things
from . import hiding_meshes, local_display, overlay_drawing, view_surface

_numbers = itertools.count(1)

# Of a viewport, beside its local view: what decides which objects it shows, and how what hides splats is drawn.
_FILTERS = tuple(
    f"show_object_viewport_{kind}"
    for kind in (
        *("mesh", "curve", "curves", "surf", "meta", "font", "pointcloud", "volume", "grease_pencil"),
        *("armature", "lattice", "empty", "light", "light_probe", "camera", "speaker"),
    )
)
_SHADINGS = ("type", "show_xray", "show_backface_culling")


by_region: dict[int, Eye] = {}  # by the region's address
state = 0  # of the scene; rises when it, or what the backend can draw of it, has changed
is_stale = True  # the scene has changed since its objects were collected


class Eye(msgspec.Struct):
    """One region that shows the scene; found again by its address, which is never followed."""

    stream: str = msgspec.field(default_factory=lambda: f"viewport {next(_numbers)}")
    view: overlay.View = msgspec.field(default_factory=overlay.View)
    camera: things.ViewCamera | None = None  # with which Blender has drawn last
    filters: tuple[Any, ...] = ()  # of the viewport, as Blender has drawn last
    has_overlays: bool = True
    objects: tuple[things.SceneObject, ...] = ()
    picture: overlay_drawing.DrawnPicture | None = None  # of all splats; hidden by what has a depth in the view
    exact_picture: overlay_drawing.DrawnPicture | None = None  # of those in front of a surface
    looked: int = -1  # at which state of the scene its hiders were looked at
    hiders: hiding_meshes.Hiders | None = None
    hiders_number: int = 0  # as `Wish` counts them
    source: view_surface.Source = "none"  # of the exact surface; "none" as long as the view has not been drawn
    surface: view_surface.Surface | None = None  # that was taken last
    wants_surface: bool = False  # the next drawing of the view takes it
    has_no_surface: bool = False  # taking it has failed
    left_out: str = ""  # an object that is visible here, and whose splats the backend does not have
    notice: str = ""  # what the backend answered instead of the newest picture
    trouble: str = ""  # why the newest picture cannot be drawn
    local: local_display.LocalView = msgspec.field(default_factory=local_display.LocalView)  # where Blender draws

    def look(self, depsgraph: bpy.types.Depsgraph, space: bpy.types.SpaceView3D) -> None:
        """At what may hide the splats, if the scene has changed since."""
        if self.looked == state:
            return
        self.looked = state
        found = hiding_meshes.look(depsgraph, space)
        if self.hiders is None or self.hiders.signature != found.signature:
            self.hiders_number += 1
        self.hiders = found

    def surface_of(self, wish: overlay.Wish) -> view_surface.Surface | None:
        """The surface that is sent along for an exact picture. None = it is yet to be taken."""
        surface = self.surface
        if surface is None or surface.camera != wish.camera or surface.hiders != wish.hiders:
            return None
        return surface


def mark_stale() -> None:
    """The scene, or what the backend can draw of it, has changed; the next tick looks."""
    global is_stale, state
    is_stale = True
    state += 1


def are_waiting() -> bool:
    """Whether a picture is on its way to one of them."""
    return any(eye.view.asked is not None for eye in by_region.values())


def collected() -> None:
    """The objects of all eyes are those of the scene as it is now."""
    global is_stale
    is_stale = False


def filters_of(space: bpy.types.SpaceView3D, region_3d: Any) -> tuple[Any, ...]:
    """What changes what a viewport shows without changing the scene; quick, because it is asked at each drawing."""
    local: Any = space.local_view
    return (
        None if local is None else local.as_pointer(),
        space.use_local_collections,
        space.overlay.show_overlays,
        region_3d.use_clip_planes,
        *(getattr(space.shading, name) for name in _SHADINGS),
        *(getattr(space, name, None) for name in _FILTERS),
    )


def regions() -> Iterator[tuple[bpy.types.Window, bpy.types.SpaceView3D, bpy.types.Region]]:
    """All 3D views of all windows."""
    manager: Any = bpy.context.window_manager
    for window in manager.windows:
        for area in window.screen.areas:
            space = area.spaces.active
            if isinstance(space, bpy.types.SpaceView3D):
                for region in area.regions:
                    if region.type == "WINDOW":
                        yield window, space, region


def redraw(key: int) -> None:
    """key: the region's address."""
    for _, _, region in regions():
        if region.as_pointer() == key:
            region.tag_redraw()
