"""Where a cloud is, whatever a few splats far out may say."""

from __future__ import annotations

import numpy as np

from backend.splats.cloud import SplatCloud

_OUTSIDE = (1.0, 99.0)  # percentiles, along every axis
_MORE = 0.25  # of their distance: what lies farther out than that is stray
_OPAQUE = -2.2  # logit: an opacity of 0.1


def robust_bounds(cloud: SplatCloud) -> np.ndarray | None:
    """Lowest and highest corner of the opaque splats' centres without stray ones, [2, 3]; None when there are none."""
    finite = cloud.finite()
    chosen = finite & (cloud.opacity_logits > _OPAQUE)
    means = cloud.means[chosen if chosen.any() else finite].astype(np.float64)
    if not len(means):
        return None
    low, high = np.percentile(means, _OUTSIDE, axis=0)
    room = _MORE * (high - low)
    return np.stack([np.maximum(means.min(axis=0), low - room), np.minimum(means.max(axis=0), high + room)])
