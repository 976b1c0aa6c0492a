"""Samples of the assets that objects show: asked for when an asset has a new head, kept as long as the backend is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import events, sample
from ..protocol import errors, messages, things
from . import current

Arrived = Callable[[things.AssetInfo], None]

_samples: dict[str, sample.Sample] = {}  # by asset
_asked: dict[str, str] = {}  # asset -> the version whose sample is on its way
_listeners: list[Arrived] = []


def of(asset: str) -> sample.Sample | None:
    """None until the backend has said it."""
    return _samples.get(asset)


def want(info: things.AssetInfo) -> None:
    """Asks for a sample of the asset's head unless it is known, or a job is still changing it."""
    link, known = current.link(), _samples.get(info.asset)
    is_new = known is None or known.version != info.head
    if link is None or not info.head or info.job or not is_new or _asked.get(info.asset) == info.head:
        return

    def answered(answer: Any) -> None:
        if _asked.get(info.asset) == info.head:
            del _asked[info.asset]
        match answer:
            case messages.Splats():
                _samples[info.asset] = sample.of(info.head, answer)
                for listener in tuple(_listeners):
                    listener(current.session().assets.get(info.asset, info))
                current.redraw()
            case errors.UserError():
                pass  # the asset is gone, or the connection; both are told elsewhere
            case BaseException():
                current.tell(answer)

    try:
        future = link.ask(messages.FetchSplats(asset=info.asset, version=info.head, most=sample.MOST))
    except errors.UserError:
        return
    _asked[info.asset] = info.head
    current.when_done(future, answered)


def listen(callback: Arrived) -> None:
    """callback(asset) is called when a sample has come."""
    if callback not in _listeners:
        _listeners.append(callback)


def unlisten(callback: Arrived) -> None:
    if callback in _listeners:
        _listeners.remove(callback)


def _heard(event: events.Event) -> None:
    match event:
        case events.LinkChanged():
            _asked.clear()  # what was on its way does not come any more
        case events.Heard(message=messages.AssetRemoved(asset=asset)):
            _samples.pop(asset, None)
        case _:
            pass


def register() -> None:
    current.listen(_heard)


def unregister() -> None:
    current.unlisten(_heard)
    _samples.clear()
    _asked.clear()
