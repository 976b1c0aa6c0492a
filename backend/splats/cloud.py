"""The splat cloud that files, edits and renders agree on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shared_protocol.errors import UserError

SH_COEFFICIENTS = (1, 4, 9, 16, 25)  # of degree 0..4


@dataclass(frozen=True)
class SplatCloud:
    """N anisotropic 3D Gaussians with view-dependent colour, before activation, float32.

    Source: Kerbl et al. 2023, "3D Gaussian Splatting for Real-Time Radiance Field Rendering".
    """

    means: np.ndarray  # [N, 3] world units
    quats: np.ndarray  # [N, 4] w, x, y, z; need not be unit length
    log_scales: np.ndarray  # [N, 3] natural logarithm of the standard deviation
    opacity_logits: np.ndarray  # [N]
    sh: np.ndarray  # [N, K, 3] spherical harmonics, K = (degree + 1)^2; colour = sum + 0.5

    def __post_init__(self) -> None:
        n = len(self.means)
        shapes = {
            "means": (n, 3),
            "quats": (n, 4),
            "log_scales": (n, 3),
            "opacity_logits": (n,),
        }
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != np.float32:
                raise ValueError(f"{name} must be float32 {shape}, got {array.dtype} {array.shape}")
        if (
            self.sh.ndim != 3
            or self.sh.shape[0] != n
            or self.sh.shape[1] not in SH_COEFFICIENTS
            or self.sh.shape[2] != 3
        ):
            raise ValueError(f"sh must be [{n}, 1|4|9|16|25, 3], got {self.sh.shape}")
        if self.sh.dtype != np.float32:
            raise ValueError(f"sh must be float32, got {self.sh.dtype}")

    def __len__(self) -> int:
        return len(self.means)

    @property
    def sh_degree(self) -> int:
        return SH_COEFFICIENTS.index(self.sh.shape[1])

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest corner of the means, [3] each."""
        if len(self) == 0:
            raise UserError("bad_input", "The cloud holds no splats.")
        return self.means.min(axis=0), self.means.max(axis=0)

    def finite(self) -> np.ndarray:
        """bool [N]: every value of the splat is a finite number."""
        arrays = (self.means, self.quats, self.log_scales, self.opacity_logits, self.sh)
        return np.logical_and.reduce([np.isfinite(a).all(axis=tuple(range(1, a.ndim))) for a in arrays])

    def select(self, keep: np.ndarray) -> SplatCloud:
        """The splats chosen by a bool mask or an index array, in that order."""
        rows = np.flatnonzero(keep) if keep.dtype == bool else keep
        arrays = (self.means, self.quats, self.log_scales, self.opacity_logits, self.sh)
        return SplatCloud(*(array.take(rows, axis=0) for array in arrays))  # twice as fast as array[rows]
