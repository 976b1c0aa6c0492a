"""The versions of assets, as panels need them: what is not known yet is asked for after the draw, not in it."""

from __future__ import annotations

from typing import Any

from ..core import events
from ..protocol import errors, messages, things
from . import current

_versions: dict[str, tuple[things.VersionInfo, ...]] = {}
_wanted: set[str] = set()  # will be asked for
_asked: set[str] = set()  # the answer is on its way
_outdated: set[str] = set()  # the asset has changed since it was asked


def of(asset: str) -> tuple[things.VersionInfo, ...]:
    """Oldest first; empty until the backend has said them. Any thread."""
    is_new = asset not in _versions and asset not in _wanted and asset not in _asked
    if is_new and asset in current.session().assets:
        _wanted.add(asset)
        current.post(lambda: _ask(asset))
    return _versions.get(asset, ())


def want(asset: str) -> None:
    """Asks for them unless they are known: an object may show an asset that nobody has looked at yet."""
    if asset not in _versions and asset not in _asked:
        _ask(asset)


def find(asset: str, version: str) -> things.VersionInfo | None:
    return next((info for info in of(asset) if info.version == version), None)


def _heard(event: events.Event) -> None:
    match event:
        case events.AssetsCame():
            _versions.clear()
            _wanted.clear()
        case events.Heard(message=messages.AssetChanged(asset=info)):
            _ask(info.asset)
        case events.Heard(message=messages.AssetRemoved(asset=asset)):
            _versions.pop(asset, None)
        case _:
            pass


def _ask(asset: str) -> None:
    _wanted.discard(asset)
    if asset in _asked:
        _outdated.add(asset)
        return
    link = current.open_link()
    if link is None:
        return

    def answered(answer: Any) -> None:
        _asked.discard(asset)
        match answer:
            case messages.VersionList(versions=versions):
                _versions[asset] = versions
                current.redraw()
            case errors.UserError():
                pass  # the asset is gone, or the connection; both are told elsewhere
            case BaseException():
                current.tell(answer)
        if asset in _outdated:
            _outdated.discard(asset)
            _ask(asset)

    try:
        future = link.ask(messages.ListVersions(asset=asset))
    except errors.UserError:
        return
    _asked.add(asset)
    current.when_done(future, answered)


def register() -> None:
    current.listen(_heard)


def unregister() -> None:
    current.unlisten(_heard)
    for known in (_versions, _wanted, _asked, _outdated):
        known.clear()
