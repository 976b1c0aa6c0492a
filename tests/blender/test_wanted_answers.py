"""What panels want to know about versions is asked for once, after the draw, and again when it may have changed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

Room = Callable[[str], ModuleType]

KEY = ("asset", "version")


class Link:
    """A backend that answers when the test wants it."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[str, ...], Future[Any]]] = []
        self.posted: list[Callable[[], None]] = []

    def ask(self, question: tuple[str, ...]) -> Future[Any]:
        self.asked.append((question, Future()))
        return self.asked[-1][1]

    def drawn(self) -> None:
        """What was put off until after the draw is done."""
        while self.posted:
            self.posted.pop(0)()


@pytest.fixture
def link(room: Room, monkeypatch: pytest.MonkeyPatch) -> Link:
    made, current = Link(), room("host.current")
    monkeypatch.setattr(current, "link", lambda: made)
    monkeypatch.setattr(current, "post", made.posted.append)
    monkeypatch.setattr(current, "redraw", lambda: None)
    return made


@pytest.fixture
def came() -> list[Any]:
    return []


@pytest.fixture
def wanted(room: Room, link: Link, came: list[Any]) -> Any:
    kept = room("host.wanted_answers").WantedAnswers
    return kept(lambda *key: key, SimpleNamespace, lambda key, answer: came.append((key, answer)))


def test_a_question_is_asked_once_and_not_in_the_draw(link: Link, wanted: Any, came: list[Any]) -> None:
    assert wanted.of(*KEY) is None and wanted.of(*KEY) is None and not link.asked
    link.drawn()
    assert [question for question, _ in link.asked] == [KEY]
    told = SimpleNamespace()
    link.asked[0][1].set_result(told)
    link.drawn()
    assert wanted.of(*KEY) is told and came == [(KEY, told)] and not wanted.is_refused(*KEY)


def test_what_changed_is_asked_for_again_and_an_old_answer_does_not_count(
    link: Link, wanted: Any, came: list[Any]
) -> None:
    wanted.of(*KEY)
    link.drawn()
    wanted.forget("asset")
    link.asked[0][1].set_result(SimpleNamespace())
    link.drawn()
    assert wanted.of(*KEY) is None and not came
    link.drawn()
    assert len(link.asked) == 2


@pytest.mark.parametrize(("kind", "is_refused"), [("bad_input", True), ("connection", False)])
def test_a_refusal_is_kept_and_a_lost_connection_is_not(
    room: Room, link: Link, wanted: Any, kind: str, is_refused: bool
) -> None:
    wanted.of(*KEY)
    link.drawn()
    link.asked[0][1].set_exception(room("protocol").errors.UserError(kind, "It did not work."))
    link.drawn()
    assert wanted.is_refused(*KEY) is is_refused
    wanted.of(*KEY)
    link.drawn()
    assert len(link.asked) == (1 if is_refused else 2)
