"""Part of a turn, about the axis of the whole, inside kernels."""

from __future__ import annotations

import numpy as np

from backend.splats.kernels import device_function
from backend.splats.small_matrices import cofactors, dot

F = np.float32


@device_function
def partial_turn(turn, share):  # type: ignore[no-untyped-def]
    """The share of the way, 0..1, from no turn to an orthogonal matrix; float32 rows, at most half a turn.

    Nothing lies between what mirrors and what does not: of these two it is the nearer one.
    """
    if dot(turn[0], cofactors(turn)[0]) < 0:
        is_near = share >= 0.5
        one, zero = F(1), F(0)
        return turn if is_near else ((one, zero, zero), (zero, one, zero), (zero, zero, one))
    w, x, y, z = _quaternion(turn)
    sine = np.sqrt(x * x + y * y + z * z)
    half = share * np.arctan2(sine, w)
    w, scale = np.cos(half), np.sin(half) / sine if sine > 0 else 0.0
    x, y, z = x * scale, y * scale, z * scale
    return (
        (F(1 - 2 * (y * y + z * z)), F(2 * (x * y - w * z)), F(2 * (x * z + w * y))),
        (F(2 * (x * y + w * z)), F(1 - 2 * (x * x + z * z)), F(2 * (y * z - w * x))),
        (F(2 * (x * z - w * y)), F(2 * (y * z + w * x)), F(1 - 2 * (x * x + y * y))),
    )


@device_function
def _quaternion(turn):  # type: ignore[no-untyped-def]
    """w >= 0, x, y, z of any length, from the largest of the four, so that none is lost (Shepperd 1978)."""
    a, b, c = np.float64(turn[0][0]), np.float64(turn[1][1]), np.float64(turn[2][2])
    x = np.float64(turn[2][1]) - turn[1][2]
    y = np.float64(turn[0][2]) - turn[2][0]
    z = np.float64(turn[1][0]) - turn[0][1]
    w = 1 + a + b + c
    if w < 1:  # more than a third of a turn
        xy, zx, yz = turn[0][1] + turn[1][0], turn[0][2] + turn[2][0], turn[1][2] + turn[2][1]
        if a >= b and a >= c:
            w, x, y, z = x, 1 + a - b - c, np.float64(xy), np.float64(zx)
        elif b >= c:
            w, x, y, z = y, np.float64(xy), 1 + b - a - c, np.float64(yz)
        else:
            w, x, y, z = z, np.float64(zx), np.float64(yz), 1 + c - a - b
    sign = -1.0 if w < 0 else 1.0
    return sign * w, sign * x, sign * y, sign * z
