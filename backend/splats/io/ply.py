"""Reads and writes splat clouds as PLY files in the layout of the 3D Gaussian Splatting authors.

Source: `save_ply` in scene/gaussian_model.py of https://github.com/graphdeco-inria/gaussian-splatting; comments as
Brush (https://github.com/ArthurBrussee/brush) and Postshot write them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from backend.splats.cloud import SH_COEFFICIENTS, SplatCloud
from backend.splats.io.atomic import atomic_file
from backend.splats.io.blocks import for_each_block
from backend.splats.io.content import SplatContent, damaged
from backend.splats.io.file_format import Format
from backend.splats.io.ply_header import MAGIC, NAME_OF_TYPE, Header, read_header
from backend.splats.io.ply_rows import BinaryRows, ParsedRows, Rows
from shared_protocol.errors import UserError

POSITION = ("x", "y", "z")
NORMAL = ("nx", "ny", "nz")  # zero in nearly all files; some readers expect the columns to be there
BASE_COLOR = ("f_dc_0", "f_dc_1", "f_dc_2")
SCALE = ("scale_0", "scale_1", "scale_2")
ROTATION = ("rot_0", "rot_1", "rot_2", "rot_3")

# 2D Gaussian Splatting writes discs, without scale_2. A disc becomes a splat this much thinner than it is wide.
FLATNESS = np.float32(np.log(1e-4))
_ANTIALIASED = "SplatRenderMode: mip"


def read(path: Path) -> SplatContent:
    """Text or binary of either byte order, properties in any order, SH degree 0-4; other numbers become `extra`.

    Raises UserError when the file is damaged or holds something else than splats.
    """
    path = Path(path)
    header = read_header(path)
    vertex = header.element("vertex")
    if vertex is None:
        raise UserError("bad_input", f"'{path}' is a PLY file without vertices.", "Choose a file that holds splats.")
    names = tuple(name for name in vertex.properties if name not in vertex.lists)
    flat = "scale_2" not in names
    scale = SCALE[:2] if flat else SCALE
    required = (*POSITION, *BASE_COLOR, "opacity", *scale, *ROTATION)
    missing = [name for name in required if name not in names]
    if missing:
        raise UserError(
            "bad_input",
            f"'{path}' is a PLY file but not one of splats: it has no property '{missing[0]}'.",
            "Meshes and point clouds are PLY files too; choose a file written by a splat trainer or editor.",
        )
    rest = _rest_names(path, names)
    with rows_of(path, header) as rows:
        cloud, extra = _read_rows(rows, scale, rest, [name for name in names if name not in {*required, *rest}])
    notes = ()
    if flat:
        cloud.log_scales[:, 2] = cloud.log_scales[:, :2].min(axis=1) + FLATNESS
        notes = ("The file holds flat discs (2D Gaussian Splatting); they became very thin splats.",)
    if not any(extra[name].any() for name in NORMAL if name in extra):
        extra = {name: column for name, column in extra.items() if name not in NORMAL}
    return SplatContent(cloud, antialiased=antialiased_by(header.comments), extra=extra, notes=notes)


def write(path: Path, content: SplatContent) -> None:
    """Writes the splats whole or not at all; the same splats always give the same bytes.

    Raises UserError when the file cannot be written.
    """
    cloud = content.cloud
    n, k, _ = cloud.sh.shape
    width = 14 + 3 * k  # floats: 3 of position, 3 of normal, the colours, opacity, 3 of scale, 4 of rotation
    extra = {name: _writable(column) for name, column in content.extra.items() if _is_name(name)}
    normals = [extra.pop(name, None) for name in NORMAL]
    own = (*POSITION, *NORMAL, *BASE_COLOR, *(f"f_rest_{i}" for i in range(3 * (k - 1))), "opacity", *SCALE, *ROTATION)
    row = np.dtype([(name, "<f4") for name in own] + [(name, column.dtype) for name, column in extra.items()])
    start_of_rows = _head(n, row, comments_of(content))
    channel_major = np.concatenate([np.arange(3), np.arange(3, 3 * k).reshape(-1, 3).T.ravel()])

    def write_block(start: int, stop: int) -> None:
        part = slice(start, stop)
        raw = np.empty((stop - start, row.itemsize), np.uint8)
        floats = raw[:, : 4 * width].view("<f4")
        floats[:, 0:3] = cloud.means[part]
        for axis, column in enumerate(normals):
            floats[:, 3 + axis] = 0 if column is None else column[part]
        # One gather is several times faster than moving an axis.
        floats[:, 6 : 6 + 3 * k] = np.take(cloud.sh[part].reshape(-1, 3 * k), channel_major, axis=1)
        floats[:, 6 + 3 * k] = cloud.opacity_logits[part]
        floats[:, -7:-4] = cloud.log_scales[part]
        floats[:, -4:] = cloud.quats[part]
        for name, column in extra.items():
            raw.view(row)[name][:, 0] = column[part]
        _write_all(file, raw, len(start_of_rows) + start * row.itemsize)

    with atomic_file(path) as stream:
        stream.write(start_of_rows)
        stream.flush()
        file = stream.fileno()
        for_each_block(n, write_block)


def antialiased_by(comments: tuple[str, ...]) -> bool | None:
    """Whether the splats were trained with antialiasing, as the comments of Brush and Postshot say."""
    for comment in comments:
        found = re.match(r"\s*(?:SplatRenderMode\s*:\s*(\w+)|antialiased\s+([01])\s*$)", comment, re.IGNORECASE)
        if found:
            return found[1].lower() == "mip" if found[1] else found[2] == "1"
    return None


def comments_of(content: SplatContent) -> list[str]:
    """Lines for a header that say what `antialiased_by` understands."""
    return [f"comment {_ANTIALIASED}"] if content.antialiased else []


def rows_of(path: Path, header: Header) -> Rows:
    """The rows of the element "vertex", read when they are asked for. Raises UserError."""
    vertex, offset = header.element("vertex"), header.offset("vertex")
    if vertex is None or offset is None or vertex.lists:
        return ParsedRows(path)
    return BinaryRows(path, offset, vertex.count, vertex.row(header.byte_order))


def _read_rows(
    rows: Rows, scale: tuple[str, ...], rest: tuple[str, ...], others: list[str]
) -> tuple[SplatCloud, dict[str, np.ndarray]]:
    n, k = len(rows), len(rest) // 3 + 1
    cloud = SplatCloud(
        np.empty((n, 3), np.float32),
        np.empty((n, 4), np.float32),
        np.empty((n, 3), np.float32),
        np.empty(n, np.float32),
        np.empty((n, k, 3), np.float32),
    )
    extra = {name: np.empty(n, rows.dtype[name].newbyteorder("=")) for name in others}
    # The file holds all coefficients of red, then green, then blue; we hold the colours of each coefficient.
    sh_names = (*BASE_COLOR, *(rest[color * (k - 1) + i] for i in range(k - 1) for color in range(3)))
    flat_sh = cloud.sh.reshape(n, 3 * k)

    def read_block(start: int, stop: int) -> None:
        part = slice(start, stop)
        block = rows.block(start, stop)
        block.take(POSITION, cloud.means[part])
        block.take(ROTATION, cloud.quats[part])
        block.take(("opacity",), cloud.opacity_logits[part, None])
        block.take(scale if len(scale) == 3 else (*scale, scale[0]), cloud.log_scales[part])
        block.take(sh_names, flat_sh[part])
        for name, column in extra.items():
            column[part] = block.column(name)

    for_each_block(n, read_block)
    return cloud, extra


def _rest_names(path: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    """The properties f_rest_0 ... in numeric order. Raises UserError when their number belongs to no SH degree."""
    count = sum(name.startswith("f_rest_") for name in names)
    rest = tuple(f"f_rest_{i}" for i in range(count))
    if count % 3 or count // 3 + 1 not in SH_COEFFICIENTS or not set(rest) <= set(names):
        reason = f"it has {count} f_rest properties; splats have 0, 9, 24, 45 or 72 of them, numbered from 0"
        raise damaged(path, reason, "Export it again.")
    return rest


def _head(count: int, row: np.dtype, comments: list[str]) -> bytes:
    assert row.names is not None
    lines = ["ply", "format binary_little_endian 1.0", *comments, f"element vertex {count}"]
    lines += [f"property {NAME_OF_TYPE[row[name].str[1:]]} {name}" for name in row.names]
    return "\n".join([*lines, "end_header\n"]).encode("ascii")


def _is_name(name: str) -> bool:
    return name.isascii() and name.split() == [name]


def _writable(column: np.ndarray) -> np.ndarray:
    """In a type that PLY has, little-endian."""
    kind = column.dtype.str[1:]
    if kind not in NAME_OF_TYPE:
        kind = {"b1": "u1", "f2": "f4"}.get(kind, "f8")
    return column.astype(f"<{kind}", copy=False)


def _write_all(file: int, block: np.ndarray, offset: int) -> None:
    content = block.reshape(-1).data
    while content:
        written = os.pwrite(file, content, offset)
        content, offset = content[written:], offset + written


FORMAT = Format(
    name="ply",
    label="3D Gaussian Splatting PLY",
    suffixes=(".ply",),
    frame="opencv",
    sh_degree=4,
    recognises=lambda head, path: head.startswith(MAGIC),
    read=read,
    write=write,
)
