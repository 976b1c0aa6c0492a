"""Depth where a pixel's ray meets splats, drawn as if it were three channels of colour.

The depth of a splat's centre is the same for all its pixels, and of overlapping splats the nearer centres count more,
so that a slanted surface is drawn before where it is. Along a ray a Gaussian is densest near the plane on which the
depth of its points depends, on average, on their place in the picture (as in RaDe-GS, Zhang et al. 2024, section 4):
depth is linear in the pixel, and so is what is blended of it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backend.splats.cameras import Camera

_LOW_PASS = 0.3  # pixels^2 that drawing adds to a splat's extent; keeps planes that are seen from the side finite


def depth_planes(means: Tensor, covariances: Tensor, camera: Camera) -> Tensor:
    """Depth at the picture's middle, and by how much it grows with a pixel's column and row, [N, 3].

    means: [N, 3] from the camera's centre, world axes. covariances: [N, 3, 3], world axes.
    """
    turn = torch.tensor(camera.camera_from_world[:3, :3], dtype=means.dtype, device=means.device)
    x, y, z = (means @ turn.T).unbind(-1)
    spread = turn @ covariances @ turn.T
    onto = torch.zeros((len(means), 2, 3), dtype=means.dtype, device=means.device)  # pixels by camera axes
    if camera.orthographic:
        column, row = camera.fx * x, camera.fy * y
        onto[:, 0, 0], onto[:, 1, 1] = camera.fx, camera.fy
    else:
        far = torch.where(z.abs() > 1e-9, z, torch.full_like(z, 1e-9))
        column, row = camera.fx * x / far, camera.fy * y / far
        onto[:, 0, 0], onto[:, 0, 2] = camera.fx / far, -column / far
        onto[:, 1, 1], onto[:, 1, 2] = camera.fy / far, -row / far
    shared = onto @ spread  # [N, 2, 3]
    a, b, c = _low_passed(shared @ onto.transpose(1, 2))
    of_column, of_row = shared[:, 0, 2], shared[:, 1, 2]
    determinant = a * c - b * b
    slope_x, slope_y = (c * of_column - b * of_row) / determinant, (a * of_row - b * of_column) / determinant
    off_x, off_y = column + (camera.cx - camera.width / 2), row + (camera.cy - camera.height / 2)
    return torch.stack([z - slope_x * off_x - slope_y * off_y, slope_x, slope_y], 1)


def depth_on_rays(planes: Tensor, alpha: Tensor) -> Tensor:
    """[H, W]: the mean depth in the middle of each pixel; 0 where nothing is drawn.

    planes: [H, W, 3] sums of `depth_planes`, weighted as colours are. alpha: [H, W].
    """
    height, width = alpha.shape
    columns = torch.arange(width, device=alpha.device) + 0.5 - width / 2
    rows = torch.arange(height, device=alpha.device) + 0.5 - height / 2
    total = planes[..., 0] + planes[..., 1] * columns + planes[..., 2] * rows[:, None]
    return torch.where(alpha > 0, total / alpha.clamp(min=1e-10), torch.zeros_like(alpha))


def _low_passed(extent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return extent[:, 0, 0] + _LOW_PASS, extent[:, 0, 1], extent[:, 1, 1] + _LOW_PASS
