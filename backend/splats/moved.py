"""Moves whole clouds: positions, shapes and view-dependent colours together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backend.splats.cloud import SplatCloud
from backend.splats.deformed_shapes import deformed_shapes
from backend.splats.quaternions import matrices_to_quats
from backend.splats.sh_rotation import turn_all_sh
from shared_protocol.errors import UserError

_ALIKE = 1e-6  # how far a map's stretches may differ to count as one scale
_CHUNK = 65_536  # splats at a time, which bounds the memory


def turned_cloud(cloud: SplatCloud, rotation: np.ndarray) -> SplatCloud:
    """The cloud turned, or mirrored, around the origin by an orthogonal matrix [3, 3].

    A splat looks the same from both sides, so a mirrored one is one turned by the matrix's negative.
    """
    rotation = np.asarray(rotation, np.float64)
    if np.array_equal(rotation, np.eye(3)):
        return cloud
    (turn,) = matrices_to_quats(np.sign(np.linalg.det(rotation)) * rotation[None])
    return SplatCloud(
        cloud.means @ rotation.T.astype(np.float32),
        cloud.quats @ _left_multiplication(turn).T.astype(np.float32),
        cloud.log_scales,
        cloud.opacity_logits,
        turn_all_sh(cloud.sh, rotation),
    )


def moved_cloud(cloud: SplatCloud, matrix: np.ndarray) -> SplatCloud:
    """The cloud under an affine map, [4, 4] row after row.

    Rotation, mirroring, one scale for all axes and translation are exact. Under any other map each splat's covariance
    C becomes J C J^T, and colours follow the nearest orthogonal matrix (polar decomposition).
    Raises UserError when the map holds a number that is not finite, or flattens.
    """
    matrix = np.asarray(matrix, np.float64)
    linear, shift = matrix[:3, :3], matrix[:3, 3]
    if not np.isfinite(matrix).all() or not np.array_equal(matrix[3], (0, 0, 0, 1)):
        raise UserError("bad_input", "A transformation needs finite numbers and the last row 0 0 0 1.")
    left, stretches, right = np.linalg.svd(linear)
    if not stretches[-1] > 1e-9 * stretches[0]:
        raise UserError("bad_input", "The transformation flattens the splats.", "Give no axis the scale 0.")
    shift = shift.astype(np.float32)
    if stretches[0] - stretches[-1] <= _ALIKE * stretches[0]:
        scale = float(stretches.mean())
        turned = turned_cloud(cloud, linear / scale)
        log_scales = cloud.log_scales + np.float32(np.log(scale))
        return replace(turned, means=turned.means * np.float32(scale) + shift, log_scales=log_scales)
    parts = [slice(start, start + _CHUNK) for start in range(0, max(1, len(cloud)), _CHUNK)]
    shapes = [deformed_shapes(cloud.quats[part], cloud.log_scales[part], linear[None]) for part in parts]
    quats, log_scales = (np.concatenate(pieces) for pieces in zip(*shapes, strict=True))
    means = cloud.means @ linear.T.astype(np.float32) + shift
    return SplatCloud(means, quats, log_scales, cloud.opacity_logits, turn_all_sh(cloud.sh, left @ right))


def _left_multiplication(quat: np.ndarray) -> np.ndarray:
    """[4, 4]: the matrix that multiplies a quaternion w, x, y, z from the left by this one."""
    w, x, y, z = quat
    return np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
