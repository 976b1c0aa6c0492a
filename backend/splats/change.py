"""The same change of many splats: moved, coloured, fainter or smaller, said in few numbers.

An edit of a million splats is then stored as what was done, and not as what came out (backend/store/delta.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from backend.splats.cloud import SH_COEFFICIENTS, SplatCloud
from backend.splats.moved import moved_cloud
from backend.splats.sh_basis import C0

# Opacities that an edit leaves stay off 0 and 1, whose logits are infinite.
_LEAST_OPACITY, _MOST_OPACITY = 1e-6, 1 - 1e-6
_TOE = 1 / 255  # of colours; below, a power is replaced by a straight line, because its slope has no bound


@dataclass(frozen=True)
class ColorChange:
    """c -> (A c + b)^power for sRGB colours c, whatever the direction that they are seen from.

    The affine part is exact. The power is that of the mean colour of a splat, and the colours around it follow its
    slope there, so that a highlight stays one; below 1/255 the power is a straight line through 0.
    """

    matrix: np.ndarray  # [3, 4] float64: A and b, for sRGB 0..1
    power: float = 1.0

    def apply(self, sh: np.ndarray) -> np.ndarray:
        """[N, K, 3] float32 -> the same shape."""
        mixing, shift = self.matrix[:, :3], self.matrix[:, 3]
        changed = sh @ mixing.T.astype(np.float32)
        # A (0.5 + x) + b = 0.5 + A x + (A 0.5 + b - 0.5)
        changed[:, 0] += ((mixing @ np.full(3, 0.5) + shift - 0.5) / C0).astype(np.float32)
        if self.power != 1:
            mean = 0.5 + C0 * changed[:, 0].astype(np.float64)
            above = np.maximum(mean, _TOE)
            slope = np.where(mean > _TOE, self.power * above ** (self.power - 1), _TOE ** (self.power - 1))
            curved = np.where(mean > _TOE, above**self.power, slope * mean)
            changed *= slope[:, None, :].astype(np.float32)
            changed[:, 0] = ((curved - 0.5) / C0).astype(np.float32)
        return changed


@dataclass(frozen=True)
class SplatChange:
    """What is done to the chosen splats; None = nothing of the kind."""

    chosen: np.ndarray | None = None  # bool [N]; None = all
    matrix: np.ndarray | None = None  # [4, 4] float64, an affine map of the cloud's frame, as for `moved_cloud`
    color: ColorChange | None = None
    opacity: tuple[float, float] | None = None  # a factor and what is added, of opacities 0..1
    size: tuple[float, float, float] | None = None  # a factor, and the least and most standard deviation, world units
    sh_degree: int | None = None  # coefficients above it become 0; there are as many as before

    def apply(self, cloud: SplatCloud) -> SplatCloud:
        """Raises UserError for a map that flattens or is not finite."""
        if self.chosen is None or self.chosen.all():
            return self._applied(cloud)
        rows = np.flatnonzero(self.chosen)
        part = self._applied(cloud.select(rows))
        fields: dict[str, np.ndarray] = {}
        for name in self._touched():
            fields[name] = getattr(cloud, name).copy()
            fields[name][rows] = getattr(part, name)
        return replace(cloud, **fields)

    def _touched(self) -> set[str]:
        """The cloud's fields that may change."""
        fields = {"means", "quats", "log_scales", "sh"} if self.matrix is not None else set[str]()
        fields |= {"sh"} if self.color is not None or self.sh_degree is not None else set()
        fields |= {"opacity_logits"} if self.opacity is not None else set()
        return fields | ({"log_scales"} if self.size is not None else set())

    def _applied(self, cloud: SplatCloud) -> SplatCloud:
        if self.matrix is not None:
            cloud = moved_cloud(cloud, self.matrix)
        if self.color is not None:
            cloud = replace(cloud, sh=self.color.apply(cloud.sh))
        if self.sh_degree is not None:
            sh = cloud.sh.copy()
            sh[:, SH_COEFFICIENTS[self.sh_degree] :] = 0
            cloud = replace(cloud, sh=sh)
        if self.opacity is not None:
            factor, shift = self.opacity
            opacities = 1 / (1 + np.exp(-cloud.opacity_logits.astype(np.float64)))
            opacities = (factor * opacities + shift).clip(_LEAST_OPACITY, _MOST_OPACITY)
            cloud = replace(cloud, opacity_logits=np.log(opacities / (1 - opacities)).astype(np.float32))
        if self.size is not None:
            factor, least, most = self.size
            with np.errstate(divide="ignore"):
                log_factor, low, high = np.log([factor, least, most])
            scales = (cloud.log_scales.astype(np.float64) + log_factor).clip(low, high)
            cloud = replace(cloud, log_scales=scales.astype(np.float32))
        return cloud

    def to_arrays(self) -> dict[str, np.ndarray]:
        """As arrays by name, to be stored."""
        arrays: dict[str, np.ndarray] = {}
        if self.chosen is not None:
            arrays["chosen"] = np.packbits(self.chosen)
        if self.matrix is not None:
            arrays["matrix"] = np.array(self.matrix, np.float64)
        if self.color is not None:
            arrays["color"] = np.array([*self.color.matrix.ravel(), self.color.power], np.float64)
        if self.sh_degree is not None:
            arrays["sh_degree"] = np.array([self.sh_degree], np.int64)
        for name in ("opacity", "size"):
            if getattr(self, name) is not None:
                arrays[name] = np.array(getattr(self, name), np.float64)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], count: int) -> SplatChange:
        """count: of the splats that it is for. Raises ValueError for what is no change."""
        chosen, matrix, color = arrays.get("chosen"), arrays.get("matrix"), arrays.get("color")
        if chosen is not None and chosen.shape != (-(-count // 8),):
            raise ValueError(f"the choice must be one bit for each of {count} splats")
        if matrix is not None and matrix.shape != (4, 4):
            raise ValueError("a map must be [4, 4]")
        if color is not None and color.shape != (13,):
            raise ValueError("a change of colours must be 13 numbers")
        degree = arrays.get("sh_degree")
        if degree is not None and (degree.shape != (1,) or degree[0] not in range(len(SH_COEFFICIENTS))):
            raise ValueError("an SH degree must be a number from 0 to 4")
        opacity, size = arrays.get("opacity", np.zeros(2)), arrays.get("size", np.zeros(3))
        if opacity.shape != (2,) or size.shape != (3,):
            raise ValueError("a change of opacity must be two numbers, and one of size three")
        return cls(
            None if chosen is None else np.unpackbits(chosen, count=count).astype(bool),
            matrix,
            None if color is None else ColorChange(color[:12].reshape(3, 4), float(color[12])),
            (float(opacity[0]), float(opacity[1])) if "opacity" in arrays else None,
            (float(size[0]), float(size[1]), float(size[2])) if "size" in arrays else None,
            None if degree is None else int(degree[0]),
        )
