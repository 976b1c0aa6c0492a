"""Which object each splat belongs to, in closed form from what pictures of the splats show.

Shen et al. 2024, "FlashSplat: 2D to 3D Gaussian Splatting Segmentation Solved Optimally". A picture of the labels is
linear in the splats' labels, so the labels that fit given masks best are decided splat by splat: each has the label
under which most of it is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from backend.selection.in_picture import LEAST_SHOWN, Look, labelled_contributions
from backend.splats.cloud import SplatCloud
from shared_protocol.errors import UserError

UNKNOWN = 255  # in a mask: a pixel of which nobody says what it shows
MOST_LABELS = UNKNOWN
_AT_ONCE = 8  # labels in one drawing


@dataclass(frozen=True)
class Masked:
    """What one view shows of each label."""

    look: Look
    labels: np.ndarray  # uint8 [H, W]: 0 = what is none of the objects, 255 = unknown


def label_sums(
    cloud: SplatCloud,
    views: Sequence[Masked],
    device: str,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """float32 [N, E]: how much of each splat is seen under each label, as sums of blending weights.

    E is the highest label plus one. Sums of further views may be added. Raises UserError for a mask that has not the
    size of its picture, for views without any mask, and for masks that name no object.
    """
    labels = _labels(views)
    sums = np.zeros((len(cloud), labels), np.float32)
    for number, view in enumerate(views, 1):
        there = [label for label in range(labels) if (view.labels == label).any()]
        for first in range(0, len(there), _AT_ONCE):
            some = there[first : first + _AT_ONCE]
            counts = torch.from_numpy(np.stack([view.labels == label for label in some]).astype(np.float32))
            sums[:, some] += labelled_contributions(cloud, view.look, counts, device)
        on_progress(number, len(views))
    return sums


def belongs(sums: np.ndarray, label: int, bias: float = 0.0) -> np.ndarray:
    """bool [N]: the splats of one object.

    bias, -1..1: what is added to all that is not the object, as a part of what is seen of the splat: above 0 fewer
    splats belong to it, and cleaner ones, below 0 more. A splat that no view showed belongs to nothing.
    """
    return _margins(sums, label) > bias


def best_labels(sums: np.ndarray) -> np.ndarray:
    """uint8 [N]: of which label most is seen; 255 where nothing is."""
    return np.where(sums.sum(axis=1) > LEAST_SHOWN, sums.argmax(axis=1), UNKNOWN).astype(np.uint8)


def confidences(sums: np.ndarray) -> np.ndarray:
    """float32 [N], 0..1: by how much the best label leads before all others together; 0 where it does not."""
    total = sums.sum(axis=1)
    return np.where(total > LEAST_SHOWN, (2 * sums.max(axis=1) - total) / np.maximum(total, LEAST_SHOWN), 0).clip(0, 1)


def _margins(sums: np.ndarray, label: int) -> np.ndarray:
    """The label's part minus the part of the rest, of vectors of length 1; minus infinity where nothing is seen."""
    if not 0 <= label < sums.shape[1]:
        raise UserError("bad_input", f"There is no label {label}.", f"Choose one from 0 to {sums.shape[1] - 1}.")
    own = sums[:, label]
    rest = sums.sum(axis=1) - own
    length = np.hypot(own, rest)
    return np.where(length > LEAST_SHOWN, (own - rest) / np.maximum(length, LEAST_SHOWN), -np.inf)


def _labels(views: Sequence[Masked]) -> int:
    if not views:
        raise UserError("bad_input", "There are no masks.", "Draw around the object in one view at least.")
    for number, view in enumerate(views, 1):
        height, width = view.labels.shape
        if (width, height) != (view.look.camera.width, view.look.camera.height):
            size = f"{width} x {height}, its picture {view.look.camera.width} x {view.look.camera.height} pixels"
            raise UserError("bad_input", f"The mask of view {number} is {size}.", "Give masks the size of pictures.")
    highest = max(int(view.labels[view.labels != UNKNOWN].max(initial=0)) for view in views)
    if highest == 0:
        raise UserError("bad_input", "The masks show no object.", "Draw around the object in one view at least.")
    return highest + 1
