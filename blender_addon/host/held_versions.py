"""Tells the backend which versions this file and this session still reach, so that it keeps them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path

import bpy

from ..core import events
from ..protocol import errors, messages
from . import current, objects

_HOLDER = f"Blender {secrets.token_hex(6)}"  # this session, for what undo can bring back
_MOST = 10_000  # that one holder may name

_reached: set[str] = set()  # by the objects as they are, and as undo can make them
_held: frozenset[str] = frozenset()  # what the backend was told of it
_file: tuple[str, frozenset[str]] = ("", frozenset())  # the .blend on the disk, and what it shows


def reach() -> None:
    """Notes the versions that objects name now. Cheap enough for every change of the scene."""
    global _held
    _reached.update(objects.versions_of(bpy.data.objects))
    if _reached != _held and _hold("session", _HOLDER, _reached):
        _held = frozenset(_reached)


def _hold_for_file(path: str) -> None:
    """What a saved .blend shows is kept for it."""
    global _file
    _file = str(Path(path).resolve()), frozenset(objects.versions_of(bpy.data.objects))
    if any(objects.is_splats(item) for item in bpy.data.objects):
        _hold("file", *_file)


def release() -> None:
    """The session ends."""
    _reached.clear()
    if _held:
        _hold("session", _HOLDER, ())


def _hold(kind: str, holder: str, versions: Iterable[str]) -> bool:
    link = current.link()
    if link is None:
        return False
    named = tuple(sorted(versions))[:_MOST]
    try:
        link.ask(messages.HoldVersions(kind=kind, holder=holder, versions=named))  # type: ignore[arg-type]
    except errors.UserError:
        return False
    return True


@bpy.app.handlers.persistent
def _saved(path: str, *_: object) -> None:
    if path:
        _hold_for_file(path)


@bpy.app.handlers.persistent
def _loaded(path: str, *_: object) -> None:
    """Undo does not reach into the file before. What this one holds may never have been said, for want of a backend."""
    global _file
    _reached.clear()
    _file = ("", frozenset())
    reach()
    if path:
        _hold_for_file(path)


def _heard(event: events.Event) -> None:
    global _held
    if isinstance(event, events.LinkChanged) and event.state == "connected":
        _held = frozenset()  # it may be another backend
        reach()
        if _file[1]:
            _hold("file", *_file)


def register() -> None:
    bpy.app.handlers.save_post.append(_saved)
    bpy.app.handlers.load_post.append(_loaded)
    current.listen(_heard)


def unregister() -> None:
    current.unlisten(_heard)
    bpy.app.handlers.load_post.remove(_loaded)
    bpy.app.handlers.save_post.remove(_saved)
    release()
