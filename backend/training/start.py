"""The splats training begins with: from points, or scattered where the cameras look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from backend.captures.capture import Photo, PointCloud
from backend.splats.cameras import Camera
from backend.splats.neighbours import neighbour_distances
from backend.training.frame import SceneFrame, focus_point
from shared_protocol.errors import UserError

_FEWEST_POINTS = 100  # fewer say too little about the scene: random ones join them
_SMALLEST_SCALE = 1e-5  # camera extents; coincident points would start with size 0
_LARGEST_SCALE = 0.5  # a lonely point must not start as a fog over everything
_PARALLEL_DEPTH = 8.0  # camera extents; how far to scatter when the viewing directions do not converge
_BEHIND_FOCUS = 2.0  # scatter to this multiple of the distance to what the cameras look at
_MOST_JUDGES = 32  # photos that decide whether a random position is worth a splat
_HULL_AGREEMENT = 0.95  # of the photos that see a position; masks may be wrong in a few
_ROUNDS = 6


@dataclass(frozen=True)
class StartSplats:
    """Round splats in the training frame."""

    positions: np.ndarray  # [N, 3] float32
    colors: np.ndarray  # [N, 3] float32, sRGB 0..1
    scales: np.ndarray  # [N] float32, standard deviation

    def __len__(self) -> int:
        return len(self.positions)


def start_splats(
    photos: Sequence[Photo],
    points: PointCloud | None,
    frame: SceneFrame,
    *,
    most_from_points: int,
    random_count: int,
    generator: torch.Generator,
) -> StartSplats:
    """From at most `most_from_points` points, and random positions where those are not enough.

    Photos with alpha outline what is there, so that random positions inside are nearly as good as points: they fill up
    to `random_count`. Elsewhere they would be fog, and stand in only when there are next to no points.
    """
    positions = np.zeros((0, 3), np.float32)
    colors = np.zeros((0, 3), np.float32)
    if points is not None:
        finite = np.isfinite(points.positions).all(axis=1)
        positions = frame.points(points.positions[finite])
        colors = points.colors[finite].astype(np.float32) / 255
        if len(positions) > most_from_points:
            chosen = _permutation(len(positions), generator)[:most_from_points]
            positions, colors = positions[chosen], colors[chosen]
    outlined = any(photo.alpha is not None for photo in photos)
    missing = random_count - len(positions)
    if missing > 0 and (outlined or len(positions) < min(_FEWEST_POINTS, most_from_points)):
        cameras = [frame.camera(photo.camera) for photo in photos]
        scattered, seen_colors = _scatter(photos, cameras, missing, generator)
        positions = np.concatenate([positions, scattered])
        colors = np.concatenate([colors, seen_colors])
    return StartSplats(positions, colors, start_scales(positions))


def start_scales(positions: np.ndarray) -> np.ndarray:
    """Mean distance to the nearest neighbours, within sane bounds. [N, 3] -> [N] float32"""
    distances = neighbour_distances(positions, workers=torch.get_num_threads())
    if distances is None:
        return np.full(len(positions), _LARGEST_SCALE, np.float32)
    return np.clip(distances, _SMALLEST_SCALE, _LARGEST_SCALE).astype(np.float32)


def _scatter(
    photos: Sequence[Photo], cameras: Sequence[Camera], count: int, generator: torch.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Random positions that several photos see, within the outline of what has alpha, and the mean colour there."""
    judges = np.unique(np.linspace(0, len(photos) - 1, min(_MOST_JUDGES, len(photos))).round().astype(int))
    low, high = _region(cameras)
    outlined = any(photo.alpha is not None for photo in photos)
    judging = [(photos[j], cameras[j]) for j in judges]
    positions = np.zeros((0, 3))
    for _ in range(_ROUNDS):
        candidates = low + (high - low) * _uniform((4 * count, 3), generator)
        seen, covered = _seen_and_covered(candidates, judging)
        good = seen >= min(2, len(judges))
        if outlined:
            outline = good & (covered >= _HULL_AGREEMENT * seen) & (seen >= 0.5 * len(judges))
            if outline.any():
                good = outline
                # Most of the region is empty: look for the rest only around what was found.
                margin = 0.05 * (high - low)
                low = np.maximum(low, candidates[outline].min(axis=0) - margin)
                high = np.minimum(high, candidates[outline].max(axis=0) + margin)
        positions = np.concatenate([positions, candidates[good]])
        if len(positions) >= count:
            break
    if not len(positions):
        message = "No two photos look at the same place, so there is nothing to start from."
        raise UserError("bad_input", message, "Check the camera poses, or give the capture points.")
    positions = positions[:count]
    return positions.astype(np.float32), _mean_colors(positions, judging)


def _region(cameras: Sequence[Camera]) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corner of a box around everything the cameras see up to a sensible depth, [3] each."""
    focus = focus_point(cameras)
    depth = _PARALLEL_DEPTH
    if focus is not None:
        depths = [float((focus - camera.centre) @ camera.forward) for camera in cameras]
        depth = _BEHIND_FOCUS * float(np.median([d for d in depths if d > 0]))
    corners = []
    for camera in cameras:
        columns, rows = np.meshgrid([0.0, camera.width], [0.0, camera.height])
        rays = np.stack([(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones((2, 2))], -1)
        corners.append(camera.centre + depth * rays.reshape(4, 3) @ camera.camera_from_world[:3, :3])
        corners.append(camera.centre[None])
    every = np.concatenate(corners)
    return every.min(axis=0), every.max(axis=0)


Judging = list[tuple[Photo, Camera]]


def _seen_and_covered(positions: np.ndarray, judging: Judging) -> tuple[np.ndarray, np.ndarray]:
    """How many photos have a position in their frame, and in how many its pixel is not transparent. int [P] each"""
    seen, covered = np.zeros(len(positions), np.int32), np.zeros(len(positions), np.int32)
    for photo, camera in judging:
        inside, rows, columns = _pixels(positions, camera)
        seen[inside] += 1
        covered[inside] += 1 if photo.alpha is None else photo.alpha[rows, columns] > 0
    return seen, covered


def _mean_colors(positions: np.ndarray, judging: Judging) -> np.ndarray:
    """Mean colour of each position's pixels in the photos that see it. float32 [P, 3], 0..1"""
    seen, colors = np.zeros(len(positions), np.int32), np.zeros((len(positions), 3), np.float32)
    for photo, camera in judging:
        inside, rows, columns = _pixels(positions, camera)
        seen[inside] += 1
        colors[inside] += photo.rgb[rows, columns].astype(np.float32) / 255
    return colors / np.maximum(seen, 1)[:, None]


def _pixels(positions: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which positions are in the frame, bool [P], and the rows and columns of their pixels."""
    matrix = camera.camera_from_world
    x, y, z = (positions @ matrix[:3, :3].T + matrix[:3, 3]).T
    with np.errstate(divide="ignore", invalid="ignore"):
        column = np.floor(camera.fx * x / z + camera.cx)
        row = np.floor(camera.fy * y / z + camera.cy)
    inside = (z > 0.0) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    return inside, row[inside].astype(int), column[inside].astype(int)


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> np.ndarray:
    return torch.rand(shape, generator=generator, device=generator.device).cpu().numpy().astype(np.float64)


def _permutation(count: int, generator: torch.Generator) -> np.ndarray:
    return torch.randperm(count, generator=generator, device=generator.device).cpu().numpy()
