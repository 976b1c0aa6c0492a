"""Starting points from known poses."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.captures import Capture, load_capture, make_capture, triangulate_points
from backend.captures.epipolar_matching import match_along_epipolar_lines
from backend.captures.features import Features, find_features
from backend.splats.cameras import Camera
from tests.unit.captures.made_scene import distance_to_surface


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return load_capture(make_capture(tmp_path_factory.mktemp("made"), views=18, width=240, height=160, arc=120.0))


def test_points_lie_on_the_surfaces_and_have_their_colors(made: Capture, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    points = triangulate_points(made, folder=tmp_path, on_progress=lambda done, total: told.append((done, total)))
    assert points is not None and len(points.positions) > 300
    assert points.positions.dtype == np.float32 and points.colors.dtype == np.uint8
    distance = distance_to_surface(points.positions)
    assert np.median(distance) < 0.02 and np.quantile(distance, 0.95) < 0.12
    assert told[-1][0] == told[-1][1] and [done for done, _ in told] == sorted({done for done, _ in told})
    assert list(tmp_path.iterdir()) == []

    # The point's colour is close to that of the photos around it.
    view = made.train_views[8]
    seen = points.positions @ view.camera.camera_from_world[:3, :3].T + view.camera.camera_from_world[:3, 3]
    column = (seen[:, 0] / seen[:, 2] * view.camera.fx + view.camera.cx).astype(int).clip(0, 239)
    row = (seen[:, 1] / seen[:, 2] * view.camera.fy + view.camera.cy).astype(int).clip(0, 159)
    photo = np.asarray(Image.open(view.image_path)).astype(float)
    assert np.median(np.abs(photo[row, column] - points.colors).max(axis=1)) < 40


def test_the_same_points_every_time(made: Capture) -> None:
    first, second = triangulate_points(made), triangulate_points(made)
    assert first is not None and second is not None
    np.testing.assert_array_equal(first.positions, second.positions)
    np.testing.assert_array_equal(first.colors, second.colors)


def test_held_out_views_are_not_looked_at(made: Capture, tmp_path: Path) -> None:
    gone = tuple(replace(view, image_path=tmp_path / "gone.png") for view in made.test_views)
    assert triangulate_points(replace(made, test_views=gone)) is not None


def test_smooth_photos_give_no_points(made: Capture, tmp_path: Path) -> None:
    Image.new("RGB", (240, 160), (120, 130, 140)).save(tmp_path / "smooth.png")
    views = tuple(replace(view, image_path=tmp_path / "smooth.png") for view in made.train_views)
    assert triangulate_points(replace(made, train_views=views)) is None


def test_nothing_outside_the_masks_becomes_a_point(made: Capture, tmp_path: Path) -> None:
    folder = tmp_path / "masked"
    shutil.copytree(made.folder, folder)
    capture = load_capture(folder)
    (folder / "masks").mkdir()
    for view in capture.views:
        camera = view.camera
        u, v = np.meshgrid(np.arange(240) + 0.5, np.arange(160) + 0.5)
        rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)], axis=-1)
        rays = (rays / np.linalg.norm(rays, axis=-1, keepdims=True)) @ camera.camera_from_world[:3, :3]
        to_ball = np.array([0.0, 0.0, 0.7]) - camera.centre
        along = rays @ to_ball
        inside = np.linalg.norm(to_ball - along[..., None] * rays, axis=-1) < 0.75
        Image.fromarray((inside * 255).astype(np.uint8)).save(folder / f"masks/{view.image_path.name}")
    points = triangulate_points(load_capture(folder), masks="segment")
    everything = triangulate_points(load_capture(folder), masks="off")
    assert everything is not None
    close = 0 if points is None else (np.linalg.norm(points.positions - (0, 0, 0.7), axis=1) < 0.9).mean()
    assert points is None or close > 0.9
    assert (np.linalg.norm(everything.positions - (0, 0, 0.7), axis=1) < 0.9).mean() < 0.5


def test_points_stay_in_place_when_the_photos_are_distorted_and_turned(made: Capture, tmp_path: Path) -> None:
    """The same photos stored lying on the side with Orientation=6 describe the same points."""
    (tmp_path / "images").mkdir()
    content = json.loads((made.folder / "transforms.json").read_text())
    for view in made.views:
        exif = Image.Exif()
        exif[0x0112] = 6
        turned = Image.open(view.image_path).transpose(Image.Transpose.ROTATE_90)
        turned.save(tmp_path / "images" / view.image_path.name, exif=exif)
    (tmp_path / "transforms.json").write_text(json.dumps(content))
    capture = load_capture(tmp_path)
    assert all(view.turn_by_exif for view in capture.views)
    points, expected = triangulate_points(capture), triangulate_points(made)
    assert points is not None and expected is not None
    np.testing.assert_array_equal(points.positions, expected.positions)


def looking_at(centre: tuple[float, float, float], target: tuple[float, float, float]) -> Camera:
    forward = np.subtract(target, centre)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, (0.02, 0.01, 1.0))
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :4] = np.stack([right, np.cross(forward, right), forward, centre], axis=1)
    return Camera(np.linalg.inv(pose), 300.0, 310.0, 210.0, 140.0, 400, 300)


CAMERAS = [
    (looking_at((4, 0, 1), (0, 0, 0)), looking_at((3.5, 1.5, 1.2), (0, 0, 0))),
    (
        looking_at((5, 0, 0.5), (0, 0, 0)),
        looking_at((4, 0.1, 0.4), (0, 0, 0)),
    ),  # forward: the epipole is in the picture
    (looking_at((0, 4, 0), (0, 0, 0)), looking_at((0, 4, 1), (0, 0, 0))),
    (looking_at((-3, -3, 0.2), (0, 0, 0)), looking_at((-3.5, -2, 0.2), (0, 0, 0))),
]


def seen_by(camera: Camera, points: np.ndarray, descriptors: np.ndarray, generator: np.random.Generator) -> Features:
    inside = points @ camera.camera_from_world[:3, :3].T + camera.camera_from_world[:3, 3]
    pixels = inside[:, :2] / inside[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    pixels += generator.normal(scale=0.2, size=pixels.shape)
    noisy = (descriptors + generator.normal(scale=2.0, size=descriptors.shape)).clip(0, 255)
    keypoints = np.concatenate([pixels, np.ones_like(pixels)], axis=1).astype(np.float32)
    return Features(keypoints, np.rint(noisy).astype(np.uint8))


@pytest.mark.parametrize(("camera", "other"), CAMERAS)
def test_matching_finds_what_belongs_together(camera: Camera, other: Camera) -> None:
    generator = np.random.default_rng(3)
    points = generator.uniform(-1, 1, (400, 3))
    raw = generator.exponential(size=(400, 128))
    descriptors = np.sqrt(raw / raw.sum(axis=1, keepdims=True)) * 512
    first = seen_by(camera, points, descriptors, generator)
    second = seen_by(other, points[::-1], descriptors[::-1], generator)
    matches = match_along_epipolar_lines(first, camera, second, other)
    right = matches[:, 1] == 399 - matches[:, 0]
    assert right.all()
    axis = (other.centre - camera.centre) / np.linalg.norm(other.centre - camera.centre)
    rays = [(points - c.centre) / np.linalg.norm(points - c.centre, axis=1, keepdims=True) for c in (camera, other)]
    off_axis = np.minimum(*[np.linalg.norm(np.cross(ray, axis), axis=1) for ray in rays])
    assert len(matches) > 0.95 * (off_axis > 0.11).sum()


def test_matching_looks_only_along_the_epipolar_line() -> None:
    """The same descriptor everywhere: geometry alone decides, and a twin off the line does no harm."""
    camera, other = CAMERAS[0]
    generator = np.random.default_rng(4)
    points = generator.uniform(-1, 1, (30, 3))
    raw = generator.exponential(size=(30, 128))
    descriptors = np.sqrt(raw / raw.sum(axis=1, keepdims=True)) * 512
    first, second = (seen_by(c, points, descriptors, generator) for c in (camera, other))
    shifted = second.keypoints + np.array([0, 25, 0, 0], np.float32)
    twins = Features(np.concatenate([shifted, second.keypoints]), np.concatenate([second.descriptors] * 2))
    matches = match_along_epipolar_lines(first, camera, twins, other)
    assert len(matches) > 15 and (matches[:, 1] == matches[:, 0] + 30).all()


def test_matching_needs_a_baseline_and_features() -> None:
    camera, other = CAMERAS[0]
    nothing = Features(np.zeros((0, 4), np.float32), np.zeros((0, 128), np.uint8))
    some = Features(np.ones((3, 4), np.float32), np.ones((3, 128), np.uint8))
    assert match_along_epipolar_lines(nothing, camera, some, other).shape == (0, 2)
    assert match_along_epipolar_lines(some, camera, some, camera).shape == (0, 2)


def test_features_lie_where_the_first_pixels_centre_is_one_half() -> None:
    """A blob that is symmetric about the point (40, 30) is found there."""
    u, v = np.meshgrid(np.arange(80) + 0.5, np.arange(60) + 0.5)
    blob = np.rint(40 + 200 * np.exp(-((u - 40) ** 2 + (v - 30) ** 2) / 50)).astype(np.uint8)
    rgb = np.repeat(blob[..., None], 3, axis=2)
    features = find_features(rgb, None, at_most=10)
    nearest = np.abs(features.keypoints[:, :2] - (40, 30)).max(axis=1).min()
    assert nearest < 0.1
    covered = np.zeros((60, 80), np.uint8)
    assert len(find_features(rgb, covered, at_most=10)) == 0


@pytest.mark.slow
def test_fox_gives_thousands_of_points(sample_data) -> None:
    points = triangulate_points(load_capture(sample_data("fox_posed")))
    assert points is not None and len(points.positions) > 8000
    # Most of the fox scene lies within a few units of the cameras, which circle at a distance of about 5.
    assert np.abs(np.quantile(points.positions, [0.05, 0.95], axis=0)).max() < 8
