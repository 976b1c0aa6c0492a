"""What a file is by its name and its first bytes: splats of some format, or a PLY that Blender reads better itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from ..protocol import errors, things

PlyKind = Literal["splats", "points", "mesh", "unknown"]
_LARGEST_HEADER = 2**16  # bytes
_IN_PARTS = {".meta.json": ".sog", ".gltf": ".glb", ".bound": ".safetensors", ".bound.json": ".safetensors"}
_SPLATS = (b"f_dc_0", b"packed_position")  # properties that only splats have: plain, and compressed by PlayCanvas


def suffix_of(path: Path, suffixes: Iterable[str]) -> str:
    """The longest of the suffixes that the name ends with or is, as "meta.json" is; "" = none."""
    name = f".{path.name.lower()}"
    fitting = [suffix for suffix in suffixes if name.endswith(suffix)]
    return max(fitting, key=len, default="")


def refuse_far_parts(path: Path, suffix: str) -> None:
    """Raises UserError for a kind of file that has further files beside it: only one file goes to another machine."""
    if suffix in _IN_PARTS:
        message = f"'{path.name}' has further files beside it, and only one file goes to a backend on another machine."
        raise errors.UserError("unsupported", message, f"Choose {_IN_PARTS[suffix]}, which is one file.")


def size_of(path: Path) -> int:
    """Bytes of a file, or of the files in a folder."""
    files = path.iterdir() if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files)


def format_of(path: Path, formats: Sequence[things.FormatInfo]) -> things.FormatInfo | None:
    """By the name alone: the content decides when the file is read."""
    suffix = suffix_of(path, [suffix for form in formats for suffix in form.suffixes])
    fitting = [form for form in formats if suffix in form.suffixes]
    return next((form for form in fitting if form.writes), fitting[0] if fitting else None)


def ply_kind(path: Path) -> PlyKind:
    """By the header. "unknown": no PLY, or none whose header can be read."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_LARGEST_HEADER)
    except OSError:
        return "unknown"
    text, end, _ = head.partition(b"end_header")
    if not text.startswith(b"ply") or not end:
        return "unknown"
    properties = [words[-1] for line in text.splitlines() if (words := line.split())[:1] == [b"property"]]
    elements = {
        words[1]: words[2] for line in text.splitlines() if len(words := line.split()) == 3 and words[0] == b"element"
    }
    if any(name in properties for name in _SPLATS):
        return "splats"
    if elements.get(b"face", b"0") != b"0":
        return "mesh"
    return "points" if b"vertex" in elements and {b"x", b"y", b"z"} <= set(properties) else "unknown"
