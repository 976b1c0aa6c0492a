"""Reads and writes PlayCanvas's compressed PLY: a quarter of the size, positions and colours packed in chunks of 256.

Source: `compressed-chunk.ts`, `write-compressed-ply.ts` and `decompress-ply.ts` of
https://github.com/playcanvas/splat-transform (MIT). Files written before 2024 have no range of colours in their chunks.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.splats.io.atomic import atomic_file
from backend.splats.io.blocks import for_each_block
from backend.splats.io.compressed_packing import CHUNK, pack, unpack
from backend.splats.io.content import SplatContent, damaged
from backend.splats.io.file_format import Format
from backend.splats.io.ply import antialiased_by, comments_of
from backend.splats.io.ply_header import MAGIC, Element, Header, read_header
from backend.splats.io.spatial_order import morton_order

_RANGES = tuple(
    f"{end}_{name}"
    for names in (("x", "y", "z"), ("scale_x", "scale_y", "scale_z"), ("r", "g", "b"))
    for end in ("min", "max")
    for name in names
)
_WORDS = ("packed_position", "packed_rotation", "packed_scale", "packed_color")


def read(path: Path) -> SplatContent:
    """With and without view-dependent colours, with 12 and with 18 floats a chunk.

    Raises UserError when the file is damaged.
    """
    path = Path(path)
    header = read_header(path)
    chunk, vertex, sh = (header.element(name) for name in ("chunk", "vertex", "sh"))
    if chunk is None or vertex is None:
        raise damaged(path, "it has no chunks or no splats")
    kinds = 3 if set(_RANGES) <= chunk.properties.keys() else 2  # positions, scales, colours
    ranges = _table(path, header, chunk, _RANGES[: 6 * kinds], "f4").reshape(chunk.count, kinds, 2, 3)
    words = _table(path, header, vertex, _WORDS, "u4")
    coefficients = 0 if sh is None else len(sh.properties)
    if coefficients not in (0, 9, 24, 45) or (sh is not None and sh.count != vertex.count):
        raise damaged(path, "its view-dependent colours do not fit its splats")
    rest = None if sh is None else _table(path, header, sh, tuple(f"f_rest_{i}" for i in range(coefficients)), "u1")
    if chunk.count < -(-len(words) // CHUNK):
        raise damaged(path, f"it has {chunk.count:,} chunks, too few for {len(words):,} splats")
    # What is packed lies within its ranges.
    is_finite = bool(np.isfinite(ranges[:, :, 1] - ranges[:, :, 0]).all())
    return SplatContent(unpack(ranges, words, rest), antialiased=antialiased_by(header.comments), is_finite=is_finite)


def write(path: Path, content: SplatContent) -> None:
    """Writes the splats in the order of a curve through space, whole or not at all; see the module for the losses."""
    cloud = content.cloud
    n, k, _ = cloud.sh.shape
    order = morton_order(cloud.means)
    chunks = -(-n // CHUNK)
    ranges = np.empty((chunks, 3, 2, 3), "<f4")
    words = np.empty((n, 4), "<u4")
    rest = np.empty((n, 3 * (k - 1)), np.uint8)

    def pack_block(start: int, stop: int) -> None:
        part, own = slice(start, stop), slice(start // CHUNK, -(-stop // CHUNK))
        pack(cloud.select(order[part]), ranges[own], words[part], rest[part])

    for_each_block(n, pack_block)
    lines = ["ply", "format binary_little_endian 1.0", *comments_of(content), f"element chunk {chunks}"]
    lines += [f"property float {name}" for name in _RANGES]
    lines += [f"element vertex {n}", *(f"property uint {name}" for name in _WORDS)]
    if k > 1:
        lines += [f"element sh {n}", *(f"property uchar f_rest_{i}" for i in range(3 * (k - 1)))]
    with atomic_file(path) as stream:
        stream.write("\n".join([*lines, "end_header\n"]).encode("ascii"))
        for array in (ranges, words, rest):
            stream.write(array.reshape(-1).view(np.uint8).data)


def _table(path: Path, header: Header, element: Element, names: tuple[str, ...], kind: str) -> np.ndarray:
    """The named columns of an element, all of one type, side by side [n, len(names)]."""
    if not names:  # gsplat writes the element for SH even where there are none
        return np.empty((element.count, 0), np.uint8)
    offset = header.offset(element.name)
    if offset is None or any(element.properties.get(name) != kind for name in names):
        raise damaged(path, f"its element '{element.name}' is not what a compressed PLY has there")
    dtype = element.row(header.byte_order)
    rows = np.fromfile(path, dtype, element.count, offset=offset)
    if len(rows) != element.count:
        raise damaged(path, "it ends before its last splat")
    if tuple(element.properties) == names:
        table = rows.view(dtype[0]).reshape(len(rows), len(names))
    else:
        table = np.stack([rows[name] for name in names], axis=1)
    return table.astype(kind, copy=False)  # in the processor's order of bytes


FORMAT = Format(
    name="compressed.ply",
    label="PlayCanvas compressed PLY",
    suffixes=(".compressed.ply",),
    frame="opencv",
    sh_degree=3,
    recognises=lambda head, path: head.startswith(MAGIC) and b"packed_position" in head,
    read=read,
    write=write,
)
