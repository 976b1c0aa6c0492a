"""Numbers of a version's splats that ranges and histograms are made of."""

from __future__ import annotations

import numpy as np

from backend.selection import by_value
from backend.selection.flash_splat import UNKNOWN, best_labels, confidences
from backend.splats.cloud import SplatCloud
from backend.store.cards import VersionCard
from backend.store.selection_names import SelectionNames
from shared_protocol.errors import UserError


def label_sums_of(names: SelectionNames, card: VersionCard) -> np.ndarray:
    """float32 [N, E]. Raises UserError when no masks were given."""
    sums = names.label_sums(card)
    if sums is None:
        raise UserError("not_found", "No masks were given for these splats.", "Draw around an object first.")
    return sums


def splat_values(names: SelectionNames, card: VersionCard, cloud: SplatCloud, attribute: str) -> np.ndarray:
    """[N] float32, by a name in `selecting.Attribute`. Raises UserError for what has not been found out yet."""
    if attribute == "label":
        labels = best_labels(label_sums_of(names, card))
        return np.where(labels == UNKNOWN, -1, labels).astype(np.float32)
    if attribute == "confidence":
        return confidences(label_sums_of(names, card))
    if attribute == "visibility":
        seen = names.visibility(card)
        if seen is None:
            message = "How much is seen of these splats has not been measured."
            raise UserError("not_found", message, "Press Prepare first (IndexVersion).")
        return seen
    return by_value.values_of(cloud, attribute)
