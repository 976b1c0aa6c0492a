"""Photos for training: undistorted, averaged down, turned only where the intrinsics ask for it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from backend.captures import View, load_capture, photo_size, read_photos
from backend.captures.photos import undistorted_camera
from backend.splats.cameras import Camera
from shared_protocol.errors import UserError
from tests.unit.captures.writing import instant_ngp, opengl_frame, orbit, write_photo, write_transforms

DISTORTIONS = [
    (0.0578421, -0.0805099, -0.000980296, 0.00015575, 0.0),  # fox
    (-0.25, 0.08, 0.002, -0.001, 0.01),  # barrel
    (0.2, 0.05, -0.003, 0.004, 0.02),  # pincushion
]


def camera(width: int = 160, height: int = 120) -> Camera:
    return Camera(np.eye(4), 1.1 * width, 1.13 * width, 0.47 * width, 0.53 * height, width, height)


def view_of(path: Path, pinhole: Camera, **fields: object) -> View:
    return View(path.name, path, pinhole, **fields)  # type: ignore[arg-type]


def distorted(x: np.ndarray, y: np.ndarray, distortion: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """OpenCV's formula on normalised coordinates, written out from its documentation."""
    k1, k2, p1, p2, k3 = distortion
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
    )


def pixels_of(points: np.ndarray, pinhole: Camera, distortion: tuple[float, ...] = (0.0,) * 5) -> np.ndarray:
    """Where camera-space points are seen; the first pixel's centre is (0.5, 0.5)."""
    x, y = distorted(points[:, 0] / points[:, 2], points[:, 1] / points[:, 2], distortion)
    return np.stack([pinhole.fx * x + pinhole.cx, pinhole.fy * y + pinhole.cy], axis=1)


def spots(pixels: np.ndarray, width: int, height: int, sigma: float = 2.0) -> np.ndarray:
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    picture = sum(np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * sigma**2)) for x, y in pixels)
    return np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)


def centroid(picture: np.ndarray, near: np.ndarray, radius: float) -> np.ndarray:
    u, v = np.meshgrid(np.arange(picture.shape[1]) + 0.5, np.arange(picture.shape[0]) + 0.5)
    weight = picture.astype(float) * (np.hypot(u - near[0], v - near[1]) < radius)
    return np.array([(weight * u).sum(), (weight * v).sum()]) / weight.sum()


@pytest.mark.parametrize("distortion", DISTORTIONS)
@pytest.mark.parametrize("max_pixels", [160 * 120, 80 * 60])
def test_points_lie_where_the_pinhole_camera_of_the_photo_says(
    tmp_path: Path, distortion: tuple[float, float, float, float, float], max_pixels: int
) -> None:
    grid = np.stack(np.meshgrid([-0.3, 0.0, 0.35], [-0.2, 0.02, 0.22]), axis=-1).reshape(-1, 2)
    points = np.concatenate([3 * grid, np.full((9, 1), 3.0)], axis=1)
    seen = pixels_of(points, camera(), distortion)
    Image.fromarray(spots(seen, 160, 120)).convert("RGB").save(tmp_path / "a.png")
    (photo,) = read_photos(
        [view_of(tmp_path / "a.png", camera(), distortion=distortion)], max_pixels=max_pixels, masks="off"
    )
    assert photo.rgb.shape == (photo.camera.height, photo.camera.width, 3)
    assert photo.camera.width * photo.camera.height == max_pixels
    for expected in pixels_of(points, photo.camera):
        found = centroid(photo.rgb[..., 0], expected, 0.05 * photo.camera.width)
        np.testing.assert_allclose(found, expected, atol=0.06)


@pytest.mark.parametrize("distortion", DISTORTIONS)
def test_every_pixel_of_the_undistorted_photo_is_in_the_distorted_one(
    distortion: tuple[float, ...], tmp_path: Path
) -> None:
    view = view_of(tmp_path / "a.png", camera(), distortion=distortion)
    pinhole = undistorted_camera(view)
    u, v = np.meshgrid(np.arange(160) + 0.5, np.arange(120) + 0.5)
    x, y = distorted((u - pinhole.cx) / pinhole.fx, (v - pinhole.cy) / pinhole.fy, distortion)
    u, v = camera().fx * x + camera().cx, camera().fy * y + camera().cy
    assert u.min() >= 0 and v.min() >= 0 and u.max() <= 160 and v.max() <= 120
    # Nothing is thrown away without need: each side of the photo is nearly reached.
    assert u.min() < 3 and v.min() < 3 and u.max() > 157 and v.max() > 117


def test_distortion_beyond_repair_is_refused(tmp_path: Path) -> None:
    path = write_photo(tmp_path / "a.png", (160, 120))
    view = view_of(path, camera(), distortion=(-5.0, 0.0, 0.0, 0.0, 0.0))
    with pytest.raises(UserError, match="too strong"):
        read_photos([view], max_pixels=10_000, masks="off")


def test_a_photo_without_distortion_keeps_its_pixels(tmp_path: Path) -> None:
    path = write_photo(tmp_path / "a.png", (31, 17))
    (photo,) = read_photos([view_of(path, camera(31, 17))], max_pixels=10_000, masks="off")
    np.testing.assert_array_equal(photo.rgb, np.asarray(Image.open(path)))
    assert photo.alpha is None and photo.weight is None
    np.testing.assert_array_equal(photo.camera.intrinsics, camera(31, 17).intrinsics)
    assert photo.name == "a.png"


def test_resizing_averages_areas(tmp_path: Path) -> None:
    path = write_photo(tmp_path / "a.png", (32, 24))
    (photo,) = read_photos([view_of(path, camera(32, 24))], max_pixels=16 * 12, masks="off")
    mean = np.asarray(Image.open(path)).reshape(12, 2, 16, 2, 3).mean(axis=(1, 3))
    assert np.abs(photo.rgb - mean).max() <= 0.51
    np.testing.assert_allclose(photo.camera.intrinsics, camera(32, 24).resized(16, 12).intrinsics)


def test_transparent_pixels_do_not_color_their_neighbours(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:, ::2] = (200, 0, 0, 255)
    pixels[:, 1::2] = (0, 255, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (photo,) = read_photos([view_of(tmp_path / "a.png", camera(4, 4))], max_pixels=4, masks="alpha")
    assert (photo.rgb == (200, 0, 0)).all()
    assert photo.alpha is not None and (np.abs(photo.alpha.astype(int) - 128) <= 1).all()
    (photo,) = read_photos([view_of(tmp_path / "a.png", camera(4, 4))], max_pixels=4, masks="off")
    assert photo.alpha is None


@pytest.mark.parametrize(
    ("width", "height", "max_pixels", "expected"),
    [
        (540, 960, 130_000, (270, 481)),
        (540, 960, 270 * 480, (270, 480)),
        (400, 400, 160_000, (400, 400)),
        (400, 400, 10**9, (400, 400)),
        (4000, 1, 100, (632, 1)),
    ],
)
def test_photo_size(width: int, height: int, max_pixels: int, expected: tuple[int, int]) -> None:
    assert photo_size(width, height, max_pixels=max_pixels) == expected


def test_photos_of_different_sizes_get_the_same_number_of_pixels(tmp_path: Path) -> None:
    views = [
        view_of(write_photo(tmp_path / f"{i}.png", size), camera(*size))
        for i, size in enumerate([(80, 40), (40, 80), (120, 60)])
    ]
    photos = read_photos(views, max_pixels=800, masks="off")
    assert [(photo.camera.width, photo.camera.height) for photo in photos] == [(40, 20), (20, 40), (40, 20)]


def test_progress_is_told_after_every_photo_and_may_stop_the_rest(tmp_path: Path) -> None:
    views = [view_of(write_photo(tmp_path / f"{i}.png"), camera(40, 30)) for i in range(5)]
    told: list[tuple[int, int]] = []
    read_photos(views, max_pixels=100, masks="off", on_progress=lambda done, total: told.append((done, total)))
    assert told == [(i, 5) for i in range(1, 6)]

    class Stopped(Exception):
        pass

    def stop(done: int, _total: int) -> None:
        if done == 2:
            raise Stopped

    with pytest.raises(Stopped):
        read_photos(views, max_pixels=100, masks="off", on_progress=stop)


@pytest.mark.parametrize(
    ("name", "pixels", "expected"),
    [
        ("grey.png", np.full((3, 4), 77, np.uint8), (77, 77, 77)),
        ("grey16.png", np.full((3, 4), 40000, np.uint16), (156, 156, 156)),
        ("rgb16.png", np.full((3, 4, 3), (10000, 40000, 65535), np.uint16), (255, 156, 39)),  # OpenCV writes BGR
        ("grey16.tif", np.full((3, 4), 40000, np.uint16), (156, 156, 156)),
        ("rgb16.tif", np.full((3, 4, 3), (10000, 40000, 65535), np.uint16), (255, 156, 39)),
    ],
)
def test_grey_and_16_bit_photos(tmp_path: Path, name: str, pixels: np.ndarray, expected: tuple[int, ...]) -> None:
    assert cv2.imwrite(str(tmp_path / name), pixels)
    (photo,) = read_photos([view_of(tmp_path / name, camera(4, 3))], max_pixels=100, masks="off")
    assert photo.rgb.dtype == np.uint8 and (photo.rgb == expected).all()


def test_a_palette_with_a_transparent_color_has_alpha(tmp_path: Path) -> None:
    image = Image.new("P", (4, 3), 1)
    image.putpalette([0, 0, 0, 90, 80, 70])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "a.png", transparency=0)
    (photo,) = read_photos([view_of(tmp_path / "a.png", camera(4, 3))], max_pixels=100, masks="alpha")
    assert photo.alpha is not None and photo.alpha[0, 0] == 0 and (photo.alpha.ravel()[1:] == 255).all()
    assert (photo.rgb[1] == (90, 80, 70)).all()


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_photo_that_is_cut_off_is_refused(tmp_path: Path, suffix: str) -> None:
    folder = instant_ngp(tmp_path, 4)
    path = write_photo(folder / f"images/001.{suffix}", (40, 30))
    if suffix == "jpg":
        (folder / "images/001.png").unlink()
        text = (folder / "transforms.json").read_text()
        (folder / "transforms.json").write_text(text.replace("images/001.png", "images/001.jpg"))
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 3])
    views = load_capture(folder).views
    with pytest.raises(UserError, match=rf"001\.{suffix} is damaged"):
        read_photos(views, max_pixels=100, masks="off")


def marked(path: Path, orientation: int) -> Path:
    """40 x 30 pixels as stored, with a white corner at the first pixel."""
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[:5, :5] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    return path


def posed(folder: Path, orientation: int, w: int, h: int) -> Path:
    frames = []
    for i, pose in enumerate(orbit(4)):
        marked(folder / f"images/{i}.jpg", orientation)
        frames.append(opengl_frame(f"images/{i}.jpg", pose))
    return write_transforms(folder, frames, fl_x=50.0, fl_y=60.0, cx=w / 2 + 1, cy=h / 2 + 2, w=w, h=h)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_is_ignored_where_the_intrinsics_describe_the_stored_pixels(tmp_path: Path, orientation: int) -> None:
    views = load_capture(posed(tmp_path, orientation, 40, 30)).views
    photo = read_photos(views[:1], max_pixels=10_000, masks="off")[0]
    assert photo.rgb.shape == (30, 40, 3) and not views[0].turn_by_exif
    assert photo.rgb[0, 0, 0] > 200 and photo.rgb[0, -1, 0] < 50
    assert (photo.camera.fx, photo.camera.cx, photo.camera.cy) == (50.0, 21.0, 17.0)


@pytest.mark.parametrize(("w", "h"), [(30, 40), (60, 80)])
def test_exif_is_applied_where_only_the_turned_pixels_fit_the_intrinsics(tmp_path: Path, w: int, h: int) -> None:
    """Orientation 6: what is stored must be turned clockwise, so the first stored pixel becomes the top right one."""
    views = load_capture(posed(tmp_path, 6, w, h)).views
    photo = read_photos(views[:1], max_pixels=10_000, masks="off")[0]
    assert photo.rgb.shape == (40, 30, 3) and views[0].turn_by_exif
    assert photo.rgb[0, -1, 0] > 200 and photo.rgb[0, 0, 0] < 50
    assert (photo.camera.width, photo.camera.height) == (30, 40)
    assert photo.camera.fx == 50.0 * 30 / w


@pytest.mark.parametrize(("orientation", "w", "h"), [(6, 40, 40), (6, 30, 30), (3, 30, 40), (1, 30, 40)])
def test_a_size_that_fits_neither_way_is_refused(tmp_path: Path, orientation: int, w: int, h: int) -> None:
    with pytest.raises(UserError, match=rf"40 x 30 pixels, but .*transforms\.json describes {w} x {h}"):
        load_capture(posed(tmp_path, orientation, w, h))


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(2, (0, -1)), (3, (-1, -1)), (4, (-1, 0)), (5, (0, 0)), (6, (0, -1)), (7, (-1, -1)), (8, (-1, 0))],
)
def test_all_eight_orientations_are_applied_as_exif_defines_them(
    tmp_path: Path, orientation: int, corner: tuple[int, int]
) -> None:
    path = marked(tmp_path / "a.jpg", orientation)
    size = (30, 40) if orientation >= 5 else (40, 30)
    (photo,) = read_photos([view_of(path, camera(*size), turn_by_exif=True)], max_pixels=10_000, masks="off")
    assert photo.rgb[(*corner, 0)] > 200
    assert sum(photo.rgb[y, x, 0] > 200 for y in (0, -1) for x in (0, -1)) == 1
