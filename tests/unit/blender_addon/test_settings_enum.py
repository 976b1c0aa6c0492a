from __future__ import annotations

import pytest

from blender_addon.core.settings_enum import AUTOMATIC, chosen, enum_items, enum_number
from shared_protocol.schema import Setting


def choice(*words: str, optional: bool = False) -> Setting:
    return Setting("start", "choice", "Start", "Where splats begin.", None, optional=optional, choices=words)


def test_items_keep_their_order_and_read_as_words() -> None:
    items = enum_items(choice("random", "on_the_mesh"))
    assert [(identifier, name, text) for identifier, name, text, _ in items] == [
        ("random", "Random", "Where splats begin."),
        ("on_the_mesh", "On the mesh", "Where splats begin."),
    ]


def test_a_saved_number_means_the_same_after_a_choice_was_inserted() -> None:
    before = {word: number for word, _, _, number in enum_items(choice("points", "random"))}
    after = {word: number for word, _, _, number in enum_items(choice("spiral", "points", "grid", "random"))}
    assert before.items() <= after.items()


def test_numbers_are_the_ones_that_saved_files_hold() -> None:
    # A change here would rewrite the choices of every saved .blend.
    assert enum_number("random") == 373021397
    assert enum_number("points") == 666537513
    assert all(0 <= enum_number(str(i)) < 2**31 for i in range(1000))


def test_two_words_with_one_number_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'start': 'plumless' and 'buckeroo'"):
        enum_items(choice("plumless", "other", "buckeroo"))  # the well-known pair with equal crc32


def test_choose_for_me_comes_first_where_it_is_allowed() -> None:
    optional = choice("points", "random", optional=True)
    assert [word for word, *_ in enum_items(optional)] == [AUTOMATIC, "points", "random"]
    assert chosen(optional, AUTOMATIC) is None
    assert chosen(optional, "random") == "random"


@pytest.mark.parametrize("item", [AUTOMATIC, "spiral", ""])
def test_a_word_that_is_no_item_is_refused(item: str) -> None:
    with pytest.raises(ValueError, match="it can be points, random"):
        chosen(choice("points", "random"), item)


def test_only_a_choice_has_items() -> None:
    with pytest.raises(ValueError, match="only a choice"):
        enum_items(Setting("radius", "number", "Radius", "Size.", 1.0))
