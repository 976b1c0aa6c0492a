from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from blender_addon.core import photo_view
from shared_protocol.things import ViewCamera


def photo_camera(**changes: object) -> ViewCamera:
    """It stands at (1, 2, 3), turned, with a lens that is off the middle and pixels that are not square."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec([0.4, -0.7, 0.3]).as_matrix()
    pose[:3, 3] = -pose[:3, :3] @ [1, 2, 3]
    matrix = tuple(float(value) for value in pose.ravel())
    given = {"fx": 400.0, "fy": 380.0, "cx": 150.0, "cy": 110.0, "width": 320, "height": 200, **changes}
    return ViewCamera(camera_from_world=matrix, **given)  # type: ignore[arg-type]


def placed(scale: object = 2.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec([0.1, 0.2, -0.5]).as_matrix() @ np.diag(np.broadcast_to(scale, 3))
    matrix[:3, 3] = (5, -4, 3)
    return matrix


def window_from_world(camera: ViewCamera, world_from_asset: np.ndarray, width: int, height: int, covered: float = 0.0):  # type: ignore[no-untyped-def]
    """As Blender makes it for a viewport that stands at the photo's place, with the lens that fits."""
    focal = photo_view.lens(camera, width, height, covered) * max(width, height) / photo_view.VIEWPORT_SENSOR
    near, far = 0.1, 100.0
    projection = np.zeros((4, 4))
    projection[0, 0], projection[1, 1] = 2 * focal / width, 2 * focal / height
    projection[2, 2], projection[2, 3], projection[3, 2] = (
        -(far + near) / (far - near),
        -2 * far * near / (far - near),
        -1,
    )
    return projection @ np.linalg.inv(photo_view.eye(camera, world_from_asset)), focal


@pytest.mark.parametrize("distance", [0.5, 20.0])
def test_the_photo_lies_where_its_camera_saw_it(distance: float) -> None:
    camera, world = photo_camera(), placed()
    matrix, focal = window_from_world(camera, world, 1200, 800)
    clip = photo_view.clip_corners(photo_view.corners(camera, world, distance), matrix)
    pixels = clip[:, :2] / clip[:, 3:] * (600, 400)  # from the middle, y up
    # Through the middle of the viewport goes the photo's axis, at its (cx, cy); a pixel of it is focal / fx wide.
    left, right = -camera.cx * focal / camera.fx, (camera.width - camera.cx) * focal / camera.fx
    low, high = -(camera.height - camera.cy) * focal / camera.fy, camera.cy * focal / camera.fy
    np.testing.assert_allclose(pixels, [(left, low), (right, low), (left, high), (right, high)], atol=1e-6)
    assert np.abs(pixels).max(0) == pytest.approx((abs(pixels[:, 0]).max(), 400 * 0.96)) or (
        np.abs(pixels[:, 0]).max() == pytest.approx(600 * 0.96)
    ), "it fills the viewport"


def test_panels_at_the_side_do_not_cover_the_photo() -> None:
    camera, world = photo_camera(), placed()
    matrix, _ = window_from_world(camera, world, 1200, 800, covered=300)
    clip = photo_view.clip_corners(photo_view.corners(camera, world, 1.0), matrix)
    assert np.abs(clip[:, 0] / clip[:, 3]).max() * 600 < 300
    assert photo_view.lens(photo_camera(fx=4.0, fy=4.0), 1200, 800) == photo_view.SHORTEST_LENS


def test_the_photo_is_fetched_as_large_as_it_is_seen() -> None:
    camera = photo_camera()
    lens = photo_view.lens(camera, 1200, 800)
    matrix, _ = window_from_world(camera, placed(), 1200, 800)
    clip = photo_view.clip_corners(photo_view.corners(camera, placed(), 1.0), matrix)
    seen = np.ptp(clip[:, :2] / clip[:, 3:], axis=0) / 2 * (1200, 800)
    assert photo_view.longer_side(camera, 1200, 800, lens) == pytest.approx(seen.max(), abs=1)


def test_it_is_shown_only_where_it_fits() -> None:
    camera, world = photo_camera(), placed()
    eye = photo_view.eye(camera, world)

    def seen(there: np.ndarray) -> bool:
        return photo_view.is_seen_from(camera, world, np.linalg.inv(there), 5.0)

    moved, turned, behind = eye.copy(), eye.copy(), eye.copy()
    moved[:3, 3] += 0.1
    turned[:3, :3] = eye[:3, :3] @ Rotation.from_rotvec([0, 0.3, 0]).as_matrix()
    behind[:3, :3] = eye[:3, :3] @ Rotation.from_rotvec([0, 2.0, 0]).as_matrix()
    assert seen(eye) and seen(turned) and not seen(moved) and not seen(behind)


@pytest.mark.parametrize(("scale", "fits"), [(2.0, True), ((1, 2, 1), False), ((-1, 1, 1), False), (0.0, False)])
def test_splats_that_are_scaled_unevenly_fit_no_photo(scale: object, fits: bool) -> None:
    assert photo_view.can_fit(placed(scale)) == fits
    if scale != 0.0:
        axes = photo_view.eye(photo_camera(), placed(scale))[:3, :3]
        np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)
