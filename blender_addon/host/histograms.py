# pyright: reportAttributeAccessIssue=false
"""How often values of an attribute occur in the splats of a version, as panels need it: asked for after a draw."""

from __future__ import annotations

from typing import Any

import bpy

from ..core import events
from ..protocol import errors, messages, selecting
from . import current

BINS = 96
_MOST = 24  # that are kept

is_fitting = False  # the range is being set to what occurs, and nothing is to be selected by that
_known: dict[tuple[str, str, str], selecting.Histogram | None] = {}  # by asset, version, attribute; None = refused
_asked: set[tuple[str, str, str]] = set()
_is_to_fit = False


def of(asset: str, version: str, attribute: str) -> selecting.Histogram | None:
    """None until the backend has said it, and where it does not know such values."""
    key = (asset, version, attribute)
    if key not in _known and key not in _asked and version and current.link() is not None:
        _asked.add(key)
        current.post(lambda: _ask(key))
    return _known.get(key)


def is_refused(asset: str, version: str, attribute: str) -> bool:
    """Whether the backend does not know such values of this version."""
    return _known.get((asset, version, attribute), True) is None


def fit_soon() -> None:
    """Another attribute was chosen: the range becomes all that occurs, once that is known."""
    global _is_to_fit
    _is_to_fit = True


def fit(chosen: Any, histogram: selecting.Histogram) -> None:
    """Sets the range to what occurs, if another attribute was chosen since. Not in the middle of a draw."""
    global is_fitting, _is_to_fit
    if not _is_to_fit:
        return
    _is_to_fit, is_fitting = False, True
    try:
        chosen.low, chosen.high = histogram.low, histogram.high
    finally:
        is_fitting = False


def _ask(key: tuple[str, str, str]) -> None:
    link = current.link()
    if link is None:
        _asked.discard(key)
        return

    def answered(answer: Any) -> None:
        _asked.discard(key)
        if isinstance(answer, errors.UserError) and answer.kind == "connection":
            return
        while len(_known) >= _MOST:
            _known.pop(next(iter(_known)))
        _known[key] = answer if isinstance(answer, selecting.Histogram) else None
        chosen = bpy.context.scene.splatwright.select
        if isinstance(answer, selecting.Histogram) and chosen.attribute == key[2]:
            fit(chosen, answer)
        current.redraw()

    wish = selecting.FetchHistogram(asset=key[0], version=key[1], attribute=key[2], bins=BINS)  # type: ignore[arg-type]
    try:
        current.when_done(link.ask(wish), answered)
    except errors.UserError:
        _asked.discard(key)


def forget(asset: str) -> None:
    """What was measured or labelled since is asked for again."""
    for key in [key for key in _known if key[0] == asset]:
        del _known[key]


def _heard(event: events.Event) -> None:
    match event:
        case events.LinkChanged():
            _known.clear()
            _asked.clear()
        case events.Heard(message=messages.AssetChanged(asset=info)):
            forget(info.asset)
        case _:
            pass


def register() -> None:
    current.listen(_heard)


def unregister() -> None:
    current.unlisten(_heard)
    _known.clear()
    _asked.clear()
