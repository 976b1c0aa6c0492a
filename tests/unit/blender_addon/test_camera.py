from __future__ import annotations

import math

import numpy as np
import pytest

from blender_addon.core import camera as cameras
from shared_protocol.errors import UserError
from shared_protocol.things import IDENTITY, ViewCamera

POSE = np.array([[0, -1, 0, 3], [0, 0, -1, 1], [1, 0, 0, 2], [0, 0, 0, 1.0]])  # looks along +y with +z up and x left


def pixel(camera: ViewCamera, point: tuple[float, float, float]) -> tuple[float, float]:
    matrix = np.reshape(camera.camera_from_world, (4, 4))
    x, y, z = matrix[:3, :3] @ point + matrix[:3, 3]
    depth = 1.0 if camera.orthographic else z
    return camera.fx * x / depth + camera.cx, camera.fy * y / depth + camera.cy


def test_the_sensors_width_spans_the_longer_side() -> None:
    lens = cameras.Lens(lens=36.0)
    wide = cameras.view_camera(lens, cameras.frame(400, 200), np.eye(4))
    tall = cameras.view_camera(lens, cameras.frame(200, 400), np.eye(4))
    assert (wide.fx, wide.fy) == (tall.fx, tall.fy) == (400, 400)
    # 1 to the right and 1 up, 2 in front of a camera that looks along -z.
    assert pixel(wide, (1, 1, -2)) == (400, -100)
    assert pixel(tall, (1, 1, -2)) == (300, 0)


def test_a_fit_by_height_takes_the_sensors_height() -> None:
    lens = cameras.Lens(lens=24.0, sensor_height=24.0, sensor_fit="VERTICAL")
    assert cameras.view_camera(lens, cameras.frame(400, 200), np.eye(4)).fy == 200


def test_a_shift_moves_the_picture_by_shares_of_the_span() -> None:
    lens = cameras.Lens(lens=36.0, shift_x=0.1, shift_y=0.25)
    seen = cameras.view_camera(lens, cameras.frame(400, 200), np.eye(4))
    # The frame moves right and up, so what is in the middle moves left and down.
    assert (seen.cx, seen.cy) == (200 - 40, 100 + 100)


def test_tall_pixels_are_fewer_from_top_to_bottom() -> None:
    seen = cameras.view_camera(cameras.Lens(lens=36.0), cameras.frame(400, 200, pixel_aspect=(1, 2)), np.eye(4))
    assert (seen.fx, seen.fy) == (400, 200)


def test_an_orthographic_camera_counts_pixels_a_unit() -> None:
    lens = cameras.Lens(orthographic=True, ortho_scale=4.0)
    seen = cameras.view_camera(lens, cameras.frame(400, 200), np.eye(4))
    assert seen.orthographic and (seen.fx, seen.fy) == (100, 100)
    assert pixel(seen, (1, 0.5, -7)) == (300, 50)


def test_a_border_that_crops_cuts_fractions_of_pixels_off() -> None:
    whole = cameras.view_camera(cameras.Lens(), cameras.frame(321, 200, percentage=50), np.eye(4))
    picture = cameras.frame(321, 200, percentage=50, cropped_to=(0.1, 0.2, 0.999, 0.7))
    cut = cameras.view_camera(cameras.Lens(), picture, np.eye(4))
    assert (whole.width, whole.height) == (160, 100)
    assert picture.crop == (16, 20, 159, 70)
    assert (cut.width, cut.height) == (143, 50)
    assert (cut.cx, cut.cy, cut.fx) == (whole.cx - 16, whole.cy - 30, whole.fx)


def test_scale_of_a_camera_does_not_count() -> None:
    scaled = POSE @ np.diag([2.0, 3.0, 5.0, 1.0])
    np.testing.assert_allclose(cameras.camera_from_world(scaled), cameras.camera_from_world(POSE), atol=1e-12)


def test_a_pose_comes_back() -> None:
    seen = cameras.view_camera(cameras.Lens(), cameras.frame(40, 30), POSE)
    np.testing.assert_allclose(cameras.world_from_blender_camera(seen.camera_from_world), POSE, atol=1e-12)


@pytest.mark.parametrize("focal", [(300.0, 300.0), (300.0, 280.0), (270.0, 300.0)])
def test_a_photos_intrinsics_become_a_lens_that_sees_the_same(focal: tuple[float, float]) -> None:
    lens, aspect = cameras.lens_of(*focal, cx=210.0, cy=90.0, width=400, height=200)
    seen = cameras.view_camera(lens, cameras.frame(400, 200, pixel_aspect=aspect), POSE)
    assert (seen.fx, seen.fy, seen.cx, seen.cy) == pytest.approx((*focal, 210.0, 90.0), abs=1e-9)
    assert min(aspect) == 1  # Blender takes nothing below


def window_matrix(near: float, far: float, *, orthographic: bool) -> np.ndarray:
    """What OpenGL calls a frustum, from -1 to 3 and from -1 to 2."""
    left, right, bottom, top = -1.0, 3.0, -1.0, 2.0
    matrix = np.zeros((4, 4))
    scale = 1.0 if orthographic else near
    matrix[0, 0], matrix[1, 1] = 2 * scale / (right - left), 2 * scale / (top - bottom)
    if orthographic:
        matrix[:, 3] = (-(right + left) / (right - left), -(top + bottom) / (top - bottom), 0, 1)
        matrix[2, 2:] = -2 / (far - near), -(far + near) / (far - near)
    else:
        matrix[:, 2] = ((right + left) / (right - left), (top + bottom) / (top - bottom), 0, -1)
        matrix[2, 2:] = -(far + near) / (far - near), -2 * far * near / (far - near)
    return matrix


@pytest.mark.parametrize("orthographic", [False, True])
@pytest.mark.parametrize("near", [0.5, 20.0])
def test_a_view_is_read_out_of_its_matrices(near: float, orthographic: bool) -> None:
    matrix = window_matrix(near, 100.0, orthographic=orthographic)
    seen = cameras.view_camera_of_window(matrix, np.linalg.inv(POSE), 80, 60)
    point = POSE @ (0.4, -0.2, -30.0, 1.0)
    clip = matrix @ (0.4, -0.2, -30.0, 1.0)
    x, y, depth = clip[:3] / clip[3]
    assert pixel(seen, tuple(point[:3])) == pytest.approx(((x + 1) * 40, (1 - y) * 30))
    assert (seen.near, seen.far) == pytest.approx((near, 100.0))
    z = (np.reshape(seen.camera_from_world, (4, 4)) @ point)[2]
    share = (z - seen.near) / (seen.far - seen.near) * (1.0 if orthographic else seen.far / z)
    assert share == pytest.approx((depth + 1) / 2)


def test_an_orthographic_view_that_begins_behind_its_eye_is_moved_back() -> None:
    matrix = window_matrix(-100.0, 100.0, orthographic=True)
    seen = cameras.view_camera_of_window(matrix, np.linalg.inv(POSE), 80, 60)
    assert 0 < seen.near < 0.1 and seen.far - seen.near == pytest.approx(200)
    behind = POSE @ (0.0, 0.0, 50.0, 1.0)  # behind the eye, and yet in the view
    assert seen.near < (np.reshape(seen.camera_from_world, (4, 4)) @ behind)[2] < seen.far


def test_an_end_that_single_precision_rounds_away_is_far() -> None:
    matrix = window_matrix(0.001, 1e9, orthographic=False).astype(np.float32).astype(np.float64)
    assert matrix[2, 2] == -1
    assert cameras.view_camera_of_window(matrix, np.eye(4), 80, 60).far == 1e10


def test_cameras_that_take_no_photos_are_refused_by_name() -> None:
    picture = cameras.frame(40, 30)
    cameras.refuse_bent(cameras.view_camera(cameras.Lens(), picture, POSE), "good")
    with pytest.raises(UserError, match="'flat' is orthographic"):
        cameras.refuse_bent(cameras.view_camera(cameras.Lens(orthographic=True), picture, POSE), "flat")
    mirrored = POSE @ np.diag([-1.0, 1.0, 1.0, 1.0])
    sheared = np.eye(4)
    sheared[0, 1] = math.tan(0.1)
    for pose in (mirrored, sheared):
        with pytest.raises(UserError, match="'bent' is mirrored or sheared"):
            cameras.refuse_bent(cameras.view_camera(cameras.Lens(), picture, pose), "bent")


@pytest.mark.parametrize("orthographic", [False, True])
def test_a_depth_buffer_of_our_projection_tells_how_far_things_are(orthographic: bool) -> None:
    camera = ViewCamera(
        camera_from_world=IDENTITY, fx=500, fy=480, cx=310, cy=190, width=640, height=360,
        near=0.1, far=1000, orthographic=orthographic,
    )  # fmt: skip
    points = np.array([[0.2, -0.3, 0.5, 1], [-1.0, 0.4, 7, 1], [30, -20, 400, 1]])
    clip = points @ cameras.window_from_camera(camera).T
    window = clip[:, :3] / clip[:, 3:]
    flat = points[:, :2] if orthographic else points[:, :2] / points[:, 2:3]
    pixels = flat * [500, 480] + [310, 190]
    np.testing.assert_allclose((window[:, :2] * [1, -1] + 1) / 2 * [640, 360], pixels, rtol=1e-12)
    depth = ((window[:, 2:3] + 1) / 2).astype(np.float32)
    np.testing.assert_allclose(cameras.distances(depth, camera)[:, 0], points[:, 2], rtol=1e-3)
    assert np.isinf(cameras.distances(np.ones((2, 2), np.float32), camera)).all()


@pytest.mark.parametrize("orthographic", [False, True])
def test_the_projection_of_a_windows_camera_is_the_windows(orthographic: bool) -> None:
    window = np.array([[1.7, 0, 0.2, 0], [0, 2.9, -0.1, 0], [0, 0, -1.0002, -0.20002], [0, 0, -1, 0]])
    if orthographic:
        window = np.array([[0.17, 0, 0, 0.2], [0, 0.29, 0, -0.1], [0, 0, -0.02, -1.1], [0, 0, 0, 1]])
    camera = cameras.view_camera_of_window(window, np.eye(4), 640, 360)
    point = np.array([0.3, -0.4, -8.0, 1])
    seen = np.reshape(camera.camera_from_world, (4, 4)) @ point
    ours, blenders = cameras.window_from_camera(camera) @ seen, window @ point
    np.testing.assert_allclose(ours / ours[3], blenders / blenders[3], rtol=1e-9)
