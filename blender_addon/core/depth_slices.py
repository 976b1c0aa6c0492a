"""Splats as layers at 16 depths, for a compositor that learns only later how far away the surfaces are.

Each pixel has slices of its own, around the mean depth of its splats and as wide as they are spread: most pixels see a
thin skin of splats, and slices over the whole scene would all miss it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
_SPREADS = 3.0  # to both sides of the mean
_LEAST = 1e-3  # of the mean depth; a thinner skin is as thick as this
_OPAQUE = 1e-4  # so little light through a slice does not tell what lies behind it


def edges(mean: Array, spread: Array, count: int) -> tuple[Array, Array]:
    """Where the first slice of each pixel begins and how thick a slice is, [H, W] each, in world units."""
    half = np.maximum(_SPREADS * spread, _LEAST * np.abs(mean) + 1e-6)
    return (mean - half).astype(np.float32), (2 * half / count).astype(np.float32)


def layers(before: Sequence[Array]) -> list[Array]:
    """before: what lies before the end of each slice, blended; [H, W, 4] premultiplied, front to back.

    Returns each slice's own layer, so that laying them over each other, the first on top, gives the last picture.
    """
    found, nearer = list[Array](), np.zeros_like(before[0])
    for picture in before:
        through = 1 - nearer[..., 3:]
        own = np.where(through > _OPAQUE, (picture - nearer) / np.maximum(through, _OPAQUE), 0)
        found.append(own.astype(np.float32))
        nearer = picture
    return found


def range_image(first: Array, thickness: Array) -> Array:
    """[H, W, 4]: where the slices begin, and how many of them there are in a world unit."""
    nothing = np.zeros_like(first)
    return np.stack([first, 1 / thickness, nothing, nothing + 1], -1).astype(np.float32)
