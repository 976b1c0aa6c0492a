"""The one bpy timer: drains what happened meanwhile, and asks for the pictures that are due."""

from __future__ import annotations

import logging

import bpy

from .host import backend_life, current, eyes, local_display, rebinding, viewport

log = logging.getLogger(__name__)

IDLE_S, LIVE_S = 0.25, 0.03  # between two ticks, without and with something that can speak
WAITING_S = 0.01  # while a viewport waits for a picture

_has_looked = False


def tick() -> float:
    """Seconds until the next tick. Never raises: a timer that raises is not called again."""
    global _has_looked
    try:
        if not _has_looked:
            _has_looked = True
            backend_life.look_for_backend()
        current.drain()
        viewport.advance()
        rebinding.advance()
    except Exception as error:  # noqa: BLE001  whatever it was, the next event is drained
        _report(error)
    if eyes.are_waiting():
        return WAITING_S
    is_live = current.open_link() is not None or current.session().life.state == "installing"
    return LIVE_S if is_live or local_display.is_drawing() else IDLE_S


def _report(error: Exception) -> None:
    try:
        current.tell(error)
    except Exception:
        log.exception("The tick failed twice")


def register() -> None:
    global _has_looked
    _has_looked = False
    if not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, first_interval=IDLE_S, persistent=True)


def unregister() -> None:
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
