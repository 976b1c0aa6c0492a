"""Splats as the backend's own files hold them: read from a .safetensors and written to one, with numpy alone.

Source: the format's page of the safetensors project. Eight bytes say how long the JSON header is that follows; it gives
each array its type, shape and place in the bytes behind it.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np

from ..protocol import errors, messages

FIELDS = ("means", "quats", "log_scales", "opacity_logits", "sh")
_LARGEST_HEADER = 2**24  # bytes; ours take some hundred
_COEFFICIENTS = (1, 4, 9, 16, 25)  # of harmonics of degree 0..4


def read(path: Path) -> messages.Splats:
    """The splats of a file; what they may be bound to is left aside. Raises UserError when it is missing or damaged."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header: Any = json.loads(stream.read(length)) if length <= _LARGEST_HEADER else {}
            found = {name: _array(stream, 8 + length, header[name]) for name in FIELDS}
    except OSError as error:
        raise errors.UserError("not_found", f"'{path}' cannot be read: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, MemoryError) as error:
        raise _damaged(path) from error
    splats = messages.Splats(**found)
    if not _fits_together(splats):
        raise _damaged(path)
    return splats


def facts(path: Path) -> dict[str, str]:
    """What a file that was read says about its splats: "antialiased" is "yes" or "no". Empty where it is silent."""
    try:
        with path.open("rb") as stream:
            header: dict[str, Any] = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    except (OSError, ValueError) as error:
        raise _damaged(path) from error
    return header.get("__metadata__") or {}


def write(path: Path, splats: messages.Splats) -> None:
    """Writes the file whole or not at all. Raises UserError when the disk is full."""
    arrays = {name: np.ascontiguousarray(getattr(splats, name), "<f4") for name in FIELDS}
    header: dict[str, Any] = {}
    offset = 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the arrays lie at whole words
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as stream:
            stream.write(len(text).to_bytes(8, "little") + text)
            for array in arrays.values():
                array.tofile(stream)
        os.replace(temporary, path)
    except OSError as error:
        raise errors.UserError("disk_full", f"'{path}' could not be written: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _array(stream: Any, start: int, entry: Any) -> np.ndarray:
    """Raises ValueError for what is no array of floats within the file."""
    first, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if entry["dtype"] != "F32" or first < 0 or 4 * int(np.prod(shape, dtype=np.int64)) != end - first:
        raise ValueError("an array does not fit its place")
    stream.seek(start + first)
    array = np.fromfile(stream, "<f4", (end - first) // 4)
    return array.reshape(shape)


def _fits_together(splats: messages.Splats) -> bool:
    count = len(splats.means)
    shapes = (splats.means.shape, splats.quats.shape, splats.log_scales.shape, splats.opacity_logits.shape)
    harmonics = splats.sh.shape
    return (
        shapes == ((count, 3), (count, 4), (count, 3), (count,))
        and len(harmonics) == 3
        and harmonics[0] == count
        and harmonics[1] in _COEFFICIENTS
        and harmonics[2] == 3
    )


def _damaged(path: Path) -> errors.UserError:
    return errors.UserError("bad_input", f"'{path}' holds no splats, or is damaged.", "Write it again.")
