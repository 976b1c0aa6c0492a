"""Points of a surface of equal density, seen in depth pictures, with normals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from backend.meshing.density import SplatDensity
from backend.meshing.depth_picture import UNKNOWN, DepthPicture

_NEIGHBOURS, _DEVIATIONS = 20, 20.0  # a point farther from its neighbours than so many standard deviations is stray


@dataclass(frozen=True)
class OrientedPoints:
    places: np.ndarray  # [P, 3] world units
    normals: np.ndarray  # [P, 3] unit, outward

    def __len__(self) -> int:
        return len(self.places)

    def select(self, keep: np.ndarray) -> OrientedPoints:
        return OrientedPoints(self.places[keep], self.normals[keep])


def level_points(
    picture: DepthPicture, density: SplatDensity, level: float, count: int, random: np.random.Generator
) -> OrientedPoints:
    """Up to `count` points that the picture's camera sees, in pixels chosen at random.

    The depth of a picture is a mean over splats; where the density reaches `level` along the pixel's ray is the
    surface (Guédon and Lepetit 2024, SuGaR, section 4.2). Pixels whose ray never reaches it give no point.
    """
    rows, columns = np.nonzero((picture.depth != UNKNOWN) & np.isfinite(picture.depth))
    if len(rows) > count:
        chosen = np.sort(random.choice(len(rows), count, replace=False))
        rows, columns = rows[chosen], columns[chosen]
    camera = picture.camera
    rays = np.stack([(columns + 0.5 - camera.cx) / camera.fx, (rows + 0.5 - camera.cy) / camera.fy], -1)
    rays = np.concatenate([rays, np.ones((len(rays), 1))], 1) @ camera.camera_from_world[:3, :3]
    places = camera.centre + rays * picture.depth[rows, columns].astype(np.float64)[:, None]
    ways = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    found = OrientedPoints(*density.crossings(places, ways, level))
    return found.select(np.isfinite(found.places[:, 0]))


def joined(parts: list[OrientedPoints]) -> OrientedPoints:
    return OrientedPoints(
        np.concatenate([part.places for part in parts]), np.concatenate([part.normals for part in parts])
    )


def without_stray(points: OrientedPoints) -> OrientedPoints:
    """Without points that are far from all others."""
    if len(points) <= _NEIGHBOURS:
        return points
    distances, _ = KDTree(points.places).query(points.places, k=_NEIGHBOURS + 1, workers=-1)
    mean = distances[:, 1:].mean(axis=1)
    return points.select(mean <= mean.mean() + _DEVIATIONS * mean.std())
