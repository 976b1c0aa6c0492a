"""How far points are from the surfaces of the made capture."""

from __future__ import annotations

import numpy as np

from backend.captures.made_capture import BOXES, SPHERES


def distance_to_surface(points: np.ndarray) -> np.ndarray:
    """[N, 3] -> [N]; the floor counts as endless."""
    points = points.astype(np.float64)
    nearest = np.abs(points[:, 2])
    for centre, radius in SPHERES:
        nearest = np.minimum(nearest, np.abs(np.linalg.norm(points - centre, axis=1) - radius))
    for low, high in BOXES:
        lowest, highest = np.array(low), np.array(high)
        beyond = np.abs(points - (lowest + highest) / 2) - (highest - lowest) / 2
        signed = np.linalg.norm(beyond.clip(0), axis=1) + beyond.max(axis=1).clip(None, 0)
        nearest = np.minimum(nearest, np.abs(signed))
    return nearest
