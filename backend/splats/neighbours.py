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
