"""Keeps our render images from being unsaved work: Blender would ask about them whenever it is closed after a render.

In a window they lie in Blender's temporary folder as soon as a render is over. A .blend must not name files that are
gone tomorrow, so that while one is saved they are images without a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np

from . import current, render_images

_held: dict[str, np.ndarray] = {}  # [H, W, 4], by name, while a file is saved


def keep() -> None:
    """Those that a render has filled. The main thread, in a window."""
    for image in render_images.filled():
        if image.is_dirty:
            folder = Path(bpy.app.tempdir, "splatwright")
            folder.mkdir(exist_ok=True)
            image.file_format = "OPEN_EXR"
            image.filepath_raw = str(folder / f"{image.name}.exr")
            image.save()


@bpy.app.handlers.persistent
def _render_ended(*_: object) -> None:
    if current.is_interactive():
        current.post(keep)


@bpy.app.handlers.persistent
def _saving(*_: object) -> None:
    for image in render_images.filled():
        if image.source == "FILE":
            _held[image.name] = render_images.pixels(image)
            render_images.detach(image)


@bpy.app.handlers.persistent
def _saved(*_: object) -> None:
    while _held:
        render_images.fill(*_held.popitem())
    if current.is_interactive():
        keep()


_HANDLERS: dict[str, Any] = {
    "render_complete": _render_ended,
    "render_cancel": _render_ended,
    "save_pre": _saving,
    "save_post": _saved,
    "save_post_fail": _saved,
}


def register() -> None:
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).append(handler)


def unregister() -> None:
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).remove(handler)
