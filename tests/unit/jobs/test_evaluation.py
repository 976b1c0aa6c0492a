"""Figures and pictures of finished clouds."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.captures.capture import Photo
from backend.jobs.comparing import EvaluationRequest, compare_with_capture
from backend.jobs.evaluation import evaluate, mean_figures
from backend.jobs.picture import PictureRequest, render_picture
from backend.jobs.report import ViewFigures
from backend.jobs.running import NobodyWatches
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.io import write_cloud
from backend.splats.rendering import CloudRenderer
from shared_protocol.errors import UserError

CAMERA = Camera(np.eye(4), 40.0, 40.0, 16.0, 12.0, 32, 24)
C0 = 0.28209479177387814


def wall(depth: float = 4.0, color: tuple[float, float, float] = (0.8, 0.4, 0.2)) -> SplatCloud:
    """One opaque splat that covers the whole picture."""
    return SplatCloud(
        means=np.array([[0, 0, depth]], np.float32),
        quats=np.array([[1, 0, 0, 0]], np.float32),
        log_scales=np.log(np.array([[50, 50, 0.01]], np.float32)),
        opacity_logits=np.array([20], np.float32),
        sh=((np.array(color, np.float32) - 0.5) / C0)[None, None].astype(np.float32),
    )


def speck() -> SplatCloud:
    """One small splat in the middle of the picture."""
    return replace(wall(), log_scales=np.full((1, 3), np.log(0.1), np.float32))


def photo_of(color: tuple[float, float, float], **rest) -> Photo:
    rgb = np.broadcast_to(np.rint(np.array(color) * 255).astype(np.uint8), (24, 32, 3)).copy()
    return Photo("a.png", CAMERA, rgb, **({"alpha": None, "weight": None} | rest))


def test_psnr_is_the_textbook_formula() -> None:
    (figures,) = evaluate(wall(), [photo_of((0.6, 0.4, 0.2))], device="cpu", near=0.01)
    # The rasterizer lets an alpha reach 0.999, so a thousandth of the black background shows.
    seen = 0.999 * np.array((0.8, 0.4, 0.2))
    error = np.mean((seen - np.rint(np.array((0.6, 0.4, 0.2)) * 255) / 255) ** 2)
    assert figures.psnr == pytest.approx(-10 * math.log10(error), abs=0.01)


def test_transparent_photos_are_compared_on_white() -> None:
    nothing = photo_of((0, 0, 0), alpha=np.zeros((24, 32), np.uint8))
    (on_white,) = evaluate(speck(), [nothing], device="cpu", near=0.01)
    (on_black,) = evaluate(speck(), [photo_of((0, 0, 0))], device="cpu", near=0.01)
    white = CloudRenderer(speck(), "cpu").draw(CAMERA).on((1, 1, 1)).numpy()
    black = CloudRenderer(speck(), "cpu").draw(CAMERA).on((0, 0, 0)).numpy()
    assert on_white.psnr == pytest.approx(-10 * math.log10(((white - 1) ** 2).mean()), abs=1e-3)
    assert on_black.psnr == pytest.approx(-10 * math.log10((black**2).mean()), abs=1e-3)
    assert on_white.psnr != pytest.approx(on_black.psnr, abs=0.1)


def test_pixels_that_do_not_count_do_not_count() -> None:
    photo = photo_of((0.8, 0.4, 0.2))
    photo.rgb[:, 16:] = 255 - photo.rgb[:, 16:]
    weight = np.zeros((24, 32), np.uint8)
    weight[:, :16] = 255
    (everything,) = evaluate(wall(), [photo], device="cpu", near=0.01)
    (left_half,) = evaluate(wall(), [replace(photo, weight=weight)], device="cpu", near=0.01)
    assert everything.psnr < 15 and left_half.psnr > 45
    assert left_half.ssim > 0.99 > everything.ssim


def test_large_world_coordinates_do_not_blur_the_picture() -> None:
    far = np.array([500_000.0, 4_000_000.0, 100.0])
    moved = np.eye(4)
    moved[:3, 3] = -far
    cloud = speck()
    # 0.25 m is the spacing of float32 out there, so the splat is moved by a multiple of it.
    shifted = replace(cloud, means=(cloud.means + far).astype(np.float32))
    here = CloudRenderer(cloud, "cpu").draw(CAMERA).color
    there = CloudRenderer(shifted, "cpu").draw(replace(CAMERA, camera_from_world=moved)).color
    np.testing.assert_allclose(there, here, atol=1e-5)


def test_mean_of_no_views_is_nothing() -> None:
    assert mean_figures([]) == (None, None)
    assert mean_figures([ViewFigures("a", 10, 0.5), ViewFigures("b", 20, 0.7)]) == pytest.approx((15, 0.6))


def camera_file(folder: Path, **changes) -> Path:
    content = {"world_from_camera": np.eye(4).tolist(), "fx": 40, "width": 32, "height": 24} | changes
    path = folder / "camera.json"
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
    return path


def test_colours_and_transparency_of_a_picture(tmp_path: Path) -> None:
    write_cloud(tmp_path / "a.ply", wall())
    request = PictureRequest(tmp_path / "a.ply", tmp_path / "a.png", camera=camera_file(tmp_path), device="cpu")
    report = render_picture(request)
    assert (report.width, report.height) == (32, 24)
    np.testing.assert_allclose(np.asarray(Image.open(tmp_path / "a.png"))[12, 16], (204, 102, 51), atol=1)

    write_cloud(tmp_path / "a.ply", speck())
    render_picture(replace(request, background="transparent"))
    pixels = np.asarray(Image.open(tmp_path / "a.png"))
    assert pixels.shape == (24, 32, 4) and pixels[0, 0, 3] == 0
    np.testing.assert_allclose(pixels[12, 16, :3], (204, 102, 51), atol=1)
    alpha = CloudRenderer(speck(), "cpu").draw(CAMERA).alpha.numpy()
    np.testing.assert_allclose(pixels[..., 3] / 255, alpha, atol=0.51 / 255)
    render_picture(replace(request, background="#ff0000"))
    assert np.asarray(Image.open(tmp_path / "a.png"))[0, 0].tolist() == [255, 0, 0]


def test_depth_is_in_world_units_in_both_files(tmp_path: Path) -> None:
    write_cloud(tmp_path / "a.ply", wall(depth=4.0))
    request = PictureRequest(
        tmp_path / "a.ply", tmp_path / "d.npy", camera=camera_file(tmp_path), depth=True, device="cpu"
    )
    render_picture(request)
    exact = np.load(tmp_path / "d.npy", allow_pickle=False)
    assert exact.dtype == np.float32 and exact.shape == (24, 32)
    np.testing.assert_allclose(exact, 4.0, rtol=1e-4)
    report = render_picture(replace(request, output=tmp_path / "d.png"))
    picture = Image.open(tmp_path / "d.png")
    assert report.depth_scale is not None and float(picture.text["depth_scale"]) == report.depth_scale
    np.testing.assert_allclose(np.asarray(picture) * report.depth_scale, exact, rtol=1e-4)

    write_cloud(tmp_path / "a.ply", speck())
    render_picture(request)
    assert np.load(tmp_path / "d.npy")[0, 0] == 0


def test_a_camera_may_be_given_either_way_round(tmp_path: Path) -> None:
    write_cloud(tmp_path / "a.ply", speck())
    pose = np.eye(4)
    pose[:3, 3] = (0.3, -0.2, 0.5)
    pictures = []
    for name, matrix in (("world_from_camera", pose), ("camera_from_world", np.linalg.inv(pose))):
        poses = {"world_from_camera": None, "camera_from_world": None, name: matrix.tolist()}
        camera = camera_file(tmp_path, **poses, fy=50, cx=10, cy=11)
        render_picture(PictureRequest(tmp_path / "a.ply", tmp_path / "a.png", camera=camera, device="cpu"))
        pictures.append((tmp_path / "a.png").read_bytes())
    assert pictures[0] == pictures[1]
    # The splat is 3.5 in front, 0.3 to the left and 0.2 below the camera.
    pixels = np.asarray(Image.open(tmp_path / "a.png")).sum(axis=-1)
    row, column = np.unravel_index(pixels.argmax(), pixels.shape)
    assert abs(column + 0.5 - (10 - 40 * 0.3 / 3.5)) <= 1 and abs(row + 0.5 - (11 + 50 * 0.2 / 3.5)) <= 1


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"fx": None}, "fx"),
        ({"fx": -1}, "focal"),
        ({"fx": "wide"}, "fx"),
        ({"width": 0}, "width"),
        ({"height": 10**9}, "height"),
        ({"world_from_camera": None}, "world_from_camera"),
        ({"world_from_camera": [[1, 0], [0, 1]]}, "4 x 4"),
        ({"world_from_camera": np.diag([2.0, 2, 2, 1]).tolist()}, "rotation"),
        ({"world_from_camera": np.diag([-1.0, 1, 1, 1]).tolist()}, "rotation"),
        ({"zoom": 3}, "zoom"),
    ],
)
def test_a_camera_file_that_makes_no_camera_is_one_sentence(tmp_path: Path, changes: dict, words: str) -> None:
    write_cloud(tmp_path / "a.ply", speck())
    request = PictureRequest(
        tmp_path / "a.ply", tmp_path / "a.png", camera=camera_file(tmp_path, **changes), device="cpu"
    )
    with pytest.raises(UserError, match=words) as caught:
        render_picture(request)
    assert "camera.json" in caught.value.message
    assert not (tmp_path / "a.png").exists()


def test_views_of_a_capture_are_compared_and_drawn(tiny_capture: Path, tmp_path: Path) -> None:
    write_cloud(tmp_path / "a.ply", wall())
    request = EvaluationRequest(tmp_path / "a.ply", tiny_capture, device="cpu")
    held_out = compare_with_capture(request, NobodyWatches())
    assert [view.name for view in held_out.views] == ["images/0000.png", "images/0008.png"]
    every = compare_with_capture(replace(request, all_views=True, resolution=24), NobodyWatches())
    assert len(every.views) == 9 and (every.width, every.height) == (24, 16)
    picture = PictureRequest(tmp_path / "a.ply", tmp_path / "v.png", capture=tiny_capture, view="0003", device="cpu")
    assert (render_picture(picture).width, render_picture(replace(picture, resolution=96)).width) == (48, 48)
    with pytest.raises(UserError, match=r"no view 'elsewhere'"):
        render_picture(replace(picture, view="elsewhere"))
