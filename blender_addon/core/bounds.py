"""The edges of a box: what a splat object is made of, so that it can be clicked, framed and moved."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ..protocol import things

UNKNOWN: things.Bounds = (-1.0, -1.0, -1.0, 1.0, 1.0, 1.0)  # as long as nobody has said how large an asset is
_THINNEST = 1e-3  # of the longest side: a flat box could not be clicked

# Corner i lies at the high end of x, y, z where bit 0, 1, 2 of i is set; an edge joins two that differ in one bit.
EDGES = np.array([(i, i | bit) for bit in (1, 2, 4) for i in range(8) if not i & bit], np.int32)  # [12, 2]


def posed(rest: things.Bounds, mesh: things.Bounds, vertices: npt.NDArray[np.float32]) -> things.Bounds | None:
    """The box of splats when the vertices of their mesh, [V, 3], have been moved; None where none is a number.

    rest, mesh: the boxes of both at rest. The splats' box reaches as far beyond the mesh's as it did then.
    """
    whole = vertices[np.isfinite(vertices).all(axis=1)]
    if not len(whole):
        return None
    margins = np.asarray(rest, np.float64) - np.asarray(mesh, np.float64)
    moved = np.concatenate([whole.min(axis=0), whole.max(axis=0)]) + margins
    low, high = np.minimum(moved[:3], moved[3:]), np.maximum(moved[:3], moved[3:])
    a, b, c, d, e, f = (float(value) for value in (*low, *high))
    return (a, b, c, d, e, f)


def carried(points: npt.NDArray[np.float32], rest: things.Bounds, now: things.Bounds) -> npt.NDArray[np.float32]:
    """Points [P, 3] of one box where they lie in another one."""
    (low, high), (low_now, high_now) = np.reshape(rest, (2, 3)), np.reshape(now, (2, 3))
    share = (points - low) / np.maximum(high - low, np.finfo(np.float32).tiny)
    return (low_now + share * (high_now - low_now)).astype(np.float32)


def around(boxes: Iterable[things.Bounds]) -> things.Bounds:
    """The box of one box or more."""
    each = np.array(tuple(boxes))  # [B, 6]
    a, b, c, d, e, f = (float(value) for value in (*each[:, :3].min(axis=0), *each[:, 3:].max(axis=0)))
    return (a, b, c, d, e, f)


def corners(bounds: things.Bounds | None) -> npt.NDArray[np.float32]:
    """The corners of a box in its asset's frame, [8, 3]; of a cube of two units where the bounds are unknown."""
    low, high = np.reshape(np.asarray(UNKNOWN if bounds is None else bounds, np.float64), (2, 3))
    longest = float((high - low).max())
    room = np.maximum(high - low, longest * _THINNEST if longest > 0 else 1.0)
    middle = (low + high) / 2
    high_end = (np.arange(8)[:, None] >> np.arange(3)) & 1  # [8, 3]
    return (middle + (high_end - 0.5) * room).astype(np.float32)
