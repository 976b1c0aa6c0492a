"""Local linear maps: the turn and the stretch that each consists of, and how far it may stretch."""

from __future__ import annotations

import numba
import numpy as np

from backend.splats.kernels import device_function, parallel_kernel
from backend.splats.small_matrices import cofactors, dot, product, rows_of, sum_of, transposed, write_rows

_MOST_ITERATIONS = 20  # of which ten are needed at the worst
_SETTLED = 1e-8  # an iteration whose squared change is less was the last: what is left to change is about as small
_NEAR = 0.1  # after a smaller squared change scaling speeds nothing up
_FLATTEST = 1e-9  # determinant of the flattest map that is turned by iteration, beside the cube of its norm


def rotation_part(jacobians: np.ndarray) -> np.ndarray:
    """The nearest proper rotation of each matrix (polar decomposition), [N, 3, 3] -> [N, 3, 3] float64."""
    return polar_parts(jacobians)[0]


def polar_parts(jacobians: np.ndarray, side: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Turns and stretches of maps J = R S, [N, 3, 3] float64 each; S is symmetric.

    side: -1.0 for maps that mirror: then R mirrors, and S has no negative stretches.
    """
    jacobians = np.ascontiguousarray(jacobians, np.float64)
    turns, stretches = np.empty_like(jacobians), np.empty_like(jacobians)
    settled = np.empty(len(jacobians), bool)
    _turn_by_newton(jacobians, side, turns, stretches, settled)
    if not settled.all():  # flattening maps, or those of the other side, for which the iteration knows no answer
        rest = jacobians[~settled]
        left, _, right = np.linalg.svd(rest)
        left[..., :, 2] *= np.where(np.linalg.det(left @ right) * side < 0, -1.0, 1.0)[..., None]
        turns[~settled] = left @ right
        stretches[~settled] = turns[~settled].transpose(0, 2, 1) @ rest
    return turns, stretches


@parallel_kernel
def _turn_by_newton(jacobians, side, turns, stretches, settled):  # type: ignore[no-untyped-def]
    """Scaled Newton iteration (Higham 1986): Q <- (g Q + Q^-T / g) / 2, a hundred times faster than an SVD."""
    for n in numba.prange(len(jacobians)):  # type: ignore[attr-defined]
        jacobian = rows_of(jacobians, n)
        turn, change, settled[n] = jacobian, 1.0, False
        for _ in range(_MOST_ITERATIONS):
            others = cofactors(turn)
            determinant = dot(turn[0], others[0])
            scale = 1.0
            if change > _NEAR:
                length = dot(turn[0], turn[0]) + dot(turn[1], turn[1]) + dot(turn[2], turn[2])
                height = dot(others[0], others[0]) + dot(others[1], others[1]) + dot(others[2], others[2])
                if not side * determinant > _FLATTEST * length * np.sqrt(length):
                    break
                scale = np.sqrt(np.sqrt(height / length) / abs(determinant))
            before, turn = turn, sum_of(0.5 * scale, turn, 0.5 / (determinant * scale), others)
            a, b, c = sum_of(1.0, turn, -1.0, before)
            change = dot(a, a) + dot(b, b) + dot(c, c)
            if change < _SETTLED:
                settled[n] = True
                write_rows(turns, n, turn)
                write_rows(stretches, n, product(transposed(turn), jacobian))
                break


def limited_stretch(jacobians: np.ndarray, most: float) -> np.ndarray:
    """The same maps, which nowhere stretch more than `most` times nor press flatter than 1 / most; [N, 3, 3]."""
    jacobians = np.ascontiguousarray(jacobians, np.float64)
    beyond = np.zeros(len(jacobians), bool)
    _mark_beyond(jacobians, most, beyond)
    if not beyond.any():
        return jacobians
    left, stretch, right = np.linalg.svd(jacobians[beyond])
    limited = jacobians.copy()
    limited[beyond] = (left * stretch.clip(1 / most, most)[..., None, :]) @ right
    return limited


@parallel_kernel
def _mark_beyond(jacobians, most, beyond):  # type: ignore[no-untyped-def]
    """Squared stretches are the eigenvalues of J^T J; none lies beyond a bound where the difference is definite."""
    for n in numba.prange(len(jacobians)):  # type: ignore[attr-defined]
        j = jacobians[n]
        xx = j[0, 0] * j[0, 0] + j[1, 0] * j[1, 0] + j[2, 0] * j[2, 0]
        yy = j[0, 1] * j[0, 1] + j[1, 1] * j[1, 1] + j[2, 1] * j[2, 1]
        zz = j[0, 2] * j[0, 2] + j[1, 2] * j[1, 2] + j[2, 2] * j[2, 2]
        xy = j[0, 0] * j[0, 1] + j[1, 0] * j[1, 1] + j[2, 0] * j[2, 1]
        xz = j[0, 0] * j[0, 2] + j[1, 0] * j[1, 2] + j[2, 0] * j[2, 2]
        yz = j[0, 1] * j[0, 2] + j[1, 1] * j[1, 2] + j[2, 1] * j[2, 2]
        upper, lower = most * most, 1 / (most * most)
        is_within = _is_definite(upper - xx, upper - yy, upper - zz, -xy, -xz, -yz) and _is_definite(
            xx - lower, yy - lower, zz - lower, xy, xz, yz
        )
        beyond[n] = not is_within


@device_function
def _is_definite(xx, yy, zz, xy, xz, yz):  # type: ignore[no-untyped-def]
    """Sylvester's criterion: all leading minors are positive."""
    minor = xx * yy - xy * xy
    determinant = zz * minor - xx * yz * yz - yy * xz * xz + 2 * xy * xz * yz
    return xx > 0 and minor > 0 and determinant > 0


def greatest_eigenvalues(matrices: np.ndarray) -> np.ndarray:
    """Of symmetric matrices [N, 3, 3] -> [N], in closed form (Smith 1961), twenty times faster than LAPACK."""
    mean = np.trace(matrices, axis1=1, axis2=2) / 3
    rest = matrices - mean[:, None, None] * np.eye(3)
    size = np.sqrt(np.einsum("nij,nij->n", rest, rest) / 6)
    with np.errstate(invalid="ignore", divide="ignore"):
        half = np.linalg.det(rest) / (2 * size**3)
    angle = np.arccos(np.clip(np.nan_to_num(half), -1, 1)) / 3
    return mean + 2 * size * np.cos(angle)
