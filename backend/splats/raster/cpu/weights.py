"""How much each splat adds to pictures, without drawing them: one pass over the tiles, as the blend makes it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numba import prange
from torch import Tensor

from backend.splats.kernels import parallel_kernel
from backend.splats.raster.constants import ALPHA_MAX, TILE_SIZE, TRANSMITTANCE_MIN
from backend.splats.raster.cpu.blend import (
    CHECK_EVERY,
    MAX_CHANNELS,
    PIXELS,
    RECORD_COLUMNS,
    exp_minus,
    gather_records,
    sum_pairs,
)
from backend.splats.raster.cpu.projection import camera_rows
from backend.splats.raster.cpu.rasterize import Options, Project
from backend.splats.raster.cpu.tiles import bin_splats

F = np.float32


def blending_weights(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    counts: Tensor,
    *,
    near_plane: float,
    far_plane: float,
    rasterize_mode: str,
    camera_model: str,
) -> Tensor:
    """See `backend.splats.raster.blending_weights`."""
    shares = np.ascontiguousarray(counts.detach().numpy(), np.float32)
    views, height, width, labels = shares.shape
    options = Options(width, height, near_plane, far_plane, 0.0, 0.3, None, camera_model, rasterize_mode)
    cameras = camera_rows(viewmats.detach().numpy(), Ks.detach().numpy(), width, height)
    with torch.no_grad():
        projected = Project.apply(means, quats, scales, None, opacities, None, None, cameras, options)
    means2d, depths, _, effective, _, radii, ellipses, _ = (tensor.numpy() for tensor in projected)
    sums, no_colors = np.zeros((len(means), labels), np.float32), np.empty((len(means), 0), np.float32)
    for view in range(views):
        tiles = bin_splats(radii[view], means2d[view], depths[view], ellipses[view], width, height)
        records = np.empty((len(tiles.order), RECORD_COLUMNS), np.float32)
        gather_records(tiles.order, means2d[view], depths[view], ellipses[view], effective[view], no_colors, 0, records)
        for first in range(0, labels, MAX_CHANNELS):
            some = np.ascontiguousarray(shares[view, ..., first : first + MAX_CHANNELS])
            of_pairs = np.empty((len(tiles.rank_of_pair), some.shape[2]), np.float32)
            _kernel(some.shape[2])(
                width, height, tiles.tiles_x, tiles.tiles_y, tiles.tile_start, tiles.rank_of_pair, tiles.rows_of_pair,
                records, some, of_pairs,
            )  # fmt: skip
            of_splats = np.zeros((len(means), some.shape[2]), np.float32)
            sum_pairs(tiles.order, tiles.slot_start, tiles.pair_of_slot, of_pairs, of_splats)
            sums[:, first : first + some.shape[2]] += of_splats
    return torch.from_numpy(sums)


@functools.cache
def _kernel(labels: int) -> Callable[..., Any]:
    """For this many labels (1 to 4), as `forward_kernel` blends this many channels."""
    two, three, four = labels > 1, labels > 2, labels > 3
    row_length = np.uintp(TILE_SIZE)
    at_column, at_row = np.uintp(PIXELS), np.uintp(2 * PIXELS)
    at_0, at_1, at_2, at_3 = (np.uintp(PIXELS * (3 + label)) for label in range(4))
    scratch_size = PIXELS * (3 + labels)

    @functools.partial(parallel_kernel, chunk=2)
    def weights(  # type: ignore[no-untyped-def]
        width, height, tiles_x, tiles_y, tile_start, rank_of_pair, rows_of_pair, records, counts, of_pairs
    ):
        for tile in prange(tiles_x * tiles_y):
            tile_y = tile // tiles_x
            tile_x = tile - tile_y * tiles_x
            rows, columns = min(TILE_SIZE, height - tile_y * TILE_SIZE), min(TILE_SIZE, width - tile_x * TILE_SIZE)
            # transmittance, negative once the pixel is finished; column; row; how much the pixel counts for each label
            s = np.zeros(scratch_size, np.float32)
            for r in range(TILE_SIZE):
                for i in range(TILE_SIZE):
                    k = r * TILE_SIZE + i
                    drawn = r < rows and i < columns
                    s[k], s[PIXELS + k], s[2 * PIXELS + k] = F(1) if drawn else F(-1), F(i), F(r)
                    if drawn:
                        for label in range(labels):
                            s[(3 + label) * PIXELS + k] = counts[tile_y * TILE_SIZE + r, tile_x * TILE_SIZE + i, label]
            left, top = F(tile_x * TILE_SIZE) + F(0.5), F(tile_y * TILE_SIZE) + F(0.5)
            is_finished = False
            for pair in range(tile_start[tile], tile_start[tile + 1]):
                out = of_pairs[pair]
                if is_finished:
                    for label in range(labels):
                        out[label] = F(0)
                    continue
                record = records[rank_of_pair[pair]]
                x, y = record[0] - left, record[1] - top
                p, q, rr, limit, opacity = record[2], record[3], record[4], record[5], record[6]
                h0, h1, h2, h3 = F(0), F(0), F(0), F(0)
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
                    weight = alpha * before if go_on else F(0)
                    s[k] = after if go_on else -abs(before)
                    h0 += weight * s[at_0 + k]
                    if two:
                        h1 += weight * s[at_1 + k]
                    if three:
                        h2 += weight * s[at_2 + k]
                    if four:
                        h3 += weight * s[at_3 + k]
                out[0] = h0
                if two:
                    out[1] = h1
                if three:
                    out[2] = h2
                if four:
                    out[3] = h3
                if ((pair + 1) & (CHECK_EVERY - 1)) == 0:
                    most = F(-1)
                    for i in range(PIXELS):
                        most = max(most, s[i])
                    is_finished = most <= F(0)

    return weights
