"""The files of an animation: one a frame, numbered as Blender numbers rendered pictures."""

from __future__ import annotations

import re
from pathlib import Path

_DIGITS = 4


def path_of_frame(path: Path, suffix: str, frame: int) -> Path:
    """Hashes in the name become the frame's number, of at least as many digits; without any it goes before the suffix.

    suffix: that the name ends with; it may hold dots, as .compressed.ply does.
    """
    stem = path.name[: len(path.name) - len(suffix)]
    if "#" not in stem:
        stem += "_" + "#" * _DIGITS
    *_, hashes = re.finditer("#+", stem)  # the last of them, as Blender does
    return path.with_name(f"{stem[: hashes.start()]}{numbered(frame, len(hashes[0]))}{stem[hashes.end() :]}{suffix}")


def numbered(frame: int, digits: int) -> str:
    """-5 of four digits is -0005."""
    return f"{'-' if frame < 0 else ''}{abs(frame):0{digits}}"
