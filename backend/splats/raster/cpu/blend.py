"""Blends a tile's splats front to back, and carries gradients back the same way.

One kernel per number of channels (1 to 4), so that channels are unrolled and the 16 pixels of a row fill SIMD lanes.
What makes it fast: unsigned indices into one flat scratch buffer (signed ones cost LLVM its vectors), a polynomial for
the exponential, branch-free masks, and a backward pass that runs front to back on what is left of the pixel's colour
(so nothing of the forward pass is stored). Gradients are written per pair of splat and tile and then summed per splat:
no atomics, the same bits on every run.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange

from backend.splats.kernels import device_function, parallel_kernel
from backend.splats.raster.constants import ALPHA_MAX, TILE_SIZE, TRANSMITTANCE_MIN
from backend.splats.raster.cpu.projection import LOG_LIMIT, P, Q, R

F = np.float32
MAX_CHANNELS = 4
# A splat as the kernels read it: x, y, P, Q, R, ln(255 opacity), opacity, up to four channels, depth
RECORD_COLUMNS = 12
CHANNEL = 7
DEPTH = CHANNEL + MAX_CHANNELS
# Gradient of a pair: x, y, conic xx, xy, yy, opacity, |x|, |y|, channels
GRADIENT_CHANNEL = 8
PIXELS = TILE_SIZE * TILE_SIZE
SUB_SAMPLES = 4  # of a pixel's surface depth, where it has more than one
CHECK_EVERY = 16  # splats between two looks at whether every pixel of the tile is finished


@device_function
def exp_minus(s):  # type: ignore[no-untyped-def]
    """exp(-s) for s in [0, 6], relative error below 2e-7: a polynomial of s / 16, squared four times."""
    t = s * F(-1 / 16.0)
    p = F(1) + t * (F(1) + t * (F(0.5) + t * (F(1 / 6.0) + t * (F(1 / 24.0) + t * (F(1 / 120.0) + t * F(1 / 720.0))))))
    p = p * p
    p = p * p
    p = p * p
    return p * p


@parallel_kernel
def gather_records(order, means2d, depths, ellipses, opacities, channels, first, records):  # type: ignore[no-untyped-def]
    """Packs the splats in depth order. channels: [N, D], of which `first` to `first + 3` are taken."""
    count = min(MAX_CHANNELS, channels.shape[1] - first)
    for rank in prange(order.shape[0]):
        i = order[rank]
        records[rank, 0], records[rank, 1] = means2d[i, 0], means2d[i, 1]
        records[rank, 2], records[rank, 3], records[rank, 4] = ellipses[i, P], ellipses[i, Q], ellipses[i, R]
        records[rank, 5], records[rank, 6] = ellipses[i, LOG_LIMIT], opacities[i]
        records[rank, DEPTH] = depths[i]
        for c in range(count):
            records[rank, CHANNEL + c] = channels[i, first + c]


@functools.cache
def forward_kernel(channels: int, samples: int) -> Callable[..., Any]:
    """Blends this many channels; a pixel is finished where splats lie behind the surface depth of all its samples.

    samples: 0 without a surface, 1, or 4. A splat's alpha is that of the pixel for all of them, so until a sample ends
    its transmittance is that of the others: one is kept, and a splat counts by the share of samples before which it
    lies. That is the mean of the samples' own blends.
    """
    assert samples in (0, 1, SUB_SAMPLES)
    surface, many = samples > 0, samples > 1
    two, three, four = channels > 1, channels > 2, channels > 3
    row_length = np.uintp(TILE_SIZE)
    at_column, at_row = np.uintp(PIXELS), np.uintp(2 * PIXELS)
    at_0, at_1, at_2, at_3 = (np.uintp(PIXELS * (3 + c)) for c in range(4))
    at_surface = np.uintp(PIXELS * (3 + channels))
    at_second, at_third, at_fourth = (np.uintp(PIXELS * (3 + channels + sample)) for sample in (1, 2, 3))
    at_sum = np.uintp(PIXELS * (3 + channels + samples))
    scratch_size = PIXELS * (3 + channels + samples + many)

    @functools.partial(parallel_kernel, chunk=2)
    def forward(  # type: ignore[no-untyped-def]
        width, height, tiles_x, tiles_y, tile_start, rank_of_pair, rows_of_pair, records, background,
        surface_depths, picture, transmittance, last_pair,
    ):  # fmt: skip
        for tile in prange(tiles_x * tiles_y):
            tile_y = tile // tiles_x
            tile_x = tile - tile_y * tiles_x
            rows, columns = min(TILE_SIZE, height - tile_y * TILE_SIZE), min(TILE_SIZE, width - tile_x * TILE_SIZE)
            # transmittance, negative once the pixel is finished; column; row; the channels' sums; surface depth of
            # each sample; the weights' sum, which is no longer the transmittance's rest where samples end one by one
            s = np.zeros(scratch_size, np.float32)
            for r in range(TILE_SIZE):
                for i in range(TILE_SIZE):
                    k = r * TILE_SIZE + i
                    drawn = r < rows and i < columns
                    s[k], s[PIXELS + k], s[2 * PIXELS + k] = F(1) if drawn else F(-1), F(i), F(r)
                    if surface and drawn:
                        for sample in range(samples):
                            s[at_surface + np.uintp(sample * PIXELS + k)] = surface_depths[
                                tile_y * TILE_SIZE + r, tile_x * TILE_SIZE + i, sample
                            ]
            left, top = F(tile_x * TILE_SIZE) + F(0.5), F(tile_y * TILE_SIZE) + F(0.5)
            pair, end = tile_start[tile], tile_start[tile + 1]
            while pair < end:
                record = records[rank_of_pair[pair]]
                x, y = record[0] - left, record[1] - top
                p, q, rr, limit, opacity = record[2], record[3], record[4], record[5], record[6]
                c0, c1, c2, c3, depth = record[7], record[8], record[9], record[10], record[11]
                first, last = np.uintp(rows_of_pair[pair, 0]), np.uintp(rows_of_pair[pair, 1]) + np.uintp(1)
                for k in range(first * row_length, last * row_length):
                    dy = s[at_row + k] - y
                    u, v = p * (s[at_column + k] - x) + q * dy, rr * dy
                    e = u * u + v * v
                    inside = e <= limit
                    alpha = min(opacity * exp_minus(e if inside else F(0)), F(ALPHA_MAX))
                    alpha = alpha if inside else F(0)
                    before = s[k]
                    after = before * (F(1) - alpha)
                    go_on = after > F(TRANSMITTANCE_MIN)
                    share = F(1)
                    if many:
                        share = F(1 / 4.0) * (
                            (F(1) if depth <= s[at_surface + k] else F(0))
                            + (F(1) if depth <= s[at_second + k] else F(0))
                            + (F(1) if depth <= s[at_third + k] else F(0))
                            + (F(1) if depth <= s[at_fourth + k] else F(0))
                        )
                        go_on = go_on and share > F(0)
                    elif surface:
                        go_on = go_on and depth <= s[at_surface + k]
                    weight = alpha * before if go_on else F(0)
                    if many:
                        weight *= share
                        s[at_sum + k] += weight
                    s[k] = after if go_on else -abs(before)
                    s[at_0 + k] += weight * c0
                    if two:
                        s[at_1 + k] += weight * c1
                    if three:
                        s[at_2 + k] += weight * c2
                    if four:
                        s[at_3 + k] += weight * c3
                pair += 1
                if (pair & (CHECK_EVERY - 1)) == 0:
                    most = F(-1)
                    for i in range(PIXELS):
                        most = max(most, s[i])
                    if most <= F(0):
                        break
            last_pair[tile] = pair
            for r in range(rows):
                for i in range(columns):
                    row, column, k = tile_y * TILE_SIZE + r, tile_x * TILE_SIZE + i, r * TILE_SIZE + i
                    through = F(1) - s[at_sum + np.uintp(k)] if many else abs(s[k])
                    transmittance[row, column] = through
                    for c in range(channels):
                        picture[row, column, c] = s[(3 + c) * PIXELS + k] + through * background[c]

    return forward


@functools.cache
def backward_kernel(channels: int, absolute: bool) -> Callable[..., Any]:
    """The gradients of `forward_kernel(channels, 0)`; `absolute` adds sums of absolute screen gradients."""
    two, three, four = channels > 1, channels > 2, channels > 3
    row_length = np.uintp(TILE_SIZE)
    at_column, at_row, at_rest = np.uintp(PIXELS), np.uintp(2 * PIXELS), np.uintp(3 * PIXELS)
    at_0, at_1, at_2, at_3 = (np.uintp(PIXELS * (4 + c)) for c in range(4))
    scratch_size = PIXELS * (4 + channels)

    @functools.partial(parallel_kernel, chunk=2)
    def backward(  # type: ignore[no-untyped-def]
        width, height, tiles_x, tiles_y, tile_start, rank_of_pair, rows_of_pair, records,
        picture, transmittance, last_pair, grad_picture, grad_transmittance, grad_pairs,
    ):  # fmt: skip
        for tile in prange(tiles_x * tiles_y):
            tile_y = tile // tiles_x
            tile_x = tile - tile_y * tiles_x
            rows, columns = min(TILE_SIZE, height - tile_y * TILE_SIZE), min(TILE_SIZE, width - tile_x * TILE_SIZE)
            # transmittance; column; row; what later splats and the background still add to the loss;
            # gradient of each channel
            s = np.zeros(scratch_size, np.float32)
            for r in range(TILE_SIZE):
                for i in range(TILE_SIZE):
                    k = r * TILE_SIZE + i
                    s[k], s[PIXELS + k], s[2 * PIXELS + k] = F(-1), F(i), F(r)
                    if r < rows and i < columns:
                        row, column = tile_y * TILE_SIZE + r, tile_x * TILE_SIZE + i
                        rest = grad_transmittance[row, column] * transmittance[row, column]
                        for c in range(channels):
                            s[(4 + c) * PIXELS + k] = grad_picture[row, column, c]
                            rest += grad_picture[row, column, c] * picture[row, column, c]
                        s[k] = F(1)
                        s[3 * PIXELS + k] = rest
            left, top = F(tile_x * TILE_SIZE) + F(0.5), F(tile_y * TILE_SIZE) + F(0.5)
            for pair in range(tile_start[tile], tile_start[tile + 1]):
                out = grad_pairs[pair]
                if pair >= last_pair[tile]:
                    for k in range(GRADIENT_CHANNEL + channels):
                        out[k] = F(0)
                    continue
                record = records[rank_of_pair[pair]]
                x, y = record[0] - left, record[1] - top
                p, q, rr, limit, opacity = record[2], record[3], record[4], record[5], record[6]
                c0, c1, c2, c3 = record[7], record[8], record[9], record[10]
                # sums over the pixels, of g = d loss / d exponent: g, g u, g dy, g dx^2, g dx dy, g dy^2
                sum_g, sum_gu, sum_gy, sum_gxx, sum_gxy, sum_gyy = F(0), F(0), F(0), F(0), F(0), F(0)
                abs_x, abs_y, h0, h1, h2, h3 = F(0), F(0), F(0), F(0), F(0), F(0)
                first, last = np.uintp(rows_of_pair[pair, 0]), np.uintp(rows_of_pair[pair, 1]) + np.uintp(1)
                for k in range(first * row_length, last * row_length):
                    dx, dy = s[at_column + k] - x, s[at_row + k] - y
                    u, v = p * dx + q * dy, rr * dy
                    e = u * u + v * v
                    inside = e <= limit
                    raw = opacity * exp_minus(e if inside else F(0))
                    held = raw >= F(ALPHA_MAX)
                    alpha = F(ALPHA_MAX) if held else raw
                    alpha = alpha if inside else F(0)
                    before = s[k]
                    through = F(1) - alpha
                    after = before * through
                    go_on = after > F(TRANSMITTANCE_MIN)
                    weight = alpha * before if go_on else F(0)
                    s[k] = after if go_on else -abs(before)
                    g0 = s[at_0 + k]
                    along = g0 * c0
                    h0 += weight * g0
                    if two:
                        g1 = s[at_1 + k]
                        along += g1 * c1
                        h1 += weight * g1
                    if three:
                        g2 = s[at_2 + k]
                        along += g2 * c2
                        h2 += weight * g2
                    if four:
                        g3 = s[at_3 + k]
                        along += g3 * c3
                        h3 += weight * g3
                    rest = s[at_rest + k] - weight * along
                    s[at_rest + k] = rest
                    g = raw * (rest / through - before * along)
                    g = g if inside and go_on and not held else F(0)
                    gu, gx, gy = g * u, g * dx, g * dy
                    sum_g += g
                    sum_gu += gu
                    sum_gy += gy
                    sum_gxx += gx * dx
                    sum_gxy += gx * dy
                    sum_gyy += gy * dy
                    if absolute:
                        abs_x += abs(gu)
                        abs_y += abs(gu * q + g * v * rr)
                out[0] = F(-2) * p * sum_gu
                out[1] = F(-2) * (q * sum_gu + rr * rr * sum_gy)
                out[2], out[3], out[4] = F(0.5) * sum_gxx, sum_gxy, F(0.5) * sum_gyy
                out[5] = -sum_g / opacity
                out[6], out[7] = F(2) * p * abs_x, F(2) * abs_y
                out[8] = h0
                if two:
                    out[9] = h1
                if three:
                    out[10] = h2
                if four:
                    out[11] = h3

    return backward


@parallel_kernel
def sum_pairs(order, slot_start, pair_of_slot, grad_pairs, sums):  # type: ignore[no-untyped-def]
    """Adds up each splat's pairs. sums: [N, columns], rows of splats that are not in `order` must be zero already."""
    columns = sums.shape[1]
    for rank in prange(order.shape[0]):
        row = sums[order[rank]]
        for k in range(columns):
            row[k] = F(0)
        for slot in range(slot_start[rank], slot_start[rank + 1]):
            pair = grad_pairs[pair_of_slot[slot]]
            for k in range(columns):
                row[k] += pair[k]
