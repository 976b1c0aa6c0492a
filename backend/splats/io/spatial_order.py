"""Orders splats along a curve through space, so that neighbours in a file are neighbours in space and pack well."""

from __future__ import annotations

import numpy as np

_BITS = 21  # of each axis, 63 in all


def morton_order(means: np.ndarray) -> np.ndarray:
    """Indices [N] that order positions [N, 3] by their Morton code (Z-order curve)."""
    if not len(means):
        return np.zeros(0, np.intp)
    columns = means.T.astype(np.float64)
    columns -= columns.min(axis=1, keepdims=True)
    columns *= (2**_BITS - 1) / max(columns.max(), 1e-30)
    code = np.zeros(len(means), np.uint64)
    for axis, steps in enumerate(columns):
        code |= _spread(steps.astype(np.uint64)) << np.uint64(axis)
    return np.argsort(code, kind="stable")


def _spread(values: np.ndarray) -> np.ndarray:
    """Leaves two empty bits after each of the lower 21 bits."""
    for shift, mask in (
        (32, 0x1F00000000FFFF),
        (16, 0x1F0000FF0000FF),
        (8, 0x100F00F00F00F00F),
        (4, 0x10C30C30C30C30C3),
        (2, 0x1249249249249249),
    ):
        values = (values | values << np.uint64(shift)) & np.uint64(mask)
    return values
