"""The named selections of versions, as panels need them: asked for after the draw, not in it."""

from __future__ import annotations

from typing import Any

from ..core import events
from ..protocol import errors, messages, selecting
from . import current

_known: dict[tuple[str, str], selecting.NamedSelections] = {}  # by asset and version
_asked: set[tuple[str, str]] = set()


def of(asset: str, version: str) -> selecting.NamedSelections | None:
    """None until the backend has said them."""
    key = (asset, version)
    if key not in _known and key not in _asked and version and current.link() is not None:
        _asked.add(key)
        current.post(lambda: _ask(key))
    return _known.get(key)


def learn(named: selecting.NamedSelections) -> None:
    """An answer that came with something else."""
    _known[named.asset, named.version] = named
    current.redraw()


def forget(asset: str) -> None:
    """They are asked for again when they are wanted: something of them has changed."""
    for key in [key for key in (*_known, *_asked) if key[0] == asset]:
        _known.pop(key, None)
        _asked.discard(key)


def _ask(key: tuple[str, str]) -> None:
    link = current.link()
    if link is None:
        _asked.discard(key)
        return

    def answered(answer: Any) -> None:
        if isinstance(answer, selecting.NamedSelections):
            _asked.discard(key)
            learn(answer)

    try:
        current.when_done(link.ask(selecting.ListSelections(asset=key[0], version=key[1])), answered)
    except errors.UserError:
        _asked.discard(key)


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
