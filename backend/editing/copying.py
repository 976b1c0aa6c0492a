"""Copies of splats beside their originals."""

from __future__ import annotations

import numpy as np

from backend.editing.inputs import EditingInputs, EditingResult
from backend.splats.change import SplatChange


def with_copies(inputs: EditingInputs, chosen: np.ndarray, matrix: np.ndarray) -> EditingResult:
    """All splats, and after them copies of the chosen ones, bool [N], under a map [4, 4]; the copies are selected."""
    rows = np.flatnonzero(chosen)
    every = inputs.cloud.select(np.concatenate([np.arange(len(chosen)), rows]))
    are_copies = np.arange(len(every)) >= len(chosen)
    change = SplatChange(are_copies, matrix=matrix)
    keep = np.ones(len(chosen), bool)
    return EditingResult(change.apply(every), keep, copies=rows, change=change, selected=are_copies)
