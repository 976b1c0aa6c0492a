"""Turns a choice among words into the numbered items of a Blender enum property."""

from __future__ import annotations

import zlib

from ..protocol import schema

# What Blender's EnumProperty takes: identifier, name, description, number.
EnumItem = tuple[str, str, str, int]

# The item that stands for None, "choose for me", where a setting allows that.
AUTOMATIC = "AUTOMATIC"


def enum_items(setting: schema.Setting) -> tuple[EnumItem, ...]:
    """The items of a choice, in the order of its choices; "choose for me" comes first where it is allowed.

    Raises ValueError when the setting is no choice, or two of its words cannot be told apart by number.
    """
    if setting.kind != "choice":
        raise ValueError(f"'{setting.name}' is of the kind '{setting.kind}', and only a choice has items")
    words = (AUTOMATIC, *setting.choices) if setting.optional else setting.choices
    word_of_number: dict[int, str] = {}
    for word in words:
        number = enum_number(word)
        if number in word_of_number:
            raise ValueError(
                f"'{setting.name}': '{word_of_number[number]}' and '{word}' get the same number; rename one"
            )
        word_of_number[number] = word
    return tuple((word, _label(word), setting.help, number) for number, word in word_of_number.items())


def enum_number(word: str) -> int:
    """The number that a .blend file stores for this word, 0 to 2^31 - 1.

    It depends on the word alone. Counting 0, 1, 2 would turn the user's saved "random" into whatever a later version
    puts in its place.
    """
    # Blender keeps enum numbers in signed 32 bits.
    return zlib.crc32(word.encode()) & 0x7FFFFFFF


def chosen(setting: schema.Setting, item: str) -> str | None:
    """The setting's value for the item that the property holds. Raises ValueError for a word that is no item."""
    if setting.optional and item == AUTOMATIC:
        return None
    if item not in setting.choices:
        raise ValueError(f"'{setting.name}' cannot be '{item}'; it can be {', '.join(setting.choices)}")
    return item


def _label(word: str) -> str:
    return "Automatic" if word == AUTOMATIC else word[:1].upper() + word[1:].replace("_", " ")
