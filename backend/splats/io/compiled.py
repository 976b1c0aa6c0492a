"""Compiled loops for files of millions of splats, in a process that has numba anyhow, as the backend's has.

To load numba takes longer than any file does, so a program that only reads one works with numpy alone.
"""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np


def compiled_loops() -> ModuleType | None:
    """`compiled_loops.py` where numba is loaded."""
    if "numba" not in sys.modules:
        return None
    from backend.splats.io import compiled_loops as loops

    return loops


def floats_of_bytes(content: np.ndarray, columns: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    """What the table has for each byte, the columns in the given order.

    content: uint8 [N, M]. columns: int64 [M]. table: float32 [256]. out: float32 [N, M], filled in.
    """
    loops = compiled_loops()
    if loops is None:
        out[:] = table.take(content.take(columns, axis=1, mode="clip"))
    else:
        loops.floats_of_bytes(content, columns, table, out)
