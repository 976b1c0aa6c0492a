"""Splats by where they are, by their colour, and by any of their numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from backend.selection.on_screen import carried
from backend.splats.cloud import SplatCloud
from shared_protocol.errors import UserError

_SH_OF_COLOR = 0.28209479177387814  # of the constant band: colour = 0.5 + this * coefficient


def in_box(means: np.ndarray, asset_from_box: np.ndarray) -> np.ndarray:
    """bool [N]: centres within what a matrix [4, 4] makes of the cube from -1 to 1."""
    near = np.abs(carried(means, np.linalg.inv(asset_from_box))) <= 1
    return near[:, 0] & near[:, 1] & near[:, 2]


def in_sphere(means: np.ndarray, asset_from_sphere: np.ndarray) -> np.ndarray:
    """bool [N]: centres within what a matrix [4, 4] makes of the ball of radius 1."""
    moved = carried(means, np.linalg.inv(asset_from_sphere))
    return np.einsum("nc,nc->n", moved, moved) <= 1


def base_colors(cloud: SplatCloud) -> np.ndarray:
    """sRGB of each splat without what depends on the view, [N, 3] float32, at most 0..1."""
    return (np.float32(0.5) + np.float32(_SH_OF_COLOR) * cloud.sh[:, 0]).clip(0, 1)


def of_color(cloud: SplatCloud, rgb: tuple[float, float, float], tolerance: float) -> np.ndarray:
    """bool [N]: base colours no farther than this from one, as distance of sRGB values."""
    off = base_colors(cloud) - np.array(rgb, np.float32)
    return np.einsum("nc,nc->n", off, off) <= np.float32(tolerance * tolerance)


def values_of(cloud: SplatCloud, attribute: str) -> np.ndarray:
    """[N] float32: a number of each splat, by its name in `selecting.Attribute`.

    Raises UserError for what a cloud alone does not tell.
    """
    if attribute not in _VALUES:
        raise UserError("unsupported", f"The {attribute} of splats is known in their own version only.")
    return _VALUES[attribute](cloud)


def in_range(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """bool [N], both ends included."""
    return (values >= low) & (values <= high)


def _opacity(cloud: SplatCloud) -> np.ndarray:
    return 1 / (1 + np.exp(-cloud.opacity_logits))


def _size(cloud: SplatCloud) -> np.ndarray:
    return np.exp(cloud.log_scales.max(axis=1))


def _elongation(cloud: SplatCloud) -> np.ndarray:
    ordered = np.sort(cloud.log_scales, axis=1)  # a disc is not long: its two long radii are compared
    return np.exp(ordered[:, 2] - ordered[:, 1])


def _distance(cloud: SplatCloud) -> np.ndarray:
    return np.linalg.norm(cloud.means - np.median(cloud.means, axis=0), axis=1)


def _sh_energy(cloud: SplatCloud) -> np.ndarray:
    return np.sqrt(np.square(cloud.sh[:, 1:]).sum(axis=(1, 2)))


_VALUES: dict[str, Callable[[SplatCloud], np.ndarray]] = {
    "opacity": _opacity,
    "size": _size,
    "elongation": _elongation,
    "distance": _distance,
    "sh_energy": _sh_energy,
    "x": lambda cloud: np.ascontiguousarray(cloud.means[:, 0]),
    "y": lambda cloud: np.ascontiguousarray(cloud.means[:, 1]),
    "z": lambda cloud: np.ascontiguousarray(cloud.means[:, 2]),
}
