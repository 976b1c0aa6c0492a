"""How far apart points are."""

from __future__ import annotations

import numpy as np

_NEIGHBOURS = 3


def neighbour_distances(positions: np.ndarray, workers: int = 1) -> np.ndarray | None:
    """Mean distance of each position to its three nearest ones. [N, 3] -> [N] float64; None for less than two."""
    neighbours = min(_NEIGHBOURS, len(positions) - 1)
    if neighbours < 1:
        return None
    from scipy.spatial import KDTree

    distances, _ = KDTree(positions).query(positions, k=neighbours + 1, workers=workers)
    return distances[:, 1:].mean(axis=1)


def nearest_ones(positions: np.ndarray, count: int) -> np.ndarray:
    """The numbers of the nearest positions of each, the nearest first, and that is itself (or one at the same place).

    [N, 3] -> int64 [N, count], or [N, N] if there are fewer.
    """
    from scipy.spatial import KDTree

    count = min(count, len(positions))
    _, found = KDTree(positions).query(positions, k=count, workers=-1)
    return np.asarray(found, np.int64).reshape(len(positions), count)
