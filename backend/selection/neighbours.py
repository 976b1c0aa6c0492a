"""Which splats lie beside each other, and what follows from that: growing, flooding, islands in the air."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

NEAREST = 8  # neighbours of each splat that count
_AUTOMATIC_REACH = 4.0  # times the usual distance between neighbours
_MOST_KEPT = 2

_lock = threading.Lock()
_kept: list[tuple[np.ndarray, Neighbours]] = []  # by the very array of centres, newest last


@dataclass(frozen=True)
class Neighbours:
    """The nearest splats of each splat, the nearest first."""

    indices: np.ndarray  # [N, K] int32
    distances: np.ndarray  # [N, K] float32

    @property
    def usual_distance(self) -> float:
        """Of a splat and the nearest one."""
        return float(np.median(self.distances[:, 0])) if len(self.distances) else 0.0


def neighbours_of(means: np.ndarray) -> Neighbours:
    """means: [N, 3]. Takes seconds for a million; the last ones are kept, for as long as the same array is asked for."""
    with _lock:
        for known, found in _kept:
            if known is means:
                return found
        found = _find(means)
        _kept.append((means, found))
        del _kept[:-_MOST_KEPT]
        return found


def _find(means: np.ndarray) -> Neighbours:
    count = min(NEAREST, len(means) - 1)
    if count < 1:
        return Neighbours(np.zeros((len(means), 0), np.int32), np.zeros((len(means), 0), np.float32))
    distances, indices = cKDTree(means).query(means, k=count + 1, workers=-1)
    return Neighbours(indices[:, 1:].astype(np.int32), distances[:, 1:].astype(np.float32))


def grown(beside: Neighbours, selected: np.ndarray, steps: int) -> np.ndarray:
    """bool [N]: with the neighbours of what is selected, so many times; below 0 without those at the rim."""
    if steps < 0:
        return ~grown(beside, ~selected, -steps)
    for _ in range(steps):
        wider = selected | selected[beside.indices].any(axis=1)
        wider[beside.indices[selected]] = True
        selected = wider
    return selected


def connected(beside: Neighbours, selected: np.ndarray, reach: float, alike: np.ndarray | None = None) -> np.ndarray:
    """bool [N]: all that hangs together with what is selected.

    reach: how far apart neighbours may lie; 0 = a few times the usual distance. alike: bool [N], of what may be
    gone over; None = everything.
    """
    labels = _islands(beside, reach, alike)
    is_reached = np.zeros(len(labels) + 1, bool)
    is_reached[labels[selected]] = True
    found = is_reached[labels]
    return (found if alike is None else found & alike) | selected


def floaters(beside: Neighbours, reach: float, most: int) -> np.ndarray:
    """bool [N]: splats of islands that hold no more than `most`. reach: as in `connected`."""
    labels = _islands(beside, reach, None)
    return np.bincount(labels, minlength=1)[labels] <= most


def _islands(beside: Neighbours, reach: float, alike: np.ndarray | None) -> np.ndarray:
    """int32 [N]: a number for each island of splats that hang together."""
    count = len(beside.indices)
    close = beside.distances <= (reach or _AUTOMATIC_REACH * beside.usual_distance)
    if alike is not None:
        close &= alike[:, None] & alike[beside.indices]
    ends = np.concatenate([[0], np.cumsum(close.sum(axis=1))])
    links = csr_matrix((np.ones(ends[-1], np.int8), beside.indices[close], ends), shape=(count, count))
    return connected_components(links, directed=False)[1]
