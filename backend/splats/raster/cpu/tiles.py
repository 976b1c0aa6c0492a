"""Which splats touch which 16x16 tile, in depth order, and on which pixel rows.

A splat enters only the tiles that its visible ellipse really crosses (not those of its bounding box), and in each tile
only the pixel rows that the ellipse covers there. Lists come out the same for any number of threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numba import prange

from backend.splats.kernels import device_function, parallel_kernel, serial_kernel
from backend.splats.raster.constants import TILE_SIZE
from backend.splats.raster.cpu.projection import EXTENT_X, EXTENT_Y, LOG_LIMIT, TILT_X, TILT_Y, P, Q, R

SLACK = 0.02  # pixels; rounding must not lose a covered pixel, each pixel is tested again when it is blended
BLOCK = 512


@dataclass(frozen=True)
class TileLists:
    """The tiles of one picture. M = pairs of splat and tile, V = splats in the picture."""

    tiles_x: int
    tiles_y: int
    order: np.ndarray  # [V] int32, splats from near to far; below, "rank" is a position in this array
    tile_start: np.ndarray  # [tiles + 1] int64, the pairs of a tile, row-major tiles
    rank_of_pair: np.ndarray  # [M] int32
    rows_of_pair: np.ndarray  # [M, 2] uint8: first and last pixel row within the tile
    slot_start: np.ndarray  # [V + 1] int64, the slots of a rank
    pair_of_slot: np.ndarray  # [M] int64: a rank's pairs, found through its slots


@serial_kernel
def depth_order(radii, depths):  # type: ignore[no-untyped-def]
    """Visible splats from near to far, ties by index. Radix sort of the float bits. -> int32 [V]"""
    n = depths.shape[0]
    bits = depths.view(np.uint32)
    keys, splats = np.empty(n, np.uint32), np.empty(n, np.int32)
    visible = 0
    for i in range(n):
        if radii[i, 0] > 0 or radii[i, 1] > 0:
            key = bits[i]
            keys[visible] = ~key if key >> np.uint32(31) else key | np.uint32(0x80000000)
            splats[visible] = i
            visible += 1
    other_keys, other_splats = np.empty(visible, np.uint32), np.empty(visible, np.int32)
    keys, splats = keys[:visible], splats[:visible]
    for digit in range(3):
        shift = np.uint32(11 * digit)
        start = np.zeros(2049, np.int64)
        for i in range(visible):
            start[((keys[i] >> shift) & np.uint32(2047)) + 1] += 1
        for bucket in range(2048):
            start[bucket + 1] += start[bucket]
        for i in range(visible):
            bucket = (keys[i] >> shift) & np.uint32(2047)
            target = start[bucket]
            start[bucket] = target + 1
            other_keys[target] = keys[i]
            other_splats[target] = splats[i]
        keys, other_keys = other_keys, keys
        splats, other_splats = other_splats, splats
    return splats.copy()


@device_function
def _reach_x(ellipse, low, high, sign):  # type: ignore[no-untyped-def]
    """How far the visible ellipse reaches in x (sign +1 right, -1 left) between two heights about its centre."""
    tilt = sign * ellipse[TILT_Y]
    if low <= tilt <= high:
        return sign * ellipse[EXTENT_X]
    y = low if tilt < low else high
    root = math.sqrt(max(0.0, ellipse[LOG_LIMIT] - (ellipse[R] * y) ** 2))
    return (sign * root - ellipse[Q] * y) / ellipse[P]


@device_function
def _reach_y(ellipse, low, high, sign):  # type: ignore[no-untyped-def]
    """The same in y, between low and high in x."""
    tilt = sign * ellipse[TILT_X]
    if low <= tilt <= high:
        return sign * ellipse[EXTENT_Y]
    x = low if tilt < low else high
    square = np.float64(ellipse[Q]) ** 2 + np.float64(ellipse[R]) ** 2
    root = math.sqrt(max(0.0, square * ellipse[LOG_LIMIT] - (np.float64(ellipse[P]) * ellipse[R] * x) ** 2))
    return (sign * root - np.float64(ellipse[P]) * ellipse[Q] * x) / square


@device_function
def _first_and_last(low, high, first, last):  # type: ignore[no-untyped-def]
    """Pixels of [first, last] whose centre (index + 0.5) lies in [low, high]; empty when first > last comes back."""
    low, high = min(max(low, -1e6), 1e6), min(max(high, -1e6), 1e6)
    return max(first, int(math.ceil(low - 0.5 - SLACK))), min(last, int(math.floor(high - 0.5 + SLACK)))


@parallel_kernel
def _tile_rows(order, means2d, ellipses, tiles_y, first_row, row_count):  # type: ignore[no-untyped-def]
    for block in prange((order.shape[0] + BLOCK - 1) // BLOCK):
        for rank in range(block * BLOCK, min(order.shape[0], (block + 1) * BLOCK)):
            i = order[rank]
            y, reach = np.float64(means2d[i, 1]), np.float64(ellipses[i, EXTENT_Y])
            top, bottom = _first_and_last(y - reach, y + reach, 0, tiles_y * TILE_SIZE - 1)
            first_row[rank] = top // TILE_SIZE
            row_count[rank] = bottom // TILE_SIZE - top // TILE_SIZE + 1 if bottom >= top else 0


@parallel_kernel
def _spans(order, means2d, ellipses, tiles_x, first_row, span_start, span_tiles, tile_count):  # type: ignore[no-untyped-def]
    """Fills span_tiles [S, 2] (first tile, tiles in the row) for each tile row of each splat, and a splat's tiles."""
    for block in prange((order.shape[0] + BLOCK - 1) // BLOCK):
        for rank in range(block * BLOCK, min(order.shape[0], (block + 1) * BLOCK)):
            i = order[rank]
            ellipse = ellipses[i]
            x, y = np.float64(means2d[i, 0]), np.float64(means2d[i, 1])
            total = 0
            for span in range(span_start[rank], span_start[rank + 1]):
                row = first_row[rank] + span - span_start[rank]
                low = max(row * TILE_SIZE + 0.5 - y, -np.float64(ellipse[EXTENT_Y]))
                high = min(row * TILE_SIZE + TILE_SIZE - 0.5 - y, np.float64(ellipse[EXTENT_Y]))
                left, right = _reach_x(ellipse, low, high, -1.0), _reach_x(ellipse, low, high, 1.0)
                first, last = _first_and_last(x + left, x + right, 0, tiles_x * TILE_SIZE - 1)
                tiles = last // TILE_SIZE - first // TILE_SIZE + 1 if last >= first else 0
                span_tiles[span, 0] = first // TILE_SIZE
                span_tiles[span, 1] = tiles
                total += tiles
            tile_count[rank] = total


@parallel_kernel
def _count_pairs(bands, tiles_x, tiles_y, first_row, span_start, span_tiles, pair_count):  # type: ignore[no-untyped-def]
    for band in prange(bands):
        row_low, row_high = band * tiles_y // bands, (band + 1) * tiles_y // bands
        for tile in range(row_low * tiles_x, row_high * tiles_x):
            pair_count[tile] = 0
        for rank in range(first_row.shape[0]):
            shift = span_start[rank] - first_row[rank]
            for row in range(max(row_low, first_row[rank]), min(row_high, span_start[rank + 1] - shift)):
                first = row * tiles_x + span_tiles[shift + row, 0]
                for tile in range(first, first + span_tiles[shift + row, 1]):
                    pair_count[tile] += 1


@device_function
def _write_rows(ellipse, x, y, tile_x, tile_y, rows):  # type: ignore[no-untyped-def]
    """Writes the first and last pixel row of the tile that the ellipse covers; first > last when it covers none."""
    left, top = tile_x * TILE_SIZE, tile_y * TILE_SIZE
    low = max(left + 0.5 - x, -np.float64(ellipse[EXTENT_X]))
    high = min(left + TILE_SIZE - 0.5 - x, np.float64(ellipse[EXTENT_X]))
    down, up = y - top + _reach_y(ellipse, low, high, -1.0), y - top + _reach_y(ellipse, low, high, 1.0)
    first, last = _first_and_last(down, up, 0, TILE_SIZE - 1)
    rows[0], rows[1] = (first, last) if first <= last else (1, 0)


@parallel_kernel
def _fill_pairs(  # type: ignore[no-untyped-def]
    bands, tiles_x, tiles_y, order, means2d, ellipses, first_row, span_start, span_tiles, slot_start, next_pair,
    rank_of_pair, rows_of_pair, pair_of_slot,
):  # fmt: skip
    for band in prange(bands):
        row_low, row_high = band * tiles_y // bands, (band + 1) * tiles_y // bands
        for rank in range(order.shape[0]):
            shift = span_start[rank] - first_row[rank]
            row_end = span_start[rank + 1] - shift
            if first_row[rank] >= row_high or row_end <= row_low:
                continue
            i = order[rank]
            x, y = np.float64(means2d[i, 0]), np.float64(means2d[i, 1])
            slot = slot_start[rank]
            for row in range(first_row[rank], min(row_high, row_end)):
                if row < row_low:
                    slot += span_tiles[shift + row, 1]
                    continue
                first = span_tiles[shift + row, 0]
                for column in range(first, first + span_tiles[shift + row, 1]):
                    pair = next_pair[row * tiles_x + column]
                    next_pair[row * tiles_x + column] = pair + 1
                    rank_of_pair[pair] = rank
                    pair_of_slot[slot] = pair
                    _write_rows(ellipses[i], x, y, column, row, rows_of_pair[pair])
                    slot += 1


def _starts(counts: np.ndarray) -> np.ndarray:
    starts = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts


def bin_splats(
    radii: np.ndarray, means2d: np.ndarray, depths: np.ndarray, ellipses: np.ndarray, width: int, height: int
) -> TileLists:
    """Sorts one camera's splats into tiles. [N, 2] int32, [N, 2], [N], [N, ELLIPSE_COLUMNS]"""
    tiles_x, tiles_y = -(-width // TILE_SIZE), -(-height // TILE_SIZE)
    order = depth_order(radii, depths)
    first_row, row_count = np.empty(len(order), np.int64), np.empty(len(order), np.int64)
    _tile_rows(order, means2d, ellipses, tiles_y, first_row, row_count)
    span_start = _starts(row_count)
    span_tiles, tile_count = np.empty((span_start[-1], 2), np.int32), np.empty(len(order), np.int64)
    _spans(order, means2d, ellipses, tiles_x, first_row, span_start, span_tiles, tile_count)
    slot_start = _starts(tile_count)
    bands = max(1, min(tiles_y, 2 * numba.get_num_threads()))
    pair_count = np.empty(tiles_x * tiles_y, np.int64)
    _count_pairs(bands, tiles_x, tiles_y, first_row, span_start, span_tiles, pair_count)
    tile_start = _starts(pair_count)
    pairs = tile_start[-1]
    rank_of_pair, rows_of_pair = np.empty(pairs, np.int32), np.empty((pairs, 2), np.uint8)
    pair_of_slot = np.empty(pairs, np.int64)
    _fill_pairs(
        bands, tiles_x, tiles_y, order, means2d, ellipses, first_row, span_start, span_tiles, slot_start,
        tile_start[:-1].copy(), rank_of_pair, rows_of_pair, pair_of_slot,
    )  # fmt: skip
    return TileLists(tiles_x, tiles_y, order, tile_start, rank_of_pair, rows_of_pair, slot_start, pair_of_slot)
