"""The head of a PLY file: what its body holds, and where.

Source: G. Turk, "The PLY Polygon File Format" (1994).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.splats.io.content import damaged
from shared_protocol.errors import UserError

MAGIC = b"ply"
_LONGEST = 1 << 17  # bytes; a file of splats needs two thousand
_BYTE_ORDER = {"ascii": "=", "binary_little_endian": "<", "binary_big_endian": ">"}
NAME_OF_TYPE = {
    "i1": "char",
    "u1": "uchar",
    "i2": "short",
    "u2": "ushort",
    "i4": "int",
    "u4": "uint",
    "f4": "float",
    "f8": "double",
}
_SIZED = {"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"}
_TYPES = {name: kind for kind, name in NAME_OF_TYPE.items()} | _SIZED | {"float32": "f4", "float64": "f8"}


@dataclass(frozen=True)
class Element:
    """properties: name and numpy's name of the type; lists: names of those properties whose length varies."""

    name: str
    count: int
    properties: dict[str, str]
    lists: tuple[str, ...] = ()

    def row(self, byte_order: str) -> np.dtype:
        """Of one row in a binary file without lists."""
        return np.dtype([(name, byte_order + kind) for name, kind in self.properties.items()])


@dataclass(frozen=True)
class Header:
    byte_order: str  # "=" = numbers are written as text
    elements: tuple[Element, ...]
    comments: tuple[str, ...]
    size: int  # bytes; the body begins there

    @property
    def is_text(self) -> bool:
        return self.byte_order == "="

    def element(self, name: str) -> Element | None:
        return next((element for element in self.elements if element.name == name), None)

    def offset(self, name: str) -> int | None:
        """Where the rows of a binary element begin; None where that cannot be told without reading what is before."""
        place = self.size
        for element in self.elements:
            if element.lists or self.is_text:
                return None
            if element.name == name:
                return place
            place += element.count * element.row(self.byte_order).itemsize
        return None


def read_header(path: Path) -> Header:
    """Raises UserError when the file is not a PLY file, or holds fewer rows than it says."""
    with Path(path).open("rb") as stream:
        start = stream.read(_LONGEST)
        file_size = stream.seek(0, 2)
    head, end, _ = start.partition(b"end_header")
    newline = start.find(b"\n", len(head))
    if not head.startswith(MAGIC) or not end or newline < 0:
        raise _invalid(path, "its header has no end")
    try:
        lines = head.decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise _invalid(path, "its header is not text") from error
    header = _parsed(path, lines, newline + 1)
    _refuse_missing_rows(path, header, file_size)
    return header


def _parsed(path: Path, lines: list[str], size: int) -> Header:
    byte_order, comments = "", []
    elements: list[Element] = []
    for line in lines[1:]:
        match line.split():
            case ["format", kind, *_] if kind in _BYTE_ORDER:
                byte_order = _BYTE_ORDER[kind]
            case ["comment" | "obj_info", *_]:
                comments.append(line.split(maxsplit=1)[-1])
            case ["element", name, count] if count.isdecimal() and len(count) < 19:
                elements.append(Element(name, int(count), {}))
            case ["property", kind, name] if elements and kind in _TYPES:
                elements[-1] = _with_property(path, elements[-1], name, _TYPES[kind])
            case ["property", "list", length, kind, name] if elements and {length, kind} <= _TYPES.keys():
                found = _with_property(path, elements[-1], name, _TYPES[kind])
                elements[-1] = Element(found.name, found.count, found.properties, (*found.lists, name))
            case []:
                pass
            case _:
                raise _invalid(path, f"the line '{line.strip()[:80]}' of its header means nothing")
    if not byte_order:
        raise _invalid(path, "its header names no format")
    return Header(byte_order, tuple(elements), tuple(comments), size)


def _with_property(path: Path, element: Element, name: str, kind: str) -> Element:
    if name in element.properties:
        raise _invalid(path, f"it has two properties '{name[:80]}'")
    return Element(element.name, element.count, element.properties | {name: kind}, element.lists)


def _refuse_missing_rows(path: Path, header: Header, file_size: int) -> None:
    """A row takes at least this many bytes, so that nothing is made ready for rows that cannot be there."""
    least = 0
    for element in header.elements:
        if not element.properties:
            continue
        if header.is_text:
            row = 2 * len(element.properties)  # a digit and a space
        else:
            kinds = (1 if name in element.lists else int(kind[1]) for name, kind in element.properties.items())
            row = sum(kinds)
        least += element.count * row
    if least > file_size - header.size + 1:  # the last line of a text may end without its newline
        raise damaged(path, "it holds fewer numbers than its header says")


def _invalid(path: Path, reason: str) -> UserError:
    return UserError("bad_input", f"'{path}' is not a valid PLY file: {reason}.", "Copy or export it again.")
