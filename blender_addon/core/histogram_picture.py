"""Draws how often values occur as a small picture, with the chosen range bright."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.float32]
_CHOSEN, _OTHERS = (0.98, 0.6, 0.2), (0.5, 0.5, 0.5)
_GROUND = 0.05  # white, so faint; premultiplied, all four channels are the same
_LEAST = 0.03  # of the height, of a bar of anything at all


def draw(
    counts: Sequence[int], span: tuple[float, float], chosen: tuple[float, float], width: int, height: int
) -> Picture:
    """Premultiplied RGBA [height, width, 4], 0..1, first row lowest.

    counts: of bins of one width from span[0] to span[1]; a bar is as high as the root of its count, so that few are
    seen beside many. chosen: from the lowest value to the highest.
    """
    picture = np.full((height, width, 4), _GROUND, np.float32)
    if not counts or not max(counts):
        return picture
    bars = np.sqrt(np.asarray(counts, np.float64) / max(counts))
    bars = np.where(bars > 0, np.maximum(bars, _LEAST), 0) * height
    columns = np.arange(width)
    bin_of = np.minimum(columns * len(counts) // width, len(counts) - 1)
    low, high = span
    values = low + (columns + 0.5) / width * (high - low)
    half = (high - low) / width / 2
    is_chosen = (values + half >= chosen[0]) & (values - half <= chosen[1])
    is_bar = np.arange(height)[:, None] < bars[bin_of]  # [height, width]
    colors = np.where(is_chosen[:, None], _CHOSEN, _OTHERS)  # [width, 3]
    picture[is_bar, 3] = 1
    picture[..., :3] = np.where(is_bar[..., None], colors[None], picture[..., :3])
    return picture
