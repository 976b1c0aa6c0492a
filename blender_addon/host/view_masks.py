"""What was drawn around an object in several views, until the splats are told apart by it. Of this session only."""

from __future__ import annotations

import msgspec

from ..protocol import selecting
from . import current

_drawn: dict[tuple[str, str], tuple[selecting.MaskedView, ...]] = {}  # by asset and version


def of(asset: str, version: str) -> tuple[selecting.MaskedView, ...]:
    return _drawn.get((asset, version), ())


def add(asset: str, version: str, view: selecting.MaskedView) -> None:
    """Another outline of a view that is there already is one more part of the object in it."""
    views = list(of(asset, version))
    for number, known in enumerate(views):
        if (known.camera, known.world_from_object) == (view.camera, view.world_from_object):
            views[number] = msgspec.structs.replace(known, outlines=(*known.outlines, *view.outlines))
            break
    else:
        views.append(view)
    _drawn[asset, version] = tuple(views)
    current.redraw()


def clear(asset: str, version: str) -> None:
    _drawn.pop((asset, version), None)
    current.redraw()


def register() -> None:
    _drawn.clear()


def unregister() -> None:
    _drawn.clear()
