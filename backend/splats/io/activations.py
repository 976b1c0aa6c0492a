"""Between the numbers of a cloud and those of files: opacities and logits, the smallest three of a rotation."""

from __future__ import annotations

import numpy as np

from backend.splats.io.content import LARGEST_LOGIT

_OTHERS = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])  # components beside the largest one


def opacities_of(logits: np.ndarray) -> np.ndarray:
    """Logits -> opacities 0..1, float32, without overflow."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-logits.astype(np.float32, copy=False)))


def logits_of(opacities: np.ndarray) -> np.ndarray:
    """Opacities 0..1 -> logits, float32; 0 and 1, whose logits are infinite, become -20 and 20. NaN stays NaN."""
    values = opacities.astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        logits = np.log(values) - np.log1p(-values)
    return np.where(values >= 1, LARGEST_LOGIT, np.where(values <= 0, -LARGEST_LOGIT, logits)).astype(np.float32)


def logits_of_bytes(opacities: np.ndarray) -> np.ndarray:
    """Opacities 0..255 -> logits, float32."""
    return logits_of(np.arange(256) / 255)[opacities]


def unit_quats(quats: np.ndarray) -> np.ndarray:
    """Quaternions of length one, float32 [N, 4]; one without a length does not turn (w, x, y, z)."""
    length = np.sqrt(np.einsum("ni,ni->n", quats, quats))
    turns = length > 0
    unit = quats / np.where(turns, length, 1)[:, None]
    unit[~turns] = (1, 0, 0, 0)
    return unit.astype(np.float32, copy=False)


def smallest_three(quats: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rotation without its largest component, which follows from the others as it is made positive.

    quats: [N, 4] of length one, in any order of components. Returns the index of the largest component [N] and the
    other three in their order [N, 3], each at most sqrt(1/2).
    """
    sizes = np.abs(quats)
    largest = sizes.argmax(axis=1)
    rows = np.arange(len(quats))
    three = quats[rows[:, None], _OTHERS[largest]]
    three *= np.where(quats[rows, largest] < 0, np.float32(-1), np.float32(1))[:, None]
    return largest, three


def from_smallest_three(largest: np.ndarray, three: np.ndarray) -> np.ndarray:
    """The quaternions [N, 4] that `smallest_three` took apart."""
    quats = np.empty((len(three), 4), np.float32)
    rows = np.arange(len(three))
    quats[rows[:, None], _OTHERS[largest]] = three
    quats[rows, largest] = np.sqrt(np.maximum(0, 1 - np.einsum("ni,ni->n", three, three)))
    return quats
