"""The shape of splats after a linear map."""

from __future__ import annotations

import numpy as np

from backend.splats.quaternions import matrices_to_quats, quats_to_matrices

_THINNEST = 1e-12  # standard deviation of a splat that was flattened


def deformed_shapes(quats: np.ndarray, log_scales: np.ndarray, jacobians: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and size of the splats whose covariance is J C J^T.

    quats: [N, 4] w, x, y, z. log_scales: [N, 3]. jacobians: [N, 3, 3]. Returns quats [N, 4] and log scales [N, 3],
    float32. From the singular values of J R diag(s): squaring would lose the thin axis of needles.
    """
    return shapes_of_axes(jacobians @ axes_of_shapes(quats, log_scales))


def axes_of_shapes(quats: np.ndarray, log_scales: np.ndarray) -> np.ndarray:
    """R diag(s): the standard deviations along a splat's own axes, as columns. [N, 4], [N, 3] -> [N, 3, 3] float64."""
    return quats_to_matrices(quats) * np.exp(log_scales.astype(np.float64))[:, None, :]


def shapes_of_axes(axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and size of the splats whose covariance is A A^T: [N, 3, 3] -> quats [N, 4], log scales [N, 3]."""
    left, scales, _ = np.linalg.svd(axes)
    left[..., :, 2] *= np.sign(np.linalg.det(left))[..., None]
    log = np.log(np.maximum(scales, _THINNEST))
    return matrices_to_quats(left).astype(np.float32), log.astype(np.float32)
