"""The innermost loops of packed formats as numba compiles them; `compiled.py` says when they are used.

Each does to the last bit what its namesake does in numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from backend.splats.sh_basis import C0

_CHUNK = 256
_HALF, _ONE, _ZERO = np.float32(0.5), np.float32(1), np.float32(0)
_C0 = np.float32(C0)
_OF_BYTES, _OF_10, _OF_11 = np.float32(1 / 255), np.float32(1 / 1023), np.float32(1 / 2047)
_TURN_STEP, _ROOT_HALF = np.float32(np.sqrt(2) / 1023), np.float32(np.sqrt(0.5))


def _loop(function: Callable[..., Any]) -> Callable[..., Any]:
    """Lets go of Python's lock, so that several threads can do a block each; rounds as numpy does."""
    return numba.njit(cache=True, nogil=True, error_model="numpy")(function)


@_loop
def floats_of_bytes(content: np.ndarray, columns: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    """See `compiled.py`."""
    for row in range(len(content)):
        for place in range(len(columns)):
            out[row, place] = table[content[row, columns[place]]]


@_loop
def unpack_words(
    words: np.ndarray,
    ranges: np.ndarray,
    means: np.ndarray,
    quats: np.ndarray,
    log_scales: np.ndarray,
    colors: np.ndarray,
) -> None:
    """See `compressed_packing.py`."""
    for row in range(len(words)):
        own = ranges[row // _CHUNK]
        for kind in range(2):
            word = words[row, 2 * kind]
            points = means if kind == 0 else log_scales
            low, high = own[kind]
            points[row, 0] = low[0] + np.float32(np.int32(word >> 21)) * _OF_11 * (high[0] - low[0])
            points[row, 1] = low[1] + np.float32(np.int32((word >> 11) & 1023)) * _OF_10 * (high[1] - low[1])
            points[row, 2] = low[2] + np.float32(np.int32(word & 2047)) * _OF_11 * (high[2] - low[2])
        for axis in range(3):
            shade = np.float32(np.int32((words[row, 3] >> (24 - 8 * axis)) & 255)) * _OF_BYTES
            if len(own) == 3:
                shade = own[2, 0, axis] + shade * (own[2, 1, axis] - own[2, 0, axis])
            colors[row, axis] = (shade - _HALF) / _C0
        turn = words[row, 1]
        first = np.float32(np.int32((turn >> 20) & 1023)) * _TURN_STEP - _ROOT_HALF
        second = np.float32(np.int32((turn >> 10) & 1023)) * _TURN_STEP - _ROOT_HALF
        third = np.float32(np.int32(turn & 1023)) * _TURN_STEP - _ROOT_HALF
        squares = first * first + second * second + third * third
        fourth = np.sqrt(max(_ONE - squares, _ZERO))
        largest = turn >> 30
        quats[row, 0] = fourth if largest == 0 else first
        quats[row, 1] = fourth if largest == 1 else (first if largest < 1 else second)
        quats[row, 2] = fourth if largest == 2 else (second if largest < 2 else third)
        quats[row, 3] = fourth if largest == 3 else third
