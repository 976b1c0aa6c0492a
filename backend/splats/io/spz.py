"""Reads SPZ versions 2 to 4 and writes 3 and 4: about a tenth of a PLY's size, with small losses.

Versions 2 and 3 are one gzip stream: a header of 16 bytes, the parts one after another, extensions. Version 4 is a
header of 32 bytes, extensions, the sizes of the parts, and a zstd stream for each part.
Source: the README and `load-spz.cc` of https://github.com/nianticlabs/spz (MIT).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from backend.splats.io.atomic import atomic_file
from backend.splats.io.bounded import gunzipped, gunzipped_start, refuse_bomb, unzstandard
from backend.splats.io.content import SplatContent, damaged
from backend.splats.io.file_format import Format
from backend.splats.io.frames import Frame, frame_called, letters_of
from backend.splats.io.spz_packing import fitting_fraction_bits, pack, part_widths, unpack
from shared_protocol.errors import UserError

_MAGIC = b"NGSP"
_GZIP = b"\x1f\x8b"
_HEADER = struct.Struct("<4sIIBBBB")  # magic, version, splats, SH degree, fraction bits, flags, streams in version 4
_HEADER_4 = 32  # bytes
_TOC_ENTRY = struct.Struct("<QQ")  # packed and unpacked bytes
_ANTIALIASED, _EXTENDED = 1, 2  # flags
_MOST_EXTENSIONS = 1 << 20  # bytes

# The extension in which Adobe's library says the frame. https://github.com/nianticlabs/spz, extensions/README.md
_FRAME_EXTENSION = 0xADBE0003
_EXTENSION_HEAD = struct.Struct("<II")  # type, bytes
# fmt: off
_FRAME_NUMBERS = ("", "LDB", "RDB", "LUB", "RUB", "LDF", "RDF", "LUF", "RUF",
                  "LFD", "RFD", "LFU", "RFU", "LBD", "RBD", "LBU", "RBU")
# fmt: on
_ZSTD_LEVEL = 3
_GZIP_LEVEL = 2  # of ISA-L, of 0 to 3
_ASSUMED = (
    "The file does not say how its axes stand; y up is assumed, as SPZ has it. If the splats stand on their head, the"
    " program that wrote them kept the frame of the PLY file: read them as opencv."
)


class _Header(NamedTuple):
    version: int
    splats: int
    sh_degree: int
    fraction_bits: int
    flags: int
    streams: int


def read(path: Path) -> SplatContent:
    """Raises UserError when the file is damaged or of another version."""
    path = Path(path)
    content = np.fromfile(path, np.uint8).data  # numpy's memory comes in large pages, that of bytes in small ones
    packed = content[:2] == _GZIP
    header = _header(path, gunzipped_start(path, content, _HEADER.size) if packed else bytes(content[: _HEADER.size]))
    widths = part_widths(header.version, header.sh_degree)
    sizes = [header.splats * width for width in widths]
    refuse_bomb(path, len(content), sum(sizes))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        if header.version == 4:
            streams, extensions = _streams_of_4(path, content, header, sizes, pool)
        else:
            body = gunzipped(path, content, _HEADER.size + sum(sizes) + _MOST_EXTENSIONS) if packed else content
            offsets = np.cumsum([_HEADER.size, *sizes])
            if len(body) < offsets[-1]:
                raise damaged(path, f"it ends before the last of its {header.splats:,} splats")
            whole = np.frombuffer(body, np.uint8)
            streams = [partial(whole.__getitem__, slice(a, b)) for a, b in pairwise(offsets)]
            extensions = memoryview(body)[offsets[-1] :]

        def part(stream: Callable[[], np.ndarray], width: int) -> np.ndarray:
            return stream().reshape(header.splats, width)

        parts = [partial(part, stream, width) for stream, width in zip(streams, widths, strict=True)]
        cloud = unpack(parts, header.version, header.fraction_bits)
    frame = _frame_in(extensions) if header.flags & _EXTENDED else None
    notes = () if frame else (_ASSUMED,)
    antialiased = bool(header.flags & _ANTIALIASED)
    return SplatContent(cloud, frame or FORMAT.frame, antialiased, notes=notes, is_finite=True)


def write(path: Path, content: SplatContent, version: int = 4, sh_bits: tuple[int, int] = (8, 8)) -> None:
    """Writes the splats, in their frame, which version 4 names.

    version: 4, or 3 for older programs. sh_bits: of the first SH band and of the others, 1 to 8 each; fewer make a
    smaller file ((5, 4) is what Niantic's library takes).
    """
    if version not in (3, 4):
        raise UserError("bad_input", f"SPZ is written in version 3 or 4, not {version}.")
    if not all(1 <= bits <= 8 for bits in sh_bits):
        raise UserError("bad_input", "SPZ takes 1 to 8 bits for a colour's coefficient.")
    bits = fitting_fraction_bits(content.cloud.means)
    if bits < 0:
        raise UserError(
            "bad_input",
            f"'{path}' cannot be written: its splats lie further than 8 million units from the origin.",
            "Move them nearer, or write a PLY file.",
        )
    parts = pack(content.cloud, version, bits, sh_bits)
    # Before version 4 programs may stumble over extensions, so only an unusual frame is named there.
    extension = _frame_extension(content.frame) if version == 4 or content.frame != FORMAT.frame else b""
    flags = _ANTIALIASED * bool(content.antialiased) | _EXTENDED * bool(extension)
    fields = (_MAGIC, version, len(content), content.cloud.sh_degree, bits, flags)
    with atomic_file(path) as stream:
        if version == 4:
            streams = [part for part in parts if part.size]
            packed = _zstandard(streams)
            stream.write(_HEADER.pack(*fields, len(streams)))
            stream.write(struct.pack("<I", _HEADER_4 + len(extension)).ljust(_HEADER_4 - _HEADER.size, b"\0"))
            stream.write(extension)
            for part, chunk in zip(streams, packed, strict=True):
                stream.write(_TOC_ENTRY.pack(len(chunk), part.size))
            stream.writelines(packed)
        else:
            stream.write(_gzipped([_HEADER.pack(*fields, 0), *parts, extension]))


def _header(path: Path, start: bytes) -> _Header:
    if len(start) < _HEADER.size or not start.startswith(_MAGIC):
        raise damaged(path, "it does not begin as an SPZ file does", "Other gzip files are no splats.")
    header = _Header(*_HEADER.unpack_from(start)[1:])
    if header.version not in (2, 3, 4):
        message = f"'{path}' is an SPZ file of version {header.version}; versions 2 to 4 can be read."
        raise UserError("unsupported", message, "Export it in one of these versions.")
    if header.sh_degree > 4:
        raise damaged(path, f"it claims an SH degree of {header.sh_degree}")
    if header.fraction_bits > 24:
        raise damaged(path, f"it claims {header.fraction_bits} fraction bits in its positions of 24")
    return header


def _streams_of_4(
    path: Path, content: memoryview, header: _Header, sizes: list[int], pool: ThreadPoolExecutor
) -> tuple[list[Callable[[], np.ndarray]], memoryview]:
    """What waits for each unpacked part, and the extensions."""
    begin = int.from_bytes(content[16:20], "little")
    expected = [size for size in sizes if size]  # empty parts are left out
    end = begin + _TOC_ENTRY.size * len(expected)
    if header.streams != len(expected) or not _HEADER_4 <= begin <= end <= len(content):
        raise damaged(path, "its table of parts is broken")
    table = list(_TOC_ENTRY.iter_unpack(content[begin:end]))
    offsets = np.cumsum([end, *(min(packed, len(content)) for packed, _ in table)]).tolist()
    if [unpacked for _, unpacked in table] != expected or offsets[-1] > len(content):
        raise damaged(path, "its table of parts does not fit its size and its number of splats")
    chunks = [content[a:b] for a, b in pairwise(offsets)]
    # The last one is by far the longest, so it begins first.
    jobs = [
        pool.submit(unzstandard, path, chunk, size) for chunk, size in zip(chunks[::-1], expected[::-1], strict=True)
    ]
    streams: list[Callable[[], np.ndarray]] = [
        jobs.pop().result if size else partial(np.empty, 0, np.uint8) for size in sizes
    ]
    return streams, content[_HEADER_4:begin]


def _frame_in(extensions: memoryview) -> Frame | None:
    """The frame that the file names, or None. Unknown extensions are passed over."""
    offset = 0
    while offset + _EXTENSION_HEAD.size <= len(extensions):
        kind, length = _EXTENSION_HEAD.unpack_from(extensions, offset)
        offset += _EXTENSION_HEAD.size
        if kind == _FRAME_EXTENSION and length == 4 and offset + 4 <= len(extensions):
            number = int.from_bytes(extensions[offset : offset + 4], "little")
            return frame_called(_FRAME_NUMBERS[number]) if 0 < number < len(_FRAME_NUMBERS) else None
        offset += length
    return None


def _frame_extension(frame: Frame) -> bytes:
    letters = letters_of(frame)
    if letters not in _FRAME_NUMBERS:
        message = f"SPZ has no name for axes that point {letters}."
        raise UserError("bad_input", message, "Write in one of the frames opencv, y_up or z_up.")
    return _EXTENSION_HEAD.pack(_FRAME_EXTENSION, 4) + struct.pack("<I", _FRAME_NUMBERS.index(letters))


def _zstandard(parts: list[np.ndarray]) -> list[bytes]:
    import zstandard

    packer = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, threads=-1)
    return [packer.compress(part.reshape(-1).data) for part in parts]


def _gzipped(pieces: list[bytes | np.ndarray]) -> bytes:
    from isal import isal_zlib

    packer = isal_zlib.compressobj(level=_GZIP_LEVEL, wbits=31)
    packed = [packer.compress(piece if isinstance(piece, bytes) else piece.reshape(-1).data) for piece in pieces]
    return b"".join([*packed, packer.flush()])


FORMAT = Format(
    name="spz",
    label="SPZ",
    suffixes=(".spz",),
    frame="y_up",
    sh_degree=4,
    recognises=lambda head, path: head.startswith((_MAGIC, _GZIP)),
    read=read,
    write=write,
    keeps_frame=True,
)
