"""A box in any place, turned and scaled as one likes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.splats.cloud import SplatCloud
from backend.splats.deformation import greatest_eigenvalues
from backend.splats.deformed_shapes import axes_of_shapes
from shared_protocol.errors import UserError

_FLATTEST = 1e-9  # of its longest axis


@dataclass(frozen=True)
class Box:
    """The cube from -1 to 1, carried into the asset's frame."""

    asset_from_box: np.ndarray  # [4, 4] affine; may scale unevenly, shear and mirror

    def __post_init__(self) -> None:
        """Raises UserError for a box without a volume."""
        linear = self.asset_from_box[:3, :3]
        if self.asset_from_box.shape != (4, 4) or not np.isfinite(self.asset_from_box).all():
            raise UserError("bad_input", "The box needs a matrix of 4 x 4 finite numbers.")
        sizes = np.linalg.svd(linear, compute_uv=False)
        if sizes[-1] <= _FLATTEST * sizes[0]:
            raise UserError(
                "bad_input", "The box is flat, so nothing is inside it.", "Give it a size along every axis."
            )

    @classmethod
    def between(cls, low: np.ndarray, high: np.ndarray) -> Box:
        """Along the axes, from the lowest to the highest corner, [3] each."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.diag((high - low) / 2)
        matrix[:3, 3] = (high + low) / 2
        return cls(matrix)

    def positions(self, points: np.ndarray) -> np.ndarray:
        """[N, 3] of the asset's frame in that of the cube, float64."""
        linear, offset = self.asset_from_box[:3, :3], self.asset_from_box[:3, 3]
        return np.linalg.solve(linear, (points.astype(np.float64) - offset).T).T

    def holds(self, points: np.ndarray) -> np.ndarray:
        """bool [N]: which of these points [N, 3] lie inside."""
        return np.abs(self.positions(points)).max(axis=1, initial=0) <= 1

    def reach(self, cloud: SplatCloud, deviations: float) -> np.ndarray:
        """How far each splat reaches along the cube's axes, so many standard deviations out, [N, 3] in cube units."""
        if deviations == 0:
            return np.zeros((len(cloud), 3))
        return deviations * np.linalg.norm(self._axes(cloud), axis=2)

    def longest_reach(self, cloud: SplatCloud, deviations: float) -> np.ndarray:
        """How far each splat reaches in whatever direction it reaches farthest, [N] in cube units."""
        if deviations == 0:
            return np.zeros(len(cloud))
        axes = self._axes(cloud)
        return deviations * np.sqrt(greatest_eigenvalues(axes @ axes.transpose(0, 2, 1)))

    def _axes(self, cloud: SplatCloud) -> np.ndarray:
        """The splats' standard deviations along their own axes, as columns in cube units, [N, 3, 3]."""
        return np.linalg.inv(self.asset_from_box[:3, :3]) @ axes_of_shapes(cloud.quats, cloud.log_scales)
