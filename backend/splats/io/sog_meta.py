"""The description inside a SOG file, `meta.json`.

Source: https://developer.playcanvas.com/user-manual/gaussian-splatting/formats/sog/ (version 2).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from backend.splats.io.content import damaged
from shared_protocol.errors import UserError

_Numbers3 = tuple[float, float, float]
_Book = Annotated[list[float], msgspec.Meta(min_length=1, max_length=256)]
_File = Annotated[list[str], msgspec.Meta(min_length=1)]
_Files = Annotated[list[str], msgspec.Meta(min_length=2)]


class Means(msgspec.Struct):
    mins: _Numbers3
    maxs: _Numbers3
    files: _Files


class Coded(msgspec.Struct):
    codebook: _Book
    files: _File


class Plain(msgspec.Struct):
    files: _File


class Palette(msgspec.Struct):
    count: Annotated[int, msgspec.Meta(ge=1, le=65536)]
    bands: Annotated[int, msgspec.Meta(ge=1, le=3)]
    codebook: _Book
    files: _Files


class Meta(msgspec.Struct, omit_defaults=True):
    version: int
    count: Annotated[int, msgspec.Meta(ge=0)]
    means: Means
    scales: Coded
    quats: Plain
    sh0: Coded
    shN: Palette | None = None  # noqa: N815  its name in the file
    antialias: bool | None = None
    asset: dict[str, str] | None = None


class _Version(msgspec.Struct):
    version: int | None = None
    lodLevels: int | None = None  # noqa: N815  its name in the file


def meta_of(path: Path, content: bytes) -> Meta:
    """Raises UserError when it is of another version, or describes no splats."""
    try:
        start = msgspec.json.decode(content, type=_Version)
        if start.version != 2 or start.lodLevels is not None:
            kind = "a streamed SOG scene" if start.lodLevels is not None else f"SOG version {start.version or 1}"
            message = f"'{path}' is {kind}; only SOG version 2 can be read."
            raise UserError("unsupported", message, "Export it anew, as one SOG file.")
        return msgspec.json.decode(content, type=Meta)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise damaged(path, f"its meta.json is not valid ({error})") from error


def bytes_of(meta: Meta) -> bytes:
    return msgspec.json.encode(meta)
