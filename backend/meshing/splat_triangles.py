"""One triangle a splat, in the plane of its two longer axes: a mesh that moves splats one by one."""

from __future__ import annotations

import numpy as np

from backend.splats.cloud import SplatCloud
from backend.splats.deformed_shapes import axes_of_shapes
from backend.splats.sh_basis import C0
from backend.splats.triangle_mesh import TriangleMesh


def splat_triangles(cloud: SplatCloud, *, size: float = 1.0) -> TriangleMesh:
    """The pseudo-mesh of GaMeS (Waczyńska et al. 2024): corners mean, mean + longest axis, mean + second axis.

    size: how many standard deviations long the sides are that begin at the mean. Splats with values that are no numbers
    have no triangle; the others' are in their order.
    """
    cloud = cloud.select(cloud.finite())
    axes = axes_of_shapes(cloud.quats, cloud.log_scales)
    longest = np.argsort(-cloud.log_scales, axis=1, kind="stable")[:, :2]
    sides = size * np.take_along_axis(axes, longest[:, None, :], 2).transpose(0, 2, 1)  # [N, 2, 3]
    corners = cloud.means.astype(np.float64)[:, None, :] + np.concatenate([np.zeros_like(sides[:, :1]), sides], 1)
    faces = np.arange(3 * len(cloud), dtype=np.int32).reshape(-1, 3)
    colors = np.rint((0.5 + C0 * cloud.sh[:, 0]).clip(0, 1) * 255).astype(np.uint8)
    return TriangleMesh(corners.reshape(-1, 3).astype(np.float32), faces, np.repeat(colors, 3, axis=0))
