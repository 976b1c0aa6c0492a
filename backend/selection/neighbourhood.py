"""Splats by what is near them: grown and shrunk, connected, and alone in the air."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import prange

from backend.splats.cloud import SplatCloud
from backend.splats.kernels import parallel_kernel, serial_kernel

NEIGHBOURS = 8  # of each splat that are known
_TOUCH = 1.5  # times the sum of their largest standard deviations: how far apart splats may be that touch
_CHUNK = 50_000  # splats between two words about progress
_MOST_KEPT = 2  # clouds whose neighbours stay in memory

_lock = threading.Lock()
_kept: list[tuple[np.ndarray, Neighbours]] = []  # by the very array of centres, newest last
_UNSEEN = np.float32(1e30)  # beyond all that are neighbours


@dataclass(frozen=True)
class Neighbours:
    """The nearest other splats of each splat, by their centres."""

    indices: np.ndarray  # [N, K] int32; a splat's own number where there are no more
    distances: np.ndarray  # [N, K] float32, rising; infinite where there are no more


def neighbours_of(means: np.ndarray, on_progress: Callable[[int, int], None] = lambda done, total: None) -> Neighbours:
    """As `find_neighbours`; the last ones are kept for whoever asks with the same array again."""
    with _lock:  # who asks while they are being found waits for them
        for known, found in _kept:
            if known is means:
                return found
        found = find_neighbours(means, on_progress=on_progress)
        _kept.append((means, found))
        del _kept[:-_MOST_KEPT]
        return found


def find_neighbours(
    means: np.ndarray, *, workers: int = -1, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> Neighbours:
    """means: [N, 3]; those that are not finite are nobody's neighbours. on_progress: splats done, and all."""
    from scipy.spatial import KDTree

    count = len(means)
    indices = np.repeat(np.arange(count, dtype=np.int32)[:, None], NEIGHBOURS, axis=1)
    distances = np.full((count, NEIGHBOURS), np.inf, np.float32)
    sound = np.flatnonzero(np.isfinite(means).all(axis=1)).astype(np.int32)
    nearest = min(NEIGHBOURS, len(sound) - 1)
    if nearest < 1:
        return Neighbours(indices, distances)
    # Without balancing and shrinking boxes the tree stands in a third of the time, and answers as fast.
    tree = KDTree(means[sound], balanced_tree=False, compact_nodes=False)
    for start in range(0, len(sound), _CHUNK):
        own = np.arange(start, min(start + _CHUNK, len(sound)))
        answer = tree.query(means[sound[own]], k=nearest + 1, workers=workers)
        far, found = np.asarray(answer[0]), np.asarray(answer[1])
        # Among splats at one place any may be named as the nearest: a splat is not its own neighbour.
        is_self = found == own[:, None]
        is_self[~is_self.any(axis=1), -1] = True
        indices[sound[own], :nearest] = sound[found[~is_self].reshape(len(own), nearest)]
        distances[sound[own], :nearest] = far[~is_self].reshape(len(own), nearest)
        on_progress(int(own[-1]) + 1, len(sound))
    return Neighbours(indices, distances)


def grown(selected: np.ndarray, around: Neighbours, steps: int) -> np.ndarray:
    """bool [N]: with the neighbours of what is selected, and theirs, so many times; steps < 0: without the rim."""
    now = selected.copy() if steps >= 0 else ~selected
    for _ in range(abs(steps)):
        after = now.copy()
        _spread(now, around.indices, around.distances, after)
        if np.array_equal(after, now):
            break
        now = after
    return now if steps >= 0 else ~now


def connected(
    cloud: SplatCloud, start: np.ndarray, around: Neighbours, *, reach: float = 0.0, alike: np.ndarray | None = None
) -> np.ndarray:
    """bool [N]: what hangs together with the start, bool [N], from neighbour to neighbour.

    reach: how far apart neighbours may lie, in units of the cloud; 0 = as far as they touch. alike: bool [N], the
    splats that may be gone over; None = all.
    """
    allowed = np.ones(len(start), bool) if alike is None else alike | start
    groups = _groups(around, _reaches(cloud, reach), allowed)
    chosen = np.zeros(len(start), bool)
    chosen[groups[start]] = True
    return chosen[groups] & allowed


def floating(cloud: SplatCloud, around: Neighbours, *, reach: float = 0.0, most: int) -> np.ndarray:
    """bool [N]: splats in groups of at most so many that hang together. reach: as for `connected`."""
    groups = _groups(around, _reaches(cloud, reach), np.ones(len(cloud), bool))
    return np.bincount(groups, minlength=len(groups))[groups] <= most


def _reaches(cloud: SplatCloud, reach: float) -> np.ndarray:
    """[N] float32: two splats hang together where they are no farther apart than the sum of theirs."""
    if reach:
        return np.full(len(cloud), reach / 2, np.float32)
    return np.float32(_TOUCH) * np.exp(cloud.log_scales.max(axis=1)).astype(np.float32, copy=False)


def _groups(around: Neighbours, reaches: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """int32 [N]: the lowest number of a splat in the group of each."""
    groups = np.arange(len(allowed), dtype=np.int32)
    _join(around.indices, around.distances, reaches, allowed, groups)
    return groups


@parallel_kernel
def _spread(now: np.ndarray, indices: np.ndarray, distances: np.ndarray, after: np.ndarray) -> None:
    for i in prange(len(now)):
        for k in range(indices.shape[1]):
            if not distances[i, k] < _UNSEEN:
                break
            # Being neighbours goes both ways, although the list of one of them may be too short for the other. All
            # who write here write the same.
            if now[i]:
                after[indices[i, k]] = True
            elif now[indices[i, k]]:
                after[i] = True
                break


@serial_kernel
def _join(
    indices: np.ndarray, distances: np.ndarray, reaches: np.ndarray, allowed: np.ndarray, groups: np.ndarray
) -> None:
    for i in range(len(groups)):
        if not allowed[i]:
            continue
        for k in range(indices.shape[1]):
            j = indices[i, k]
            if not distances[i, k] < _UNSEEN:
                break
            if not allowed[j] or distances[i, k] > reaches[i] + reaches[j]:
                continue
            a, b = i, j
            while groups[a] != a:
                groups[a] = groups[groups[a]]
                a = groups[a]
            while groups[b] != b:
                groups[b] = groups[groups[b]]
                b = groups[b]
            groups[max(a, b)] = min(a, b)
    for i in range(len(groups)):  # whoever stands for a group has a lower number than all others of it
        groups[i] = groups[groups[i]]
