"""Points of a surface of equal density, seen in depth pictures, with normals."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import KDTree

from backend.meshing.density import SplatDensity
from backend.meshing.depth_picture import UNKNOWN, DepthPicture

_AROUND = 2.0  # pixels, standard deviation
_FEW = 1e-3  # of the pixels around; where fewer meet the level, depth stays nearly as it is
_NEIGHBOURS, _DEVIATIONS = 20, 20.0  # a point farther from its neighbours than so many standard deviations is stray


@dataclass(frozen=True)
class OrientedPoints:
    places: np.ndarray  # [P, 3] world units
    normals: np.ndarray  # [P, 3] unit, outward

    def __len__(self) -> int:
        return len(self.places)

    def select(self, keep: np.ndarray) -> OrientedPoints:
        return OrientedPoints(self.places[keep], self.normals[keep])


def on_level(picture: DepthPicture, density: SplatDensity, level: float) -> DepthPicture:
    """With the surface moved along the rays to where the density reaches `level`, as far as around it on average.

    A mean depth is smooth, but lies within the splats, and so behind the surface that thick ones show. Every second
    pixel is looked at.
    """
    rows, columns, starts, ways = _rays(picture)
    chosen = np.flatnonzero((rows + columns) % 2 == 0)
    places, _ = density.crossings(starts[chosen], ways[chosen], level)
    found = np.isfinite(places[:, 0])
    pixels = rows[chosen][found], columns[chosen][found]
    pose = picture.camera.camera_from_world
    off, count = np.zeros_like(picture.depth), np.zeros_like(picture.depth)
    off[pixels], count[pixels] = places[found] @ pose[2, :3] + pose[2, 3] - picture.depth[pixels], 1
    off, count = (gaussian_filter(values, _AROUND, mode="constant") for values in (off, count))
    depth = picture.depth.copy()
    depth[rows, columns] += off[rows, columns] / np.maximum(count[rows, columns], _FEW)
    return replace(picture, depth=depth)


def level_points(
    picture: DepthPicture, density: SplatDensity, level: float, count: int, random: np.random.Generator
) -> OrientedPoints:
    """Up to `count` points that the picture's camera sees, in pixels chosen at random.

    The depth of a picture is a mean over splats; where the density reaches `level` along the pixel's ray is the
    surface (Guédon and Lepetit 2024, SuGaR, section 4.2). Pixels whose ray never reaches it give no point.
    """
    _, _, starts, ways = _rays(picture)
    if len(starts) > count:
        chosen = np.sort(random.choice(len(starts), count, replace=False))
        starts, ways = starts[chosen], ways[chosen]
    found = OrientedPoints(*density.crossings(starts, ways, level))
    return found.select(np.isfinite(found.places[:, 0]))


def _rays(picture: DepthPicture) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows and columns [P] of pixels that show a surface, its places [P, 3], and the unit ways of the rays to them."""
    rows, columns = np.nonzero((picture.depth != UNKNOWN) & np.isfinite(picture.depth))
    camera = picture.camera
    rays = np.stack([(columns + 0.5 - camera.cx) / camera.fx, (rows + 0.5 - camera.cy) / camera.fy], -1)
    rays = np.concatenate([rays, np.ones((len(rays), 1))], 1) @ camera.camera_from_world[:3, :3]
    starts = camera.centre + rays * picture.depth[rows, columns].astype(np.float64)[:, None]
    return rows, columns, starts, rays / np.linalg.norm(rays, axis=1, keepdims=True)


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
