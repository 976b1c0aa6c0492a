"""Space where no splats may be: what was edited away does not grow back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.splats.neighbours import neighbour_distances
from backend.training.representation import Parameters

_NEIGHBOURS_ACROSS = 2.0  # a voxel is so many distances of neighbours wide, so that a surface has no holes
_MOST_VOXELS = 160  # along the longest side
_SAMPLE = 20_000  # splats whose neighbours say how dense all are
_SILENT_LOGIT = -12.0  # an opacity of 6e-6: density control takes it away, and nobody sees it until then


@dataclass(frozen=True)
class ClosedSpace:
    """Voxels in the frame of training."""

    low: Tensor  # [3] the corner where the grid begins
    size: float  # of a voxel
    closed: Tensor  # bool [X, Y, Z]

    @classmethod
    def around(cls, gone: np.ndarray, kept: np.ndarray, device: torch.device) -> ClosedSpace:
        """What the gone splats [G, 3] enclosed, without the voxels in which others [K, 3] stayed."""
        from scipy import ndimage

        gone = gone[np.isfinite(gone).all(axis=1)].astype(np.float64)
        extent = np.ptp(gone, axis=0) if len(gone) else np.zeros(3)
        sample = gone[:: max(1, len(gone) // _SAMPLE)]
        distances = neighbour_distances(sample)
        spacing = _NEIGHBOURS_ACROSS * (0.0 if distances is None else float(np.median(distances)))
        size = max(spacing, float(extent.max(initial=0)) / _MOST_VOXELS, 1e-6)
        low = (gone.min(axis=0) if len(gone) else np.zeros(3)) - 2.5 * size
        shape = np.ceil(extent / size).astype(int) + 5
        grid = np.zeros(shape, bool)
        grid[tuple(_voxels(gone, low, size).T)] = True
        grid = ndimage.binary_fill_holes(ndimage.binary_dilation(grid, np.ones((3, 3, 3), bool)))
        assert grid is not None
        inside = _voxels(kept.astype(np.float64), low, size)
        inside = inside[((inside >= 0) & (inside < shape)).all(axis=1)]
        grid[tuple(inside.T)] = False
        return cls(torch.tensor(low, dtype=torch.float32, device=device), size, torch.tensor(grid, device=device))

    def holds(self, positions: Tensor) -> Tensor:
        """bool [N]: which of these [N, 3] lie in it."""
        shape = torch.tensor(self.closed.shape, device=positions.device)
        places = ((positions - self.low) / self.size).nan_to_num(-1.0).floor()
        within = ((places >= 0) & (places < shape)).all(dim=1)
        x, y, z = torch.where(within[:, None], places, 0.0).long().unbind(-1)
        return within & self.closed[x, y, z]

    @torch.no_grad()
    def silence(self, parameters: Parameters) -> None:
        """Makes splats that came in invisible, which density control then moves away or removes."""
        came_in = self.holds(parameters["means"])
        parameters["opacities"][came_in] = parameters["opacities"][came_in].clamp(max=_SILENT_LOGIT)


def _voxels(positions: np.ndarray, low: np.ndarray, size: float) -> np.ndarray:
    positions = positions[np.isfinite(positions).all(axis=1)]
    return np.floor((positions - low) / size).clip(-1, 2**31 - 1).astype(np.int64)
