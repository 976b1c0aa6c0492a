"""How dense splats are at a place, and where a ray first meets the surface of a given density."""

from __future__ import annotations

import math

import numba
import numpy as np
from scipy.spatial import KDTree

from backend.splats.cloud import SplatCloud
from backend.splats.deformed_shapes import axes_of_shapes
from backend.splats.kernels import parallel_kernel, serial_kernel

NEIGHBOURS = 16  # splats that the density of a place is summed over, as in SuGaR
_FAINT = 0.01  # splats of less opacity make no surface
_REACH = 6.0  # standard deviations along a ray, from so many before a splat to as many behind it
_INTERVALS = 40
_HALVINGS = 8  # of an interval, until the crossing in it is said
_FLATTEST = 1e-3  # of a splat's largest axis: a flatter one counts as this thick


class SplatDensity:
    """Opacity times Gaussian, summed over the nearest splats (Guédon and Lepetit 2024, SuGaR, equation 2)."""

    def __init__(self, cloud: SplatCloud) -> None:
        opacities = 1 / (1 + np.exp(-cloud.opacity_logits.astype(np.float64)))
        chosen = cloud.finite() & (opacities > _FAINT)
        cloud = cloud.select(chosen)
        self._opacities, self._means = opacities[chosen], cloud.means.astype(np.float64)
        axes = axes_of_shapes(cloud.quats, cloud.log_scales)  # [N, 3, 3]
        lengths = np.maximum(np.linalg.norm(axes, axis=1), 1e-30)  # [N, 3]
        thick = np.maximum(lengths, _FLATTEST * lengths.max(axis=1, keepdims=True, initial=0))
        turns = axes / lengths[:, None, :]
        self._axes = turns * thick[:, None, :]
        self._inverse = np.ascontiguousarray((turns / thick[:, None, :]).transpose(0, 2, 1))  # whitens: S^-1 R^T
        self._tree = KDTree(self._means)

    def __len__(self) -> int:
        return len(self._means)

    def at(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Density [P] and its gradient [P, 3] at points [P, 3]."""
        density, gradient = np.empty(len(points)), np.empty((len(points), 3))
        places = np.ascontiguousarray(points, np.float64)
        _densities(places, self._near(places)[0], self._means, self._inverse, self._opacities, density, gradient)
        return density, gradient

    def crossings(self, points: np.ndarray, directions: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Where rays come from below the level to above it, near given points, and the outward normals there.

        points, directions: [P, 3]; unit directions, in which the rays go through the points. The search reaches six
        times as far from its point as the nearest splat is thick along the ray. Returns places [P, 3], NaN for rays
        that begin above the level or never reach it, and unit normals [P, 3], against the density's gradient.
        """
        places, gradients = np.full(points.shape, np.nan), np.zeros(points.shape)
        if not len(self) or not len(points):
            return places, gradients
        starts, ways = np.ascontiguousarray(points, np.float64), np.ascontiguousarray(directions, np.float64)
        near, nearest = self._near(starts)
        thickness = np.linalg.norm(np.einsum("pij,pi->pj", self._axes[nearest], ways), axis=1)
        splats = (self._means, self._inverse, self._opacities)
        _cross(starts, ways, _REACH * thickness, near, *splats, level, places, gradients)
        return places, -gradients / np.maximum(np.linalg.norm(gradients, axis=1, keepdims=True), 1e-30)

    def _near(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The splats around each point, int32 [P, 16 or fewer], and the nearest of them [P]."""
        _, found = self._tree.query(points, k=min(NEIGHBOURS, len(self)), workers=-1)
        found = found.reshape(len(points), -1).astype(np.int32)
        return found, found[:, 0]


@serial_kernel
def _density(place, near, means, inverse, opacities, gradient):  # type: ignore[no-untyped-def]
    """Writes the gradient and returns the density."""
    total = 0.0
    gradient[:] = 0.0
    for number in near:
        x, y, z = place[0] - means[number, 0], place[1] - means[number, 1], place[2] - means[number, 2]
        turn = inverse[number]
        a = turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] * z
        b = turn[1, 0] * x + turn[1, 1] * y + turn[1, 2] * z
        c = turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z
        share = opacities[number] * math.exp(-0.5 * (a * a + b * b + c * c))
        total += share
        for axis in range(3):
            gradient[axis] -= share * (turn[0, axis] * a + turn[1, axis] * b + turn[2, axis] * c)
    return total


@parallel_kernel
def _densities(points, near, means, inverse, opacities, density, gradient):  # type: ignore[no-untyped-def]
    for point in numba.prange(len(points)):  # type: ignore[attr-defined]
        density[point] = _density(points[point], near[point], means, inverse, opacities, gradient[point])


@parallel_kernel
def _cross(points, ways, reach, near, means, inverse, opacities, level, places, gradients):  # type: ignore[no-untyped-def]
    for ray in numba.prange(len(points)):  # type: ignore[attr-defined]
        place, slope = np.empty(3), np.empty(3)
        step = 2.0 * reach[ray] / _INTERVALS
        before = -reach[ray]
        for number in range(_INTERVALS + 1):
            along = number * step - reach[ray]
            for axis in range(3):
                place[axis] = points[ray, axis] + along * ways[ray, axis]
            if _density(place, near[ray], means, inverse, opacities, slope) >= level:
                if number == 0:
                    break  # the ray begins inside
                behind = along
                for _ in range(_HALVINGS):
                    middle = 0.5 * (before + behind)
                    for axis in range(3):
                        place[axis] = points[ray, axis] + middle * ways[ray, axis]
                    if _density(place, near[ray], means, inverse, opacities, slope) >= level:
                        behind = middle
                    else:
                        before = middle
                for axis in range(3):
                    places[ray, axis] = points[ray, axis] + 0.5 * (before + behind) * ways[ray, axis]
                _density(places[ray], near[ray], means, inverse, opacities, gradients[ray])
                break
            before = along
