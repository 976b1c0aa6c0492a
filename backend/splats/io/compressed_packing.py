"""How PlayCanvas's compressed PLY packs a splat into four words and a byte for each coefficient of its colour.

Source: `compressed-chunk.ts` and `decompress-ply.ts` of https://github.com/playcanvas/splat-transform (MIT).
"""

from __future__ import annotations

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
from backend.splats.io.blocks import LONG, for_each_block
from backend.splats.io.compiled import compiled_loops, floats_of_bytes
from backend.splats.sh_basis import C0

CHUNK = 256  # splats that share their ranges
_LARGEST_SCALE = 20  # of the logarithm, either way
_POINT_BITS = np.array([11, 10, 11], np.uint32)
_POINT_SHIFTS = np.array([21, 11, 0], np.uint32)
_POINT_MOST = (2**_POINT_BITS - 1).astype(np.float32)
_COLOR_SHIFTS = np.array([24, 16, 8, 0], np.uint32)
_TURN_SHIFTS = np.array([20, 10, 0], np.uint32)
_SH_RANGE = 8.0  # from -4 to 4


def pack(cloud: SplatCloud, ranges: np.ndarray, words: np.ndarray, rest: np.ndarray) -> None:
    """Fills in what is written of whole chunks; the last one may hold fewer splats.

    ranges: float32 [chunks, 3, 2, 3], lowest and highest of positions, log scales, colours. words: uint32 [N, 4].
    rest: uint8 [N, 3 (K - 1)], all coefficients of red, of green and of blue.
    """
    n, k, _ = cloud.sh.shape
    scales = cloud.log_scales.clip(-_LARGEST_SCALE, _LARGEST_SCALE)
    colors = cloud.sh[:, 0] * np.float32(C0) + np.float32(0.5)
    points = (cloud.means, scales, colors)
    fractions = [_normalised(values, ranges[:, kind]) for kind, values in enumerate(points)]
    words[:, 0], words[:, 2] = (_packed_point(fractions[kind]) for kind in (0, 1))
    words[:, 1] = _packed_turn(cloud.quats)
    alpha = opacities_of(cloud.opacity_logits)[:, None]
    shades = np.rint(np.concatenate([fractions[2], alpha], axis=1) * 255).astype(np.uint32)
    words[:, 3] = np.bitwise_or.reduce(shades << _COLOR_SHIFTS, axis=1)
    steps = np.trunc((cloud.sh[:, 1:] / _SH_RANGE + 0.5) * 256).clip(0, 255)
    rest.reshape(n, 3, k - 1)[:] = steps.astype(np.uint8).transpose(0, 2, 1)


def unpack(ranges: np.ndarray, words: np.ndarray, rest: np.ndarray | None) -> SplatCloud:
    """As in `pack`; ranges of 2 for old files without ranges of colours. rest: None = no view-dependent colours."""
    n, k = len(words), 1 if rest is None else rest.shape[1] // 3 + 1
    cloud = SplatCloud(
        np.empty((n, 3), np.float32),
        np.empty((n, 4), np.float32),
        np.empty((n, 3), np.float32),
        logits_of_bytes((words[:, 3] & 255).astype(np.uint8)),
        np.empty((n, k, 3), np.float32),
    )
    flat_sh = cloud.sh.reshape(n, 3 * k)
    colors = flat_sh if k == 1 else np.empty((n, 3), np.float32)  # packed, and copied when their lines are filled
    compiled = compiled_loops()
    unpack_words = _unpack_words if compiled is None else compiled.unpack_words

    def unpack_block(start: int, stop: int) -> None:
        part, own = slice(start, stop), ranges[start // CHUNK : -(-stop // CHUNK)]
        unpack_words(words[part], own, cloud.means[part], cloud.quats[part], cloud.log_scales[part], colors[part])

    coefficient_major = np.arange(3 * (k - 1)).reshape(3, k - 1).T.ravel()
    # The least and the most stand for the ends of the range, all others for middles of steps.
    table = ((np.arange(256) + 0.5) / 256 * _SH_RANGE - _SH_RANGE / 2).astype(np.float32)
    table[[0, -1]] = -_SH_RANGE / 2, _SH_RANGE / 2

    def unpack_rest(start: int, stop: int) -> None:
        assert rest is not None
        flat_sh[start:stop, :3] = colors[start:stop]
        floats_of_bytes(rest[start:stop], coefficient_major, table, flat_sh[start:stop, 3:])

    for_each_block(n, unpack_block, LONG)
    if k > 1:
        for_each_block(n, unpack_rest)
    return cloud


def _unpack_words(
    words: np.ndarray,
    ranges: np.ndarray,
    means: np.ndarray,
    quats: np.ndarray,
    log_scales: np.ndarray,
    colors: np.ndarray,
) -> None:
    """Fills in float32 [N, 3], [N, 4], [N, 3], [N, 3]; one column after the other is numpy's fastest way."""
    positions, turns, scales, shades = words.T
    _unpack_point(positions, ranges[:, 0], means)
    _unpack_point(scales, ranges[:, 1], log_scales)
    for axis, shift in enumerate(_COLOR_SHIFTS[:3].tolist()):
        fractions = bits_of(shades, shift, 8) * np.float32(1 / 255)
        if ranges.shape[1] == 3:
            fractions = _within(fractions, ranges[:, 2, :, axis])
        colors[:, axis] = (fractions - np.float32(0.5)) / np.float32(C0)
    three = np.stack([bits_of(turns, shift, 10) for shift in _TURN_SHIFTS.tolist()])
    three *= np.float32(np.sqrt(2) / 1023)
    three -= np.float32(np.sqrt(0.5))
    from_smallest_three(turns >> np.uint32(30), three, quats.T)


def _unpack_point(words: np.ndarray, ranges: np.ndarray, points: np.ndarray) -> None:
    """ranges: [chunks, 2, 3]. points: float32 [N, 3], filled in."""
    for axis, (shift, bits) in enumerate(zip(_POINT_SHIFTS.tolist(), _POINT_BITS.tolist(), strict=True)):
        fractions = bits_of(words, shift, bits) * np.float32(1 / (2**bits - 1))
        points[:, axis] = _within(fractions, ranges[:, :, axis])


def _within(fractions: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """From 0..1 to the range of the chunk, [chunks, 2]."""
    low, size = (np.repeat(values, CHUNK)[: len(fractions)] for values in (ranges[:, 0], ranges[:, 1] - ranges[:, 0]))
    return low + fractions * size


def _normalised(values: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """Values within the range of their chunk, 0..1; writes the ranges, [chunks, 2, 3], beside."""
    starts = np.arange(0, len(values), CHUNK)
    ranges[:, 0] = np.minimum.reduceat(values, starts)
    ranges[:, 1] = np.maximum.reduceat(values, starts)
    own = np.repeat(ranges, CHUNK, axis=0)[: len(values)]
    size = own[:, 1] - own[:, 0]
    return ((values - own[:, 0]) / np.where(size > 0, size, 1)).clip(0, 1)


def _packed_point(fractions: np.ndarray) -> np.ndarray:
    steps = np.rint(fractions * _POINT_MOST).astype(np.uint32)
    return np.bitwise_or.reduce(steps << _POINT_SHIFTS, axis=1)


def _packed_turn(quats: np.ndarray) -> np.ndarray:
    largest, three = smallest_three(unit_quats(quats))
    steps = np.rint((three * np.float32(np.sqrt(0.5)) + np.float32(0.5)) * 1023).astype(np.uint32)
    return (largest.astype(np.uint32) << np.uint32(30)) | np.bitwise_or.reduce(steps << _TURN_SHIFTS, axis=1)
