"""Local linear maps, one a splat: the rotation in each, which colours follow, and how far it may stretch."""

from __future__ import annotations

import numba
import numpy as np

from backend.splats.kernels import parallel_kernel

_MOST_ITERATIONS = 20  # of which ten are needed at the worst
_SETTLED = 1e-13  # an iteration that changes less was the last
_FLATTEST = 1e-9  # determinant of the flattest map that is turned by iteration, beside the cube of its norm


def rotation_part(jacobians: np.ndarray) -> np.ndarray:
    """The nearest proper rotation of each matrix (polar decomposition), [N, 3, 3] -> [N, 3, 3] float64."""
    turns = np.ascontiguousarray(jacobians, np.float64).copy()
    settled = np.zeros(len(turns), bool)
    _turn_by_newton(turns, settled)
    if not settled.all():  # mirroring or flattening maps, for which the iteration knows no answer
        left, _, right = np.linalg.svd(jacobians[~settled])
        left[..., :, 2] *= np.where(np.linalg.det(left @ right) < 0, -1.0, 1.0)[..., None]
        turns[~settled] = left @ right
    return turns


@parallel_kernel
def _turn_by_newton(matrices, settled):  # type: ignore[no-untyped-def]
    """Scaled Newton iteration (Higham 1986): Q <- (g Q + Q^-T / g) / 2, a hundred times faster than an SVD."""
    for n in numba.prange(len(matrices)):  # type: ignore[attr-defined]
        q, inverse = matrices[n].copy(), np.empty((3, 3))
        for _ in range(_MOST_ITERATIONS):
            for row in range(3):
                a, b = q[(row + 1) % 3], q[(row + 2) % 3]
                inverse[row, 0] = a[1] * b[2] - a[2] * b[1]
                inverse[row, 1] = a[2] * b[0] - a[0] * b[2]
                inverse[row, 2] = a[0] * b[1] - a[1] * b[0]
            determinant = q[0, 0] * inverse[0, 0] + q[0, 1] * inverse[0, 1] + q[0, 2] * inverse[0, 2]
            length, height = np.sqrt((q * q).sum()), np.sqrt((inverse * inverse).sum())
            if not determinant > _FLATTEST * length**3:
                break
            scale = np.sqrt(height / (determinant * length))
            change = 0.0
            for row in range(3):
                for column in range(3):
                    better = 0.5 * (scale * q[row, column] + inverse[row, column] / (determinant * scale))
                    change = max(change, abs(better - q[row, column]))
                    q[row, column] = better
            if change < _SETTLED:
                settled[n] = True
                matrices[n] = q
                break


def limited_stretch(jacobians: np.ndarray, most: float) -> np.ndarray:
    """The same maps, which nowhere stretch more than `most` times nor press flatter than 1 / most."""
    # No singular value is larger than the norm of all, so most maps need no closer look.
    with np.errstate(divide="ignore", invalid="ignore"):
        determinants = np.abs(np.linalg.det(jacobians))
        longest = np.linalg.norm(jacobians, axis=(-2, -1))
        suspect = np.logical_not((longest <= most) & (longest**2 <= determinants * most))
    if not suspect.any():
        return jacobians
    left, stretch, right = np.linalg.svd(jacobians[suspect])
    limited = jacobians.copy()
    limited[suspect] = (left * stretch.clip(1 / most, most)[..., None, :]) @ right
    return limited
