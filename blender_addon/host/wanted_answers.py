# pyright: reportAttributeAccessIssue=false
"""Answers of the backend about versions, as panels want them: asked for after the draw that wants them, not in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core import events
from ..protocol import errors, messages
from . import current

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST = 64  # that are kept of one kind

Key = tuple[str, ...]  # an asset, one of its versions, and what else the question names


class WantedAnswers:
    """Of one kind. They are forgotten when their asset changes, and with the connection."""

    def __init__(
        self, question: Callable[..., Any], kind: type[Any], came: Callable[[Key, Any], None] = lambda key, answer: None
    ) -> None:
        """question: the request about the parts of a key. came: is told of each answer, on the main thread."""
        self._question, self._kind, self._came = question, kind, came
        self._known: dict[Key, Any] = {}  # None = refused
        self._asked: set[Key] = set()

    def of(self, *key: str) -> Any:
        """None until the backend has said it, and where it cannot say."""
        if key not in self._known and key not in self._asked and key[1] and current.link() is not None:
            self._asked.add(key)
            current.post(lambda: self._ask(key))
        return self._known.get(key)

    def is_refused(self, *key: str) -> bool:
        return self._known.get(key, True) is None

    def learn(self, key: Key, answer: Any) -> None:
        """Also one that came with something else."""
        self._asked.discard(key)
        while len(self._known) >= _MOST:
            self._known.pop(next(iter(self._known)))
        self._known[key] = answer
        if answer is not None:
            self._came(key, answer)
        current.redraw()

    def forget(self, asset: str) -> None:
        """They are asked for again when they are wanted: something of them has changed."""
        for key in [key for key in (*self._known, *self._asked) if key[0] == asset]:
            self._known.pop(key, None)
            self._asked.discard(key)

    def forget_all(self) -> None:
        self._known.clear()
        self._asked.clear()

    def _ask(self, key: Key) -> None:
        link = current.link()
        if link is None:
            self._asked.discard(key)
            return

        def answered(answer: Any) -> None:
            if key not in self._asked:
                return  # forgotten meanwhile: what it tells may be old
            if isinstance(answer, errors.UserError) and answer.kind == "connection":
                self._asked.discard(key)
            else:
                self.learn(key, answer if isinstance(answer, self._kind) else None)

        try:
            current.when_done(link.ask(self._question(*key)), answered)
        except errors.UserError:
            self._asked.discard(key)

    def heard(self, event: events.Event) -> None:
        match event:
            case events.LinkChanged():
                self.forget_all()
            case events.Heard(message=messages.AssetChanged(asset=info)):
                self.forget(info.asset)
            case _:
                pass

    def register(self) -> None:
        current.listen(self.heard)

    def unregister(self) -> None:
        current.unlisten(self.heard)
        self.forget_all()
