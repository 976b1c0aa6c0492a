"""Chooses which photos without poses are worth matching: all with all, or those that look alike when there are many."""

from __future__ import annotations

import numpy as np

from backend.captures.features import Features

_MATCH_ALL_UP_TO = 40  # photos
_LOOK_ALIKE = 20  # photos that each is matched with beyond that number
_NEXT_IN_ORDER = 4  # and so many that follow in file-name order, for walks and video frames
_WORDS = 64
_FEATURES_TO_LEARN_FROM = 20_000
_ROUNDS = 10


def pairs_to_match(features: list[Features]) -> list[tuple[int, int]]:
    count = len(features)
    if count <= _MATCH_ALL_UP_TO:
        return [(i, j) for i in range(count) for j in range(i + 1, count)]
    likeness = _likeness(features)
    np.fill_diagonal(likeness, -np.inf)
    alike = np.argsort(-likeness, axis=1, kind="stable")[:, :_LOOK_ALIKE].tolist()
    pairs = {(min(i, j), max(i, j)) for i, row in enumerate(alike) for j in row}
    pairs |= {(i, j) for i in range(count) for j in range(i + 1, min(i + 1 + _NEXT_IN_ORDER, count))}
    return sorted(pairs)


def _likeness(features: list[Features]) -> np.ndarray:
    """Cosine between the photos' VLAD vectors (Jegou et al. 2010), [P, P]."""
    generator = np.random.default_rng(0)
    everything = np.concatenate([found.descriptors for found in features])
    chosen = generator.permutation(len(everything))[:_FEATURES_TO_LEARN_FROM]
    words = _words(everything[chosen].astype(np.float32), generator)
    vectors = np.stack([_residuals(found.descriptors.astype(np.float32), words) for found in features])
    return vectors @ vectors.T


def _words(samples: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """k-means centres of the samples, [W, 128]."""
    words = samples[generator.permutation(len(samples))[:_WORDS]]
    for _ in range(_ROUNDS):
        nearest = _nearest_word(samples, words)
        for word in np.unique(nearest):
            words[word] = samples[nearest == word].mean(axis=0)
    return words


def _nearest_word(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    return (0.5 * (words * words).sum(axis=1) - descriptors @ words.T).argmin(axis=1)


def _residuals(descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """One unit vector for a photo: what its features differ from their nearest words by, [W * 128]."""
    sums = np.zeros_like(words)
    if len(descriptors):
        nearest = _nearest_word(descriptors, words)
        np.add.at(sums, nearest, descriptors - words[nearest])
    # Each word counts the same, else a busy texture decides alone.
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    unit = np.divide(sums, lengths, out=np.zeros_like(sums), where=lengths > 0)
    return (unit / max(float(np.linalg.norm(unit)), 1e-9)).ravel()
