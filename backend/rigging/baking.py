"""Makes a pose the rest: splats that stand where the moved mesh takes them, bound to it as it is then."""

from __future__ import annotations

import numpy as np

from backend.rigging.binding import Binding, refuse_broken
from backend.rigging.bound import BoundRepresentation
from backend.rigging.splitting import SPLIT_BEYOND, split_stretched
from backend.splats.cloud import SplatCloud


def bake_pose(
    cloud: SplatCloud, binding: Binding, vertices: np.ndarray, *, split_beyond: float | None = SPLIT_BEYOND
) -> tuple[SplatCloud, Binding]:
    """The posed splats and their binding; parts of splats that were split come after all others.

    vertices: [V, 3], of the moved mesh. split_beyond: splats that become more than so many times as long are split.
    Raises UserError when the vertices are not as many as the mesh has, or no numbers.
    """
    vertices = binding.fitting(vertices)
    refuse_broken(vertices)
    if split_beyond is not None:
        cloud, binding = split_stretched(cloud, binding, vertices, beyond=split_beyond)
    baked = BoundRepresentation(cloud, binding, "cpu").posed(vertices).bake()
    return baked, binding.resting(vertices, baked.means)
