"""Between the numbers of a cloud and those of files: opacities and logits, the smallest three of a rotation."""

from __future__ import annotations

from collections.abc import Sequence

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


def from_smallest_three(largest: np.ndarray, three: np.ndarray, components: np.ndarray | Sequence[np.ndarray]) -> None:
    """Fills in the quaternions that `smallest_three` took apart.

    largest: int [N]. three: float32 [3, N], column after column, which is several times as fast as row after row.
    components: the four columns of the quaternions, float32 [N] each, in the order that `largest` counts in.
    """
    first, second, third = three
    squares = first * first
    squares += second * second
    squares += third * third
    fourth = np.sqrt(np.maximum(1 - squares, 0))
    components[0][:] = np.where(largest == 0, fourth, first)
    components[1][:] = np.where(largest == 1, fourth, np.where(largest < 1, first, second))
    components[2][:] = np.where(largest == 2, fourth, np.where(largest < 2, second, third))
    components[3][:] = np.where(largest == 3, fourth, third)


def bits_of(words: np.ndarray, shift: int, count: int) -> np.ndarray:
    """`count` bits of each uint32, from the bit `shift` on, as float32; exact up to 24 of them."""
    bits = words >> np.uint32(shift)
    bits &= np.uint32(2**count - 1)
    return bits.view(np.int32).astype(np.float32)  # which processors know how to do, other than from uint32
