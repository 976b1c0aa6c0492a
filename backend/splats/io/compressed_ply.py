"""Reads and writes PlayCanvas's compressed PLY: a quarter of the size, positions and colours packed in chunks of 256.

Source: `compressed-chunk.ts`, `write-compressed-ply.ts` and `decompress-ply.ts` of
https://github.com/playcanvas/splat-transform (MIT). Files written before 2024 have no range of colours in their chunks.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.splats.cloud import SplatCloud
from backend.splats.io.activations import (
    bits_of,
    from_smallest_three,
    logits_of_bytes,
    opacities_of,
    smallest_three,
    unit_quats,
)
from backend.splats.io.atomic import atomic_file
from backend.splats.io.blocks import LONG, for_each_block
from backend.splats.io.content import SplatContent, damaged
from backend.splats.io.file_format import Format
from backend.splats.io.ply import antialiased_by, comments_of
from backend.splats.io.ply_header import MAGIC, Element, Header, read_header
from backend.splats.io.spatial_order import morton_order
from backend.splats.sh_basis import C0

_CHUNK = 256  # splats
_LARGEST_SCALE = 20  # of the logarithm, either way
_RANGES = tuple(
    f"{end}_{name}"
    for names in (("x", "y", "z"), ("scale_x", "scale_y", "scale_z"), ("r", "g", "b"))
    for end in ("min", "max")
    for name in names
)
_PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
_POINT_BITS = np.array([11, 10, 11], np.uint32)
_POINT_SHIFTS = np.array([21, 11, 0], np.uint32)
_POINT_MOST = (2**_POINT_BITS - 1).astype(np.float32)
_COLOR_SHIFTS = np.array([24, 16, 8, 0], np.uint32)
_TURN_SHIFTS = np.array([20, 10, 0], np.uint32)
_SH_RANGE = 8.0  # from -4 to 4


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
    packed = _table(path, header, vertex, _PACKED, "u4")
    coefficients = 0 if sh is None else len(sh.properties)
    if coefficients not in (0, 9, 24, 45) or (sh is not None and sh.count != vertex.count):
        raise damaged(path, "its view-dependent colours do not fit its splats")
    rest = None if sh is None else _table(path, header, sh, tuple(f"f_rest_{i}" for i in range(coefficients)), "u1")
    if chunk.count < -(-len(packed) // _CHUNK):
        raise damaged(path, f"it has {chunk.count:,} chunks, too few for {len(packed):,} splats")
    cloud = _unpack(ranges, packed, rest)
    return SplatContent(cloud, antialiased=antialiased_by(header.comments))


def write(path: Path, content: SplatContent) -> None:
    """Writes the splats in the order of a curve through space, whole or not at all; see the module for the losses."""
    cloud = content.cloud
    n, k, _ = cloud.sh.shape
    order = morton_order(cloud.means)
    chunks = -(-n // _CHUNK)
    ranges = np.empty((chunks, 3, 2, 3), "<f4")
    packed = np.empty((n, 4), "<u4")
    rest = np.empty((n, 3, k - 1), np.uint8)

    def pack(start: int, stop: int) -> None:
        chosen, part = order[start:stop], slice(start, stop)
        own = slice(start // _CHUNK, -(-stop // _CHUNK))
        scales = cloud.log_scales[chosen].clip(-_LARGEST_SCALE, _LARGEST_SCALE)
        colors = cloud.sh[chosen, 0] * np.float32(C0) + np.float32(0.5)
        points = (cloud.means[chosen], scales, colors)
        fractions = [_normalised(values, ranges[own, kind]) for kind, values in enumerate(points)]
        packed[part, 0], packed[part, 2] = (_packed_point(fractions[kind]) for kind in (0, 1))
        packed[part, 1] = _packed_turn(cloud.quats[chosen])
        alpha = opacities_of(cloud.opacity_logits[chosen])[:, None]
        shades = np.rint(np.concatenate([fractions[2], alpha], axis=1) * 255).astype(np.uint32)
        packed[part, 3] = np.bitwise_or.reduce(shades << _COLOR_SHIFTS, axis=1)
        steps = np.trunc((cloud.sh[chosen, 1:] / _SH_RANGE + 0.5) * 256).clip(0, 255)
        rest[part] = steps.astype(np.uint8).transpose(0, 2, 1)

    for_each_block(n, pack)
    lines = ["ply", "format binary_little_endian 1.0", *comments_of(content), f"element chunk {chunks}"]
    lines += [f"property float {name}" for name in _RANGES]
    lines += [f"element vertex {n}", *(f"property uint {name}" for name in _PACKED)]
    if k > 1:
        lines += [f"element sh {n}", *(f"property uchar f_rest_{i}" for i in range(3 * (k - 1)))]
    with atomic_file(path) as stream:
        stream.write("\n".join([*lines, "end_header\n"]).encode("ascii"))
        for array in (ranges, packed, rest):
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
        return rows.view(dtype[0]).reshape(len(rows), len(names))
    return np.stack([rows[name] for name in names], axis=1)


def _unpack(ranges: np.ndarray, packed: np.ndarray, rest: np.ndarray | None) -> SplatCloud:
    """ranges: [chunks, 2 or 3, 2, 3] of positions, log scales, colours. packed: [N, 4]. rest: uint8 [N, 3 (K - 1)]."""
    n, k = len(packed), 1 if rest is None else rest.shape[1] // 3 + 1
    cloud = SplatCloud(
        np.empty((n, 3), np.float32),
        np.empty((n, 4), np.float32),
        np.empty((n, 3), np.float32),
        logits_of_bytes((packed[:, 3] & 255).astype(np.uint8)),
        np.empty((n, k, 3), np.float32),
    )
    coefficient_major = np.arange(3 * (k - 1)).reshape(3, k - 1).T.ravel()
    flat_sh = cloud.sh.reshape(n, 3 * k)
    colors = flat_sh if k == 1 else np.empty((n, 3), np.float32)  # packed, and copied when their lines are filled

    def unpack(start: int, stop: int) -> None:
        part = slice(start, stop)
        own = ranges[start // _CHUNK : -(-stop // _CHUNK)]
        positions, turns, scales, shades = packed[part].T
        _unpack_point(positions, own[:, 0], cloud.means[part])
        _unpack_point(scales, own[:, 1], cloud.log_scales[part])
        for axis, shift in enumerate(_COLOR_SHIFTS[:3].tolist()):
            fractions = bits_of(shades, shift, 8) * np.float32(1 / 255)
            if ranges.shape[1] == 3:
                fractions = _within(fractions, own[:, 2, :, axis])
            colors[part, axis] = (fractions - np.float32(0.5)) / np.float32(C0)
        three = np.stack([bits_of(turns, shift, 10) for shift in _TURN_SHIFTS.tolist()])
        three *= np.float32(np.sqrt(2) / 1023)
        three -= np.float32(np.sqrt(0.5))
        from_smallest_three(turns >> np.uint32(30), three, cloud.quats[part].T)

    def unpack_rest(start: int, stop: int) -> None:
        assert rest is not None
        flat_sh[start:stop, :3] = colors[start:stop]
        steps, values = rest[start:stop].take(coefficient_major, axis=1, mode="clip"), flat_sh[start:stop, 3:]
        middles = steps.astype(np.float32)
        middles *= np.float32(_SH_RANGE / 256)
        np.subtract(middles, np.float32((0.5 - 0.5 / 256) * _SH_RANGE), out=values)
        for step, end in ((0, -0.5), (255, 0.5)):  # which stand for the ends of the range, not for middles of steps
            if (at_end := steps == step).any():  # rare, and slow
                np.copyto(values, np.float32(end * _SH_RANGE), where=at_end)

    for_each_block(n, unpack, LONG)
    if k > 1:
        for_each_block(n, unpack_rest)
    return cloud


def _unpack_point(words: np.ndarray, ranges: np.ndarray, points: np.ndarray) -> None:
    """ranges: [chunks, 2, 3]. points: float32 [N, 3], filled in."""
    for axis, (shift, bits) in enumerate(zip(_POINT_SHIFTS.tolist(), _POINT_BITS.tolist(), strict=True)):
        fractions = bits_of(words, shift, bits) * np.float32(1 / (2**bits - 1))
        points[:, axis] = _within(fractions, ranges[:, :, axis])


def _within(fractions: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """From 0..1 to the range of the chunk, [chunks, 2]."""
    low, size = (np.repeat(values, _CHUNK)[: len(fractions)] for values in (ranges[:, 0], ranges[:, 1] - ranges[:, 0]))
    return low + fractions * size


def _normalised(values: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """Values within the range of their chunk, 0..1; writes the ranges, [chunks, 2, 3], beside."""
    starts = np.arange(0, len(values), _CHUNK)
    ranges[:, 0] = np.minimum.reduceat(values, starts)
    ranges[:, 1] = np.maximum.reduceat(values, starts)
    own = np.repeat(ranges, _CHUNK, axis=0)[: len(values)]
    size = own[:, 1] - own[:, 0]
    return ((values - own[:, 0]) / np.where(size > 0, size, 1)).clip(0, 1)


def _packed_point(fractions: np.ndarray) -> np.ndarray:
    steps = np.rint(fractions * _POINT_MOST).astype(np.uint32)
    return np.bitwise_or.reduce(steps << _POINT_SHIFTS, axis=1)


def _packed_turn(quats: np.ndarray) -> np.ndarray:
    largest, three = smallest_three(unit_quats(quats))
    steps = np.rint((three * np.float32(np.sqrt(0.5)) + np.float32(0.5)) * 1023).astype(np.uint32)
    return (largest.astype(np.uint32) << np.uint32(30)) | np.bitwise_or.reduce(steps << _TURN_SHIFTS, axis=1)


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
