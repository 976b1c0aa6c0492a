"""What a local linear map does to splats: their shape, and the rotation that their colours follow."""

from __future__ import annotations

import numba
import numpy as np

from backend.splats.kernels import parallel_kernel

_MOST_ITERATIONS = 20  # of which ten are needed at the worst
_SETTLED = 1e-13  # an iteration that changes less was the last
_FLATTEST = 1e-9  # determinant of the flattest map that is turned by iteration, beside the cube of its norm
_THINNEST = 1e-12  # standard deviation of a splat that was flattened


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


def deformed_shapes(quats: np.ndarray, log_scales: np.ndarray, jacobians: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and size of the splats whose covariance is J C J^T.

    quats: [N, 4] w, x, y, z. log_scales: [N, 3]. jacobians: [N, 3, 3]. Returns quats [N, 4] and log scales [N, 3],
    float32. From the singular values of J R diag(s): squaring would lose the thin axis of needles.
    """
    axes = jacobians @ (quats_to_matrices(quats) * np.exp(log_scales.astype(np.float64))[:, None, :])
    left, scales, _ = np.linalg.svd(axes)
    left[..., :, 2] *= np.sign(np.linalg.det(left))[..., None]
    log = np.log(np.maximum(scales, _THINNEST))
    return matrices_to_quats(left).astype(np.float32), log.astype(np.float32)


def quats_to_matrices(quats: np.ndarray) -> np.ndarray:
    """[N, 4] w, x, y, z of any length -> [N, 3, 3] float64. A quaternion without a length does not turn."""
    q = quats.astype(np.float64)
    length = np.linalg.norm(q, axis=1, keepdims=True)
    w, x, y, z = np.where(length > 0, q / np.where(length > 0, length, 1), (1.0, 0.0, 0.0, 0.0)).T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, -1) for row in rows], -2)


def matrices_to_quats(matrices: np.ndarray) -> np.ndarray:
    """Rotations [N, 3, 3] -> unit quaternions [N, 4] w, x, y, z with w >= 0, float64.

    The four squares are known from the diagonal; dividing by the largest one keeps every case exact.
    """
    m = matrices.astype(np.float64)
    diagonal = np.stack([m[:, 0, 0], m[:, 1, 1], m[:, 2, 2]], -1)
    trace = diagonal.sum(-1, keepdims=True)
    squares = np.concatenate([1 + trace, 1 + 2 * diagonal - trace], -1)  # 4 w^2, 4 x^2, 4 y^2, 4 z^2
    yz, zx, xy = (m[:, b, a] - m[:, a, b] for a, b in ((1, 2), (2, 0), (0, 1)))  # 4wx, 4wy, 4wz
    sxy, szx, syz = (m[:, a, b] + m[:, b, a] for a, b in ((0, 1), (2, 0), (1, 2)))
    products = np.stack(
        [
            np.stack([squares[:, 0], yz, zx, xy], -1),
            np.stack([yz, squares[:, 1], sxy, szx], -1),
            np.stack([zx, sxy, squares[:, 2], syz], -1),
            np.stack([xy, szx, syz, squares[:, 3]], -1),
        ],
        -2,
    )  # [N, 4, 4]: four times the products of all pairs
    largest = squares.argmax(-1)
    chosen = np.take_along_axis(products, largest[:, None, None], 1)[:, 0]
    quats = chosen / np.linalg.norm(chosen, axis=-1, keepdims=True)
    return quats * np.where(quats[:, :1] < 0, -1.0, 1.0)
