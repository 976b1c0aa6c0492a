"""How SPZ packs the attributes of splats into few bits each.

Source: the README and `load-spz.cc` of https://github.com/nianticlabs/spz (MIT).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

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
from backend.splats.io.compiled import floats_of_bytes

_COLOR_SCALE = 0.15 * 255  # colours reach a little beyond 0..1, where higher SH bands bring them back
_ROOT_HALF = np.float32(np.sqrt(0.5))
_MOST_FRACTION_BITS = 20  # a millionth of a unit
_CHUNK = 65_536  # splats at a time, which stay in the processor's cache


class Packed(NamedTuple):
    """The parts of a file in its order, uint8 each; `fraction_bits` are those of the positions."""

    positions: np.ndarray  # [N, 9] x, y, z, 24 bits each
    opacities: np.ndarray  # [N]
    colors: np.ndarray  # [N, 3]
    scales: np.ndarray  # [N, 3]
    rotations: np.ndarray  # [N, 4], or [N, 3] before version 3
    sh: np.ndarray  # [N, 3 (K - 1)] coefficient after coefficient, red, green and blue each; most of the file


def part_widths(version: int, sh_degree: int) -> tuple[int, ...]:
    """Bytes of each part for each splat."""
    return 9, 1, 3, 3, 4 if version >= 3 else 3, 3 * ((sh_degree + 1) ** 2 - 1)


def fitting_fraction_bits(means: np.ndarray) -> int:
    """The finest step that the positions still fit with into 24 bits; negative for worlds of millions of units."""
    reach = float(np.abs(means).max(initial=0))
    if reach == 0:
        return _MOST_FRACTION_BITS
    return int(min(_MOST_FRACTION_BITS, np.floor(23 - np.log2(reach * (1 + 1e-6)))))


def pack(cloud: SplatCloud, version: int, fraction_bits: int, sh_bits: tuple[int, int]) -> Packed:
    """sh_bits: of the first SH band and of the others; fewer make a smaller file."""
    n, k, _ = cloud.sh.shape
    parts = Packed(*(np.empty((n, width), np.uint8) for width in part_widths(version, cloud.sh_degree)))
    steps = np.repeat([2 ** (8 - sh_bits[0]), 2 ** (8 - sh_bits[1])], [9, max(0, 3 * (k - 1) - 9)])[: 3 * (k - 1)]
    for start in range(0, n, _CHUNK):
        part = slice(start, start + _CHUNK)
        fixed = np.rint(cloud.means[part].astype(np.float64) * 2.0**fraction_bits).clip(-(2**23), 2**23 - 1)
        parts.positions[part] = _low_bytes(fixed.astype("<i4"))
        parts.opacities[part, 0] = np.rint(opacities_of(cloud.opacity_logits[part]) * 255)
        parts.colors[part] = _bytes(cloud.sh[part, 0] * np.float32(_COLOR_SCALE) + np.float32(127.5))
        parts.scales[part] = _bytes((cloud.log_scales[part] + 10) * 16)
        quats = unit_quats(cloud.quats[part])[:, (1, 2, 3, 0)]
        parts.rotations[part] = _rotation_words(quats) if version >= 3 else _rotation_bytes(quats)
        if k > 1:
            parts.sh[part] = _sh_bytes(cloud.sh[part, 1:].reshape(-1, 3 * (k - 1)), steps)
    return parts


def unpack(parts: Sequence[Callable[[], np.ndarray]], version: int, fraction_bits: int) -> SplatCloud:
    """parts: what waits for each part of `Packed`; the last one may still be made while the others are unpacked."""
    *early, await_sh = parts
    positions, opacities, colors, scales, rotations = (part() for part in early)
    n = len(positions)
    means, quats, log_scales, logits = (np.empty(shape, np.float32) for shape in ((n, 3), (n, 4), (n, 3), n))
    base = np.empty((n, 3), np.float32)
    unpack_turns = _unpack_rotation_words if version >= 3 else _unpack_rotation_bytes

    def unpack_block(start: int, stop: int) -> None:
        part = slice(start, stop)
        np.multiply(_from_low_bytes(positions[part]), np.float32(2.0**-fraction_bits), out=means[part])
        logits[part] = logits_of_bytes(opacities[part, 0])
        log_scales[part] = scales[part] / np.float32(16) - 10
        w, x, y, z = quats[part].T
        unpack_turns(rotations[part], (x, y, z, w))
        base[part] = (colors[part] - np.float32(127.5)) / np.float32(_COLOR_SCALE)

    for_each_block(n, unpack_block, LONG)
    sh = await_sh()
    coefficients = np.empty((n, 1 + sh.shape[1] // 3, 3), np.float32)
    flat, columns = coefficients.reshape(n, 3 + sh.shape[1]), np.arange(sh.shape[1])
    table = ((np.arange(256) - 128) / 128).astype(np.float32)

    def unpack_sh(start: int, stop: int) -> None:
        flat[start:stop, :3] = base[start:stop]
        floats_of_bytes(sh[start:stop], columns, table, flat[start:stop, 3:])

    for_each_block(n, unpack_sh)
    return SplatCloud(means, quats, log_scales, logits, coefficients)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _low_bytes(values: np.ndarray) -> np.ndarray:
    """[n, 3] int32 -> [n, 9]: the lower three bytes of each."""
    return np.ascontiguousarray(values).view(np.uint8).reshape(-1, 3, 4)[..., :3].reshape(-1, 9)


def _from_low_bytes(content: np.ndarray) -> np.ndarray:
    """[n, 9] -> float32 [n, 3]; 24 bits are exact."""
    words = np.zeros((3 * len(content), 4), np.uint8)
    for place, column in enumerate(content.reshape(-1, 3).T, 1):  # faster than all of it at once
        words[:, place] = column
    return (words.view("<i4").reshape(-1, 3) >> 8).astype(np.float32)  # the shift draws the sign along


def _sh_bytes(values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """0 lies on a step of every width, so that what was zero stays zero."""
    whole = np.rint(values * np.float32(128)).clip(-32_000, 32_000).astype(np.int16)
    if (steps == 1).all():
        return (whole + np.int16(128)).clip(0, 255).astype(np.uint8)
    steps = steps.astype(np.int16)
    return ((whole + 128 + steps // 2) // steps * steps).clip(0, 255).astype(np.uint8)


def _rotation_words(quats: np.ndarray) -> np.ndarray:
    """x, y, z, w -> 2 bits that name the largest component, and a sign and 9 bits for each of the others."""
    largest, three = smallest_three(quats)
    fields = (np.abs(three) * (511 / _ROOT_HALF) + 0.5).astype(np.uint32) | (three < 0).astype(np.uint32) << 9
    word = largest.astype(np.uint32) << 30 | fields[:, 0] << 20 | fields[:, 1] << 10 | fields[:, 2]
    return word.astype("<u4").view(np.uint8).reshape(-1, 4)


def _unpack_rotation_words(content: np.ndarray, components: Sequence[np.ndarray]) -> None:
    """components: x, y, z, w, float32 [n] each, filled in."""
    word = np.ascontiguousarray(content).view("<u4")[:, 0]
    three = np.empty((3, len(word)), np.float32)
    for row, shift in zip(three, (20, 10, 0), strict=True):
        np.multiply(bits_of(word, shift, 9), _ROOT_HALF / 511, out=row)
        row.view(np.uint32)[:] |= (word << np.uint32(22 - shift)) & np.uint32(1 << 31)  # their signs
    from_smallest_three(word >> np.uint32(30), three, components)


def _rotation_bytes(quats: np.ndarray) -> np.ndarray:
    """x, y, z, w -> x, y and z of the one of the two quaternions whose w is positive."""
    return _bytes(quats[:, :3] * np.where(quats[:, 3:] < 0, np.float32(-127.5), np.float32(127.5)) + np.float32(127.5))


def _unpack_rotation_bytes(content: np.ndarray, components: Sequence[np.ndarray]) -> None:
    """components: x, y, z, w, float32 [n] each, filled in."""
    three = content / np.float32(127.5) - 1
    w = np.sqrt(np.maximum(0, 1 - np.einsum("ni,ni->n", three, three)))
    for component, values in zip(components, (*three.T, w), strict=True):
        component[:] = values
