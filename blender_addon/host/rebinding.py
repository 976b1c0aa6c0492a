"""Splats whose mesh has got other vertices or faces are bound again by themselves, once it stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy

from . import bindings, current, objects

SETTLED_S = 0.5  # that a mesh keeps its topology before it counts: a slider that is dragged changes it many times

_bind_again: Callable[[bpy.types.Object], None] | None = None
_tried: set[tuple[int, str, str]] = set()  # object, version, topology: undo does not bring on what it has taken back


def listen(bind_again: Callable[[bpy.types.Object], None] | None) -> None:
    """bind_again(splats) is called by the tick, once for each topology that their mesh gets. None = nobody listens."""
    global _bind_again
    _bind_again = bind_again
    _tried.clear()


def advance() -> None:
    """Looks for splats that have to be bound again. The tick calls it; in a window nothing in it waits."""
    if current.link() is None or _bind_again is None:
        return
    if not current.is_interactive() and any(map(bindings.may_follow, bpy.data.objects)):
        bindings.follow(bpy.context.evaluated_depsgraph_get())  # in a window the viewports have that done
    for splats, topology in bindings.with_another_topology(SETTLED_S):
        attempt = splats.session_uid, objects.shown_version(splats), topology
        if attempt not in _tried and may_bind(splats):
            _tried.add(attempt)
            _bind_again(splats)


def may_bind(splats: Any) -> bool:
    """Not while somebody edits, sculpts or plays an animation, nor while a job writes the splats."""
    own = splats.splatwright
    if not own.rebinds or own.mesh is None or current.session().job_of_asset(own.asset) is not None:
        return False
    manager: Any = bpy.context.window_manager
    is_playing = any(window.screen.is_animation_playing for window in manager.windows)
    return not is_playing and all(item.mode == "OBJECT" for item in bpy.data.objects)
