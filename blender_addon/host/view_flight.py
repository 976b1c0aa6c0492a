"""Moves a viewport to a place, smoothly where somebody looks, and back to where it was."""

from __future__ import annotations

import time
from typing import Any

import bpy
import msgspec
from mathutils import Matrix, Quaternion, Vector

from . import current

_TICK_S = 1 / 60


class Place(msgspec.Struct, frozen=True):
    """Where a viewport stands and how it sees. rotation: w, x, y, z, of the view in the world; lens in mm."""

    location: tuple[float, float, float]  # what it turns around
    rotation: tuple[float, float, float, float]
    distance: float  # from there to the eye
    lens: float
    perspective: str  # PERSP, ORTHO or CAMERA, as `RegionView3D.view_perspective`

    @classmethod
    def of(cls, space: Any, region_3d: Any) -> Place:
        return cls(
            tuple(region_3d.view_location),
            tuple(region_3d.view_rotation),
            region_3d.view_distance,
            space.lens,
            region_3d.view_perspective,
        )

    @classmethod
    def at_eye(cls, world_from_view: Any, distance: float, lens: float) -> Place:
        """world_from_view: [4, 4] in Blender's camera axes. distance: to what the view turns around from then on."""
        matrix: Any = Matrix(world_from_view)
        middle = matrix @ Vector((0, 0, -distance))
        return cls(tuple(middle), tuple(matrix.to_quaternion()), distance, lens, "PERSP")

    @property
    def eye(self) -> Vector:
        return Vector(self.location) + Quaternion(self.rotation) @ Vector((0, 0, self.distance))

    def towards(self, other: Place, share: float) -> Place:
        """The place after that share of the way, 0..1, which both see in perspective."""
        turned: Any = Quaternion(self.rotation).slerp(Quaternion(other.rotation), share)
        distance = self.distance + (other.distance - self.distance) * share
        middle: Any = self.eye.lerp(other.eye, share) - turned @ Vector((0, 0, distance))
        lens = self.lens + (other.lens - self.lens) * share
        return Place(tuple(middle), tuple(turned), distance, lens, "PERSP")


class _Flight(msgspec.Struct):
    area: int  # by its address, which is never followed
    start: Place
    end: Place
    began: float
    seconds: float


_flight: _Flight | None = None
_before: tuple[int, Place] | None = None  # where the view was before the first flight, and which


def view_of(context: Any) -> tuple[Any, Any, Any]:
    """The area, its space, and the window region of the 3D view that the user is in; else of the largest one.

    None three times where there is no 3D view.
    """
    areas = [area for area in context.window.screen.areas if area.type == "VIEW_3D"] if context.window else []
    area = context.area if context.area in areas else max(areas, key=lambda a: a.width * a.height, default=None)
    if area is None:
        return None, None, None
    return area, area.spaces.active, next(region for region in area.regions if region.type == "WINDOW")


def fly(area: Any, end: Place) -> None:
    """There at once without a window; with one as quickly as the preferences say that views turn."""
    global _before
    space = area.spaces.active
    start = Place.of(space, space.region_3d)
    if _before is None or _before[0] != area.as_pointer():
        _before = area.as_pointer(), start
    _begin(area, start, end)


def has_flown() -> bool:
    return _before is not None


def fly_back() -> bool:
    """To where the view was before the first flight. False when that view is gone."""
    global _before
    if _before is None:
        return False
    address, end = _before
    _before = None
    area = area_at(address)
    if area is not None:
        space = area.spaces.active
        _begin(area, Place.of(space, space.region_3d), end)
    return area is not None


def _begin(area: Any, start: Place, end: Place) -> None:
    global _flight
    preferences: Any = bpy.context.preferences
    seconds = preferences.view.smooth_view / 1000
    if not current.is_interactive() or seconds <= 0:
        _flight = None
        _put(area, end)
        return
    is_new = _flight is None
    _flight = _Flight(area.as_pointer(), start, end, time.monotonic(), seconds)
    if is_new:
        bpy.app.timers.register(_step, first_interval=0.0)


def _step() -> float | None:
    global _flight
    if _flight is None:
        return None
    area = area_at(_flight.area)
    share = (time.monotonic() - _flight.began) / _flight.seconds
    if area is None or share >= 1:
        end, _flight = _flight.end, None
        if area is not None:
            _put(area, end)
        return None
    _put(area, _flight.start.towards(_flight.end, share * share * (3 - 2 * share)))
    return _TICK_S


def _put(area: Any, place: Place) -> None:
    space = area.spaces.active
    region_3d = space.region_3d
    region_3d.view_perspective = place.perspective
    region_3d.view_rotation, region_3d.view_location = place.rotation, place.location
    region_3d.view_distance, space.lens = place.distance, place.lens
    area.tag_redraw()


def area_at(address: int) -> Any:
    manager: Any = bpy.context.window_manager
    for window in manager.windows:
        for area in window.screen.areas:
            if area.as_pointer() == address and area.type == "VIEW_3D":
                return area
    return None


@bpy.app.handlers.persistent
def forget(*_: object) -> None:
    """Another file has other views."""
    global _flight, _before
    _flight = _before = None


def register() -> None:
    bpy.app.handlers.load_post.append(forget)


def unregister() -> None:
    bpy.app.handlers.load_post.remove(forget)
    if bpy.app.timers.is_registered(_step):
        bpy.app.timers.unregister(_step)
    forget()
