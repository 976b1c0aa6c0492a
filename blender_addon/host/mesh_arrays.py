"""Reads what many small things of Blender have in common into one array."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def numbers(collection: Any, name: str, kind: type[np.generic], width: int) -> npt.NDArray[Any]:
    """One property of all items of a collection, [items, width]."""
    values = np.empty(width * len(collection), kind)
    collection.foreach_get(name, values)
    return values.reshape(-1, width)
