"""Quaternions and rotation matrices."""

from __future__ import annotations

import numpy as np


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
