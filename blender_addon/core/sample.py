"""A few splats that stand for all: where they are, and what is typical of them."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from ..protocol import messages, things

MOST = 4000  # splats: enough to snap to a shape wherever it is looked at, at most 1 MB on the way
_QUANTILES = (0.05, 0.5, 0.95)

Spread = tuple[float, float, float]  # of twenty splats one lies below the first and one above the last


class Sample(msgspec.Struct, frozen=True):
    """points: [P, 3] float32, centres in the asset's frame. sizes: mean standard deviations, world units."""

    version: str
    points: npt.NDArray[np.float32]
    sh_degree: int
    opacities: Spread
    sizes: Spread


def of(version: str, splats: messages.Splats) -> Sample:
    opacities = 1 / (1 + np.exp(-splats.opacity_logits.astype(np.float64)))
    sizes = np.exp(splats.log_scales.astype(np.float64).mean(axis=1))
    return Sample(
        version=version,
        points=np.asarray(splats.means, np.float32),
        sh_degree=round(splats.sh.shape[1] ** 0.5) - 1,
        opacities=_spread(opacities),
        sizes=_spread(sizes),
    )


def points_within(sample: Sample | None, bounds: things.Bounds | None) -> npt.NDArray[np.float32]:
    """The points that lie in the box, [P, 3]: a stray one must not make the object larger than its splats are."""
    if sample is None or bounds is None:
        return np.zeros((0, 3), np.float32)
    low, high = np.reshape(np.asarray(bounds, np.float32), (2, 3))
    return sample.points[((sample.points >= low) & (sample.points <= high)).all(axis=1)]


def _spread(values: npt.NDArray[np.float64]) -> Spread:
    if not len(values):
        return (0.0, 0.0, 0.0)
    low, middle, high = np.quantile(values, _QUANTILES)
    return (float(low), float(middle), float(high))
