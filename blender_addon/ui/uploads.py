# pyright: reportAttributeAccessIssue=false
"""What is sent to a backend on another machine: how far it is, and the button that stops it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import bpy

from ..core import console, events, wording
from ..host import current
from .paragraphs import paragraph

if TYPE_CHECKING:
    from ..protocol import remote, transfer

_TOLD_EVERY_S = 0.2

_numbers = itertools.count(1)
_stops: dict[int, transfer.Stop] = {}


@contextmanager
def sending(backend: remote.Backend, name: str) -> Iterator[dict[str, Any]]:
    """What calls of the backend that send something take as `on_progress` and `stop`. On the thread that sends."""
    if backend.is_local:  # the files are read where they are
        yield {}
        return
    from ..protocol import transfer

    number, stop, waits = next(_numbers), transfer.Stop(), threading.current_thread() is threading.main_thread()
    told = printed = 0.0

    def say(event: events.Event) -> None:
        if waits:
            current.dispatch(event)
        else:  # what was stopped is not shown any more
            current.post(lambda: None if stop.is_set() else current.dispatch(event))

    def progress(done: int, all: int) -> None:
        nonlocal told, printed
        now = time.monotonic()
        if now - told < _TOLD_EVERY_S and done < all:
            return
        told = now
        say(events.UploadWent(number, name, done, all, now))
        if waits and now - printed >= console.EVERY_S:
            printed = now
            print(f"{name}: {wording.upload(current.session().uploads[number])}", flush=True)

    _stops[number] = stop
    try:
        progress(0, 0)
        yield {"on_progress": progress, "stop": stop}
    finally:
        _stops.pop(number, None)
        say(events.UploadEnded(number))


def is_stop(error: BaseException) -> bool:
    """Whether the user did not want it any more, so that there is nothing to tell."""
    from ..protocol import transfer

    return isinstance(error, transfer.TransferStopped)


class SPLATWRIGHT_OT_stop_upload(bpy.types.Operator):
    bl_idname = "splatwright.stop_upload"
    bl_label = "Stop Sending"
    bl_description = "Stop sending these files; what was sent stays there, and sending them again goes on where it was"
    bl_options = {"INTERNAL"}

    upload: bpy.props.IntProperty(name="Upload", description="Its number")

    def execute(self, context: Any) -> set[Any]:
        stop = _stops.get(self.upload)
        if stop is not None:
            stop.set()
        current.dispatch(events.UploadEnded(self.upload))
        return {"FINISHED"}


def draw(layout: Any, context: Any) -> None:
    """How far everything is that is being sent."""
    for number, upload in current.session().uploads.items():
        paragraph(layout, context, f"Sending '{upload.name}' to the backend.", "EXPORT")
        row = layout.row(align=True)
        row.progress(factor=upload.done / upload.all if upload.all else 0.0, text=wording.upload(upload))
        row.operator("splatwright.stop_upload", text="", icon="X").upload = number


def register() -> None:
    bpy.utils.register_class(SPLATWRIGHT_OT_stop_upload)


def unregister() -> None:
    for stop in tuple(_stops.values()):  # Blender would wait for the threads
        stop.set()
    bpy.utils.unregister_class(SPLATWRIGHT_OT_stop_upload)
