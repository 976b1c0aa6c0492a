"""Unpacks compressed data without ever holding more than a file of splats can honestly need."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.splats.io.content import damaged
from shared_protocol.errors import UserError

# Splats pack by 3 to 30 times. What packs by more than this is no capture but a trap for the memory.
_MOST_RATIO = 200
_ALWAYS_ALLOWED = 16 << 20  # bytes


def refuse_bomb(path: Path, packed: int, unpacked: int) -> None:
    """Raises UserError when so many bytes cannot honestly come out of so few."""
    if unpacked > max(_ALWAYS_ALLOWED, _MOST_RATIO * packed):
        raise damaged(path, f"its {packed:,} bytes claim to hold {unpacked:,}")


def gunzipped_start(path: Path, packed: memoryview, length: int) -> bytes:
    """The first bytes inside a gzip stream; fewer when it holds no more."""
    from isal import isal_zlib

    try:
        return isal_zlib.decompressobj(wbits=31).decompress(packed, length)
    except isal_zlib.error as error:  # type: ignore[misc]  its stub calls the class an object
        raise damaged(path, "its compressed data is broken") from error


def gunzipped(path: Path, packed: memoryview, most: int) -> bytes:
    """What a gzip stream holds. Raises UserError when it is broken, cut short or holds more than `most` bytes."""
    from isal import isal_zlib

    unpacker = isal_zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(packed, most)
    except isal_zlib.error as error:  # type: ignore[misc]  its stub calls the class an object
        raise damaged(path, "its compressed data is broken") from error
    if not unpacker.eof:
        raise damaged(path, "it holds more than it says" if len(content) >= most else "it ends too early")
    return content


def unzstandard(path: Path, packed: memoryview, length: int) -> np.ndarray:
    """What a zstd stream of exactly `length` bytes holds, uint8. Raises UserError when it is broken or holds others."""
    import zstandard

    content = np.empty(length, np.uint8)
    view, have = content.data, 0
    try:
        claimed = zstandard.frame_content_size(packed)
        if claimed not in (-1, length):
            raise damaged(path, f"a part of it holds {claimed:,} bytes where {length:,} belong")
        with zstandard.ZstdDecompressor().stream_reader(packed) as stream:
            while have < length and (more := stream.readinto(view[have:])):
                have += more
            is_longer = bool(stream.read(1))
    except zstandard.ZstdError as error:
        raise damaged(path, "its compressed data is broken") from error
    if have < length or is_longer:
        raise damaged(path, f"a part of it holds {'more' if is_longer else 'less'} than the {length:,} bytes it should")
    return content


def refuse_unsafe_name(path: Path, name: str) -> None:
    """Raises UserError for the name of a part that would lie outside of the file's own folder or archive."""
    parts = name.replace("\\", "/").split("/")
    if not name or "\0" in name or ":" in name or ".." in parts or name.startswith(("/", "\\", "~")):
        message = f"'{path}' names a part '{name[:80]}', which would lie outside of it."
        raise UserError("bad_input", message, "Files are only read from inside an archive or its own folder.")
