"""Puts the splats of several parts into one cloud."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backend.splats.cloud import SplatCloud
from backend.splats.io.content import SplatContent, with_sh_degree


def joined(clouds: Sequence[SplatCloud]) -> SplatCloud:
    """One cloud of all, one after another, with the highest SH degree among them; at least one must be given."""
    if len(clouds) == 1:
        return clouds[0]
    degree = max(cloud.sh_degree for cloud in clouds)
    padded = [with_sh_degree(SplatContent(cloud), degree).cloud for cloud in clouds]
    names = ("means", "quats", "log_scales", "opacity_logits", "sh")
    return SplatCloud(*(np.concatenate([getattr(cloud, name) for cloud in padded]) for name in names))
