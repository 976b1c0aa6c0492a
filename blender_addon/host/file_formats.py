"""The kinds of splat files: of the connected backend, or of the one that the extension came with."""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec

from ..core import file_kinds
from ..protocol import messages, things
from . import current, properties

# Which way x, y and z point, for an EnumProperty. The first is the file's or the format's own.
COMMON_FRAMES = (
    ("opencv", "COLMAP, PLY (Y Down)", "x right, y down, z forward: what trainers write"),
    ("z_up", "Blender (Z Up)", "x right, y forward, z up"),
    ("y_up", "SPZ, glTF (Y Up)", "x right, y up, z back: SPZ calls it RUB"),
    ("OTHER", "Other", "Three letters say where x, y and z point"),
)
AXES = "Where x, y and z point: R or L(eft), U(p) or D(own), F(orward) or B(ack), such as RUB"


@functools.cache
def shipped() -> messages.Catalog:
    return msgspec.json.decode(properties.CATALOG_FILE.read_bytes(), type=messages.Catalog)


def reads() -> tuple[str, ...]:
    """Suffixes, the usual one first."""
    return current.session().reads if current.session().formats else shipped().reads


def writes() -> tuple[str, ...]:
    return current.session().writes if current.session().formats else shipped().writes


def formats() -> tuple[things.FormatInfo, ...]:
    return current.session().formats or shipped().formats


def format_named(path: Path) -> things.FormatInfo | None:
    """The format that the end of a name says; None = it says none, or one that has no name."""
    return file_kinds.format_of(path, formats())


def frame_label(frame: things.FrameName) -> str:
    return next((label for name, label, _ in COMMON_FRAMES if name == frame), frame)


def glob() -> str:
    """For a file browser: it shows only what can be read."""
    return ";".join(f"*{suffix}" for suffix in reads())
