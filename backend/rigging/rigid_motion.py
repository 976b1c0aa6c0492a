"""The one rigid motion that some vertices of a mesh have in common."""

from __future__ import annotations

import numpy as np

_LEAST = 1e-9  # of the points' spread: what they leave open, as points on a line do, does not turn


def rigid_motion(
    before: np.ndarray, after: np.ndarray, weights: np.ndarray, side: float = 1.0
) -> tuple[np.ndarray, np.ndarray] | None:
    """Turn R [3, 3] and shift t [3], float64, with R p + t nearest to where the points p have gone (Kabsch 1976).

    before, after: [V, 3]. weights: [V], none negative. side: -1.0 where the mesh was mirrored: then R mirrors.
    None where no weighted point is a number.
    """
    weights = np.where(np.isfinite(after).all(axis=1), weights, 0).astype(np.float64)
    chosen = weights > 0
    if not chosen.any():
        return None
    weights = weights[chosen] / weights[chosen].sum()
    before, after = before[chosen].astype(np.float64), after[chosen].astype(np.float64)
    centre, centre_after = weights @ before, weights @ after
    spread = (weights[:, None] * (after - centre_after)).T @ (before - centre)
    spread += (_LEAST * np.linalg.norm(spread) + np.finfo(np.float64).tiny) * side * np.eye(3)
    left, _, right = np.linalg.svd(spread)
    left[:, 2] *= np.sign(np.linalg.det(left @ right)) * side
    turn = left @ right
    return turn, centre_after - turn @ centre
