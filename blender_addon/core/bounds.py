"""The edges of a box: what a splat object is made of, so that it can be clicked, framed and moved."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..protocol import things

UNKNOWN: things.Bounds = (-1.0, -1.0, -1.0, 1.0, 1.0, 1.0)  # as long as nobody has said how large an asset is
_THINNEST = 1e-3  # of the longest side: a flat box could not be clicked

# Corner i lies at the high end of x, y, z where bit 0, 1, 2 of i is set; an edge joins two that differ in one bit.
EDGES = np.array([(i, i | bit) for bit in (1, 2, 4) for i in range(8) if not i & bit], np.int32)  # [12, 2]


def corners(bounds: things.Bounds | None) -> npt.NDArray[np.float32]:
    """The corners of a box in its asset's frame, [8, 3]; of a cube of two units where the bounds are unknown."""
    low, high = np.reshape(np.asarray(UNKNOWN if bounds is None else bounds, np.float64), (2, 3))
    longest = float((high - low).max())
    room = np.maximum(high - low, longest * _THINNEST if longest > 0 else 1.0)
    middle = (low + high) / 2
    high_end = (np.arange(8)[:, None] >> np.arange(3)) & 1  # [8, 3]
    return (middle + (high_end - 0.5) * room).astype(np.float32)
