# pyright: reportAttributeAccessIssue=false
"""The selected and the hidden splats of objects: changed one after the other, each change with one undo step.

What is selected is the backend's; an object holds the names of its selections, so that Blender's undo, saving and
copying have them like any other property.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import bpy

from ..core import events
from ..core.selecting import Shown
from ..protocol import errors, messages, selecting
from . import current, eyes, objects

SLIDER_LABEL = "Background Bias"  # of the undo steps of a slider
_PATIENCE_S = 120.0  # for one answer, where there is no window: a version's neighbours may have to be found first


class Change(NamedTuple):
    """One change of what is selected or hidden. object: its name.

    ask: what the backend is asked, by what the object shows then. after: what it shows with the answer.
    undo: the label of the undo step; "" = none, as in the middle of a stroke.
    """

    object: str
    ask: Callable[[Shown], messages.Select]
    after: Callable[[Shown, messages.SelectionInfo], Shown]
    undo: str


_waiting: deque[Change] = deque()
_is_asking = False
_without_step: set[str] = set()  # objects that show what no step of undo has yet, as in the middle of a stroke
_counted: dict[tuple[str, str], messages.SelectionInfo] = {}  # by version and selection
_wanted: set[tuple[str, str]] = set()  # are being asked for


def shown(splats: Any) -> Shown:
    own = splats.splatwright
    return Shown(own.asset, own.version, own.selection, own.hidden)


def show(splats: Any, now: Shown, undo: str) -> None:
    """The object shows other splats as selected or hidden. undo: the label of the undo step; "" = none."""
    own = splats.splatwright
    if shown(splats) == now and not (undo and splats.name in _without_step):
        return
    own.version, own.selection, own.hidden = now.version, now.selection, now.hidden
    eyes.mark_stale()
    current.redraw()
    if undo:
        _without_step.discard(splats.name)
        objects.push_undo(undo)
    else:
        _without_step.add(splats.name)


def of(items: Iterable[Any]) -> tuple[str, ...]:
    """The selections that these objects name, each once."""
    named = {name for item in items for name in (item.splatwright.selection, item.splatwright.hidden)}
    return tuple(sorted(named - {""}))


# ---- changed


def change(wanted: Change) -> messages.SelectionInfo | None:
    """Without a window it is done when this returns, and the answer comes back. In a window it is done soon.

    Changes are made in the order in which they were asked for, so that each begins with what the one before has left.
    Raises UserError; in a window later failures are shown in the panel.
    """
    if not current.is_interactive():
        splats = bpy.data.objects[wanted.object]
        before = shown(splats)
        info = current.connect().request(wanted.ask(before), messages.SelectionInfo, _PATIENCE_S)
        _learn(info)
        show(splats, wanted.after(before, info), wanted.undo)
        return info
    if current.link() is None:
        message = "The backend is not connected."
        raise errors.UserError("connection", message, "Start it first.", "splatwright.backend_start")
    _waiting.append(wanted)
    _go_on()
    return None


def change_soon(splats: Any, by: selecting.Selector, undo: str = SLIDER_LABEL) -> None:
    """In a window, for a slider: the newest of its wishes is what is carried out next."""
    wanted = Change(splats.name, lambda now: now.select(by), Shown.with_selected, undo)
    for old in [old for old in _waiting if (old.object, old.undo) == (wanted.object, wanted.undo)]:
        _waiting.remove(old)
    try:
        change(wanted)
    except errors.UserError as error:
        current.tell(error)


def take_back(splats: Any, before: Shown) -> None:
    """In a window, without a step of undo: what is shown, and what is still on its way, gives place to what was."""
    for old in [old for old in _waiting if old.object == splats.name]:
        _waiting.remove(old)
    if _is_asking:
        by = selecting.Stored(selection=before.selection)
        _waiting.append(Change(splats.name, lambda now: before.select(by), lambda now, info: before, ""))
    else:
        show(splats, before, "")
        _without_step.discard(splats.name)


def knows_labels(splats: Any) -> bool:
    """Whether objects have been told apart in the version that is shown, as far as that is known."""
    from . import named_selections

    named = named_selections.of(splats.splatwright.asset, splats.splatwright.version)
    return named is not None and named.labels > 0


def is_busy() -> bool:
    """Whether a change is on its way."""
    return _is_asking or bool(_waiting)


def _go_on() -> None:
    global _is_asking
    while _waiting and not _is_asking:
        wanted = _waiting.popleft()
        splats, link = bpy.data.objects.get(wanted.object), current.link()
        if splats is None or link is None:
            continue
        before = shown(splats)
        try:
            future = link.ask(wanted.ask(before))
        except errors.UserError as error:
            current.tell(error)
            continue
        _is_asking = True
        current.when_done(future, lambda answer, wanted=wanted, before=before: _answered(wanted, before, answer))


def _answered(wanted: Change, before: Shown, answer: Any) -> None:
    global _is_asking
    _is_asking = False
    splats = bpy.data.objects.get(wanted.object)
    if isinstance(answer, messages.SelectionInfo):
        _learn(answer)
        # An undo, or the end of a job, may have come between: then this is the answer to something else.
        if splats is not None and shown(splats) == before:
            show(splats, wanted.after(before, answer), wanted.undo)
    elif isinstance(answer, BaseException):
        current.tell(answer)
    _go_on()


# ---- counted


def counted(splats: Any) -> messages.SelectionInfo | None:
    """How many of an object's splats are selected; None = none is, or it is not known yet, and asked for."""
    return _count(shown(splats), splats.splatwright.selection)


def hidden_of(splats: Any) -> messages.SelectionInfo | None:
    """How many of an object's splats are hidden; as `counted`."""
    return _count(shown(splats), splats.splatwright.hidden)


def _count(now: Shown, selection: str) -> messages.SelectionInfo | None:
    if not selection:
        return None
    key = (now.version, selection)
    if key not in _counted and key not in _wanted and current.link() is not None:
        _wanted.add(key)
        current.post(lambda: _ask_for_count(now.asset, *key))  # not in the middle of a draw
    return _counted.get(key)


def _ask_for_count(asset: str, version: str, selection: str) -> None:
    link = current.link()
    if link is None:
        _wanted.discard((version, selection))
        return
    by = selecting.Stored(selection=selection)
    try:
        future = link.ask(messages.Select(asset=asset, version=version, by=by))
    except errors.UserError:
        _wanted.discard((version, selection))
        return

    def answered(answer: Any) -> None:
        if isinstance(answer, messages.SelectionInfo):  # a refusal stays among the wanted: it is not asked for again
            _wanted.discard((version, selection))
            _learn(answer)
            current.redraw()

    current.when_done(future, answered)


def _learn(info: messages.SelectionInfo) -> None:
    _counted[info.version, info.selection] = info


def _heard(event: events.Event) -> None:
    global _is_asking
    if isinstance(event, events.LinkChanged):
        _waiting.clear()
        _wanted.clear()
        if event.state != "connected":
            _is_asking = False


def register() -> None:
    current.listen(_heard)


def unregister() -> None:
    global _is_asking
    current.unlisten(_heard)
    _waiting.clear()
    _without_step.clear()
    _wanted.clear()
    _counted.clear()
    _is_asking = False
