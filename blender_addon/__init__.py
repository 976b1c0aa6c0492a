"""Splatwright's Blender extension."""

from __future__ import annotations

import contextlib

_undo = contextlib.ExitStack()


def register() -> None:
    """Called by Blender when the extension is enabled. A room that fails takes back what the others registered."""
    global _undo
    from . import wheels  # here, because the logic in core is tested without Blender

    with contextlib.ExitStack() as undo:
        for room in [wheels] if wheels.sentence() else _rooms():
            room.register()
            undo.callback(room.unregister)
        _undo = undo.pop_all()


def unregister() -> None:
    _undo.close()


def _rooms():
    from . import host, tick, ui

    return (ui, host, tick)
