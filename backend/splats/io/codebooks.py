"""Chooses few numbers, or few vectors, that many are near to: the codebooks and the palette of SOG files."""

from __future__ import annotations

import numpy as np

from backend.splats.io.blocks import LONG, for_each_block

_LLOYD_STEPS = 10  # of numbers; more change nothing
_PALETTE_STEPS = 4
# The work of one nearest-entry search. Larger ones are divided first: a tree of small searches is as good to the eye
# and hundreds of times as fast as one search of a million vectors among 64 thousand.
_MOST_PAIRS = 1 << 20
_BRANCHES = 256
_SAMPLE = 1 << 14  # vectors that the branches are chosen by


def codebook_of(values: np.ndarray, size: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """`size` float32 numbers in rising order, and which of them is nearest to each value (uint8, values' shape).

    Lloyd's algorithm on sorted values, begun where their density's cube root has its quantiles (Panter and Dite 1951).
    """
    ordered = np.sort(values, axis=None)
    if not len(ordered):
        return np.zeros(size, np.float32), np.zeros(values.shape, np.uint8)
    changes = ordered[1:] != ordered[:-1]
    if np.count_nonzero(changes) < size:
        distinct = ordered[np.concatenate([[0], np.flatnonzero(changes) + 1])]
        book = np.concatenate([distinct, np.repeat(distinct[-1], size - len(distinct))])
    else:
        book = _lloyd(ordered, _first_guess(ordered, size)).astype(np.float32)
    borders = (book[1:] + book[:-1]) / 2
    indices, flat = np.empty(values.shape, np.uint8), values.reshape(-1)

    def find(start: int, stop: int) -> None:
        indices.reshape(-1)[start:stop] = np.searchsorted(borders, flat[start:stop])

    for_each_block(len(flat), find, LONG)
    return book, indices


def _first_guess(ordered: np.ndarray, size: int) -> np.ndarray:
    cells = int(np.clip(len(ordered) // 8, size, 16 * size))  # of as many values each
    edges = ordered[np.linspace(0, len(ordered) - 1, cells + 1).astype(np.intp)].astype(np.float64)
    # The density of a cell is 1 / width, so that the integral of its cube root over the cell is this.
    weight = np.concatenate([[0], np.cumsum(np.diff(edges) ** (2 / 3))])
    return np.interp((np.arange(size) + 0.5) / size * weight[-1], weight, edges)


def _lloyd(ordered: np.ndarray, book: np.ndarray) -> np.ndarray:
    for _ in range(_LLOYD_STEPS):
        middles = ((book[1:] + book[:-1]) / 2).astype(np.float32)
        borders = np.concatenate([[0], np.searchsorted(ordered, middles), [len(ordered)]])
        counts = np.diff(borders)
        used = counts > 0
        book = book.copy()
        book[used] = np.add.reduceat(ordered, borders[:-1][used], dtype=np.float64) / counts[used]
    return book


def palette_of(vectors: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """At most `most` vectors, and which of them stands for each of the given ones.

    vectors: [N, D] float32. Returns [M, D] and labels [N]. Where N <= most, every vector stands for itself.
    The same vectors always give the same palette.
    """
    labels = np.zeros(len(vectors), np.intp)
    entries: list[np.ndarray] = []
    _divide(vectors, np.arange(len(vectors)), most, entries, labels, np.random.default_rng(0))
    palette = np.concatenate(entries) if entries else np.zeros((0, vectors.shape[1]), np.float32)
    return palette, labels


def _divide(
    vectors: np.ndarray,
    rows: np.ndarray,
    most: int,
    entries: list[np.ndarray],
    labels: np.ndarray,
    random: np.random.Generator,
) -> None:
    """Gives the vectors of these rows up to `most` entries at the end of the palette."""
    first = sum(map(len, entries))
    if len(rows) <= most:
        entries.append(vectors[rows])
        labels[rows] = first + np.arange(len(rows))
        return
    points = vectors[rows]
    if most == 1 or len(rows) * most <= _MOST_PAIRS:
        found, own = _k_means(points, most, random)
        entries.append(found)
        labels[rows] = first + own
        return
    sample = points[random.choice(len(points), min(_SAMPLE, len(points)), replace=False)]
    branches, _ = _k_means(sample, min(_BRANCHES, most), random)
    own, distances = _nearest(points, branches)
    order = np.argsort(own, kind="stable")
    sizes = np.bincount(own, minlength=len(branches))
    shares = _shares(np.bincount(own, distances, minlength=len(branches)), sizes, most)
    del points, distances
    for part, share in zip(np.split(order, np.cumsum(sizes)[:-1]), shares, strict=True):
        if len(part):
            _divide(vectors, rows[part], int(share), entries, labels, random)


def _shares(errors: np.ndarray, sizes: np.ndarray, most: int) -> np.ndarray:
    """How many entries each branch gets: by its sum of squared errors, one at least, no more than it has vectors."""
    shares = np.minimum(sizes, 1)
    left = most - int(shares.sum())
    weights = errors + 1e-12
    while left > 0 and (open_ := shares < sizes).any():
        wanted = np.where(open_, weights, 0)
        more = np.minimum(np.floor(wanted / wanted.sum() * left).astype(np.intp), sizes - shares)
        if not more.any():
            more = np.zeros_like(shares)
            more[np.argsort(-wanted, kind="stable")[: min(left, int(open_.sum()))]] = 1
        shares = shares + more
        left -= int(more.sum())
    return shares


def _k_means(points: np.ndarray, count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Lloyd's algorithm: `count` means [count, D] and the label of each point."""
    if count == 1:
        return points.mean(axis=0, keepdims=True), np.zeros(len(points), np.intp)
    from scipy import sparse

    means = points[random.choice(len(points), count, replace=False)]
    ones, starts = np.ones(len(points), np.float32), np.arange(len(points) + 1)
    for _ in range(_PALETTE_STEPS):
        labels, distances = _nearest(points, means)
        counts = np.bincount(labels, minlength=count)
        sums = sparse.csr_matrix((ones, labels, starts), (len(points), count)).T @ points
        means = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
        unused = np.flatnonzero(counts == 0)
        if len(unused):  # an entry that nothing is near to begins anew at what is worst off
            means[unused] = points[np.argpartition(-distances, len(unused) - 1)[: len(unused)]]
    return means, _nearest(points, means)[0]


def _nearest(points: np.ndarray, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The label of the nearest mean, and the squared distance to it, [N] each."""
    labels, distances = np.empty(len(points), np.intp), np.empty(len(points), np.float32)
    half = np.einsum("kd,kd->k", means, means) / 2
    step = max(1, (1 << 20) // len(means))
    for start in range(0, len(points), step):
        part = slice(start, start + step)
        scores = points[part] @ means.T
        scores -= half
        labels[part] = scores.argmax(axis=1)
        best = scores[np.arange(len(scores)), labels[part]]
        distances[part] = np.einsum("nd,nd->n", points[part], points[part]) - 2 * best
    return labels, np.maximum(distances, 0)
