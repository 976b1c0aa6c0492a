"""Finds points to start from in a capture that has poses but no points."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap

from backend.captures.capture import Capture, MaskUse, Photo, PointCloud
from backend.captures.epipolar_matching import match_along_epipolar_lines
from backend.captures.feature_database import write_features, write_matches
from backend.captures.features import Features, find_features
from backend.captures.masks import choose_mask_use
from backend.captures.photos import read_photos
from backend.captures.threads import Progress, in_threads
from backend.splats.cameras import Camera

FEWEST_POINTS = 100
_MOST_VIEWS = 240
_PIXELS_IN_ALL = 40_000_000
_PIXELS_OF_A_PHOTO = (160_000, 1_000_000)
_MOST_FEATURES = 6000
_NEIGHBOURS = 20  # photos that a photo is matched with
_WIDEST_TURN = 75.0  # degrees between the viewing directions of photos that are matched
_FEWEST_MATCHES = 15
_LARGEST_ERROR = 2.0  # pixels
_LARGEST_ERROR_OF_THREE = 1.0  # of points that only three photos see


def triangulate_points(
    capture: Capture,
    *,
    folder: Path | None = None,
    masks: MaskUse | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> PointCloud | None:
    """Points of the scene from the training photos and their poses, which stay as they are; world frame.

    folder: where a temporary folder is made and taken away again. masks: None = as `choose_mask_use` says.
    Returns None where fewer than `FEWEST_POINTS` come out, as on smooth synthetic objects.
    """
    count = min(len(capture.train_views), _MOST_VIEWS)
    views = [capture.train_views[i * len(capture.train_views) // count] for i in range(count)]
    smallest, largest = _PIXELS_OF_A_PHOTO
    max_pixels = min(largest, max(smallest, _PIXELS_IN_ALL // count))
    use = choose_mask_use(replace(capture, test_views=()))[0] if masks is None else masks
    photos = read_photos(views, max_pixels=max_pixels, masks=use)
    cameras = [photo.camera for photo in photos]
    pairs = _neighbours(cameras)
    progress = Progress(count + len(pairs) + 1, on_progress)
    features = in_threads(_features_of, photos, after_each=progress.step)

    def match(pair: tuple[int, int]) -> tuple[int, int, np.ndarray]:
        i, j = pair
        return i, j, match_along_epipolar_lines(features[i], cameras[i], features[j], cameras[j])

    matches = in_threads(match, pairs, after_each=progress.step)
    matches = [match for match in matches if len(match[2]) >= _FEWEST_MATCHES]
    model = _triangulate(cameras, features, matches, folder) if matches else None
    points = _points_of(model, photos) if model is not None else None
    progress.finish()
    return points


def _features_of(photo: Photo) -> Features:
    inside = photo.alpha if photo.alpha is not None else photo.weight
    rgb = photo.rgb
    if photo.alpha is not None:  # on grey, so that neither dark nor bright objects get a false rim
        share = photo.alpha[..., None] / np.float32(255)
        rgb = np.rint(rgb * share + 128 * (1 - share)).astype(np.uint8)
    return find_features(rgb, inside, at_most=_MOST_FEATURES)


def _neighbours(cameras: list[Camera]) -> list[tuple[int, int]]:
    """Pairs of photos that probably show the same things: near each other and looking the same way."""
    centres = np.array([camera.centre for camera in cameras])
    forward = np.array([camera.forward for camera in cameras])
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=-1)
    turns = np.degrees(np.arccos((forward @ forward.T).clip(-1, 1)))
    cost = distances / max(float(np.median(distances)), 1e-12) + turns / 45.0
    cost[turns > _WIDEST_TURN] = np.inf
    np.fill_diagonal(cost, np.inf)
    nearest = np.argsort(cost, axis=1, kind="stable")[:, :_NEIGHBOURS]
    return sorted(
        {(min(i, j), max(i, j)) for i, row in enumerate(nearest.tolist()) for j in row if cost[i, j] < np.inf}
    )


def _triangulate(
    cameras: list[Camera],
    features: list[Features],
    matches: list[tuple[int, int, np.ndarray]],
    folder: Path | None,
) -> pycolmap.Reconstruction:
    names = [f"{i:06d}" for i in range(len(cameras))]
    lenses = [
        pycolmap.Camera(camera_id=i, model="PINHOLE", width=c.width, height=c.height, params=[c.fx, c.fy, c.cx, c.cy])
        for i, c in enumerate(cameras, start=1)
    ]
    posed = pycolmap.Reconstruction()
    for i, (name, lens, camera) in enumerate(zip(names, lenses, cameras, strict=True), start=1):
        posed.add_camera_with_trivial_rig(lens)
        image = pycolmap.Image(name=name, camera_id=i, image_id=i, keypoints=features[i - 1].keypoints[:, :2])
        posed.add_image_with_trivial_frame(image, pycolmap.Rigid3d(camera.camera_from_world[:3]))

    options = pycolmap.IncrementalPipelineOptions(random_seed=0, num_threads=1, extract_colors=False)
    options.mapper.filter_max_reproj_error = _LARGEST_ERROR
    options.mapper.random_seed = options.triangulation.random_seed = 0
    with tempfile.TemporaryDirectory(prefix="splatwright-points-", dir=folder) as temporary:
        database = Path(temporary) / "features.db"
        write_features(database, names, lenses, features)
        write_matches(database, matches)
        return pycolmap.triangulate_points(posed, database, temporary, temporary, options=options)


def _points_of(model: pycolmap.Reconstruction, photos: list[Photo]) -> PointCloud | None:
    """Points that at least three photos agree on: two agree by chance anywhere along the epipolar line."""
    positions, colors = [], []
    for _, point in sorted(model.points3D.items()):
        seen = [(e.image_id, e.point2D_idx) for e in point.track.elements]
        largest = _LARGEST_ERROR if len(seen) > 3 else _LARGEST_ERROR_OF_THREE
        if len(seen) < 3 or not point.error <= largest or not np.isfinite(point.xyz).all():
            continue
        samples = [_color_at(photos[i - 1], model.image(i).point2D(k).xy) for i, k in seen]
        positions.append(point.xyz)
        colors.append(np.mean(samples, axis=0))
    if len(positions) < FEWEST_POINTS:
        return None
    return PointCloud(np.array(positions, np.float32), np.rint(colors).astype(np.uint8))


def _color_at(photo: Photo, pixel: np.ndarray) -> np.ndarray:
    height, width = photo.rgb.shape[:2]
    return photo.rgb[min(max(int(pixel[1]), 0), height - 1), min(max(int(pixel[0]), 0), width - 1)]
