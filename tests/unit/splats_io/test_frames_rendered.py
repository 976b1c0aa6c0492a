"""A chart of asymmetric coloured axes looks the same in every frame and through every format, from turned cameras."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.io import FORMATS, SplatContent, read_splats, write_splats
from backend.splats.io.content import turned
from backend.splats.io.frames import FRAMES, Frame, is_mirrored, rotation_between
from backend.splats.moved import moved_cloud
from backend.splats.rendering import CloudRenderer, SceneObject, draw_scene
from backend.splats.representation import CloudRepresentation
from backend.splats.sh_basis import C0

GREY = (0.5, 0.5, 0.5)
# How far a picture may be from that of the chart itself, at the most and in the mean. A lossy format's rotations,
# colours and opacities are a byte each.
LOSSY, EXACT = (0.05, 2e-3), (2e-3, 1e-5)


def chart() -> SplatCloud:
    """Along +x, +y and +z needles of other lengths, colours and directions of their own; colours depend on the view."""
    random = np.random.default_rng(5)
    means, quats, log_scales, colors = [], [], [], []
    for axis, (length, color) in enumerate(
        ((1.0, (0.9, 0.2, 0.1)), (0.75, (0.15, 0.8, 0.2)), (0.5, (0.1, 0.3, 0.9))),
    ):
        for step in np.linspace(0.15, length, 6):
            mean = np.full(3, 0.05 * axis)
            mean[axis] = step
            means.append(mean)
            quats.append(random.normal(size=4))
            log_scales.append(np.log([0.12, 0.04, 0.02]))
            colors.append(color)
    count = len(means)
    sh = random.normal(scale=0.12, size=(count, 16, 3))
    sh[:, 0] = (np.array(colors) - 0.5) / C0
    arrays = (means, quats, log_scales, np.full(count, 2.0), sh)
    return SplatCloud(*(np.asarray(array, np.float32) for array in arrays))


CHART = chart()
CONTENT = SplatContent(CHART)


def camera_in(frame: Frame) -> Camera:
    """The one camera, told in the coordinates of a frame; it looks at the chart from a corner."""
    turn, _, rest = np.linalg.svd(np.array([[0.8, 0.1, -0.5], [-0.2, 0.9, -0.3], [0.4, 0.3, 0.8]]))
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ rest @ rotation_between(frame, "opencv")
    matrix[:3, 3] = (-0.3, -0.2, 2.6)
    return Camera(matrix, fx=110.0, fy=110.0, cx=40.0, cy=32.0, width=80, height=64)


def picture(content: SplatContent) -> np.ndarray:
    """From the turned camera; a mirrored cloud is placed mirrored instead, because no camera is left-handed."""
    if not is_mirrored(content.frame):
        return CloudRenderer(content.cloud, "cpu").draw(camera_in(content.frame)).on(GREY).numpy()
    placement = np.eye(4)
    placement[:3, :3] = rotation_between(content.frame, "opencv")
    placed = SceneObject(CloudRepresentation(content.cloud, "cpu"), placement)
    return draw_scene((placed,), camera_in("opencv"), device="cpu").on(GREY).numpy()


TRUTH = picture(CONTENT)


def assert_same_picture(content: SplatContent, most: tuple[float, float]) -> None:
    difference = np.abs(picture(content) - TRUTH)
    assert difference.max() < most[0] and difference.mean() < most[1], (difference.max(), difference.mean())


def test_the_chart_tells_frames_apart() -> None:
    """The picture would be another one if any frame were mistaken for another."""
    for frame in FRAMES:
        if frame != "opencv":
            assert np.abs(picture(replace(CONTENT, frame=frame)) - TRUTH).mean() > 0.01, frame


@pytest.mark.parametrize("frame", FRAMES)
def test_the_chart_looks_the_same_in_every_frame(frame: Frame) -> None:
    there = turned(CONTENT, frame)
    assert_same_picture(there, EXACT)
    for other in ("opencv", "z_up", "y_up", "LUF"):
        assert_same_picture(turned(there, other), EXACT)


@pytest.mark.parametrize("target", ["opencv", "z_up", "y_up", "LDF"])
@pytest.mark.parametrize("form", [form for form in FORMATS if form.can_read and form.can_write], ids=lambda f: f.name)
def test_the_chart_looks_the_same_through_every_format(form, target: Frame, tmp_path: Path) -> None:
    chart = with_plain_colours(CONTENT) if form.sh_degree == 0 else CONTENT
    truth = picture(chart)
    path = tmp_path / f"chart{form.suffixes[0]}"
    asked = None if form.prescribes_frame else target
    write_splats(path, turned(chart, "y_up"), frame=asked)
    content = read_splats(path)
    if asked is not None and not form.keeps_frame:  # the file is silent, so its reader must be told
        content = replace(content, frame=asked)
    difference = np.abs(picture(content) - truth)
    assert difference.max() < LOSSY[0] and difference.mean() < LOSSY[1], (difference.max(), difference.mean())


def with_plain_colours(content: SplatContent) -> SplatContent:
    return replace(content, cloud=replace(content.cloud, sh=content.cloud.sh[:, :1].copy()))


@pytest.mark.parametrize("scales", [(1.7, 1.7, 1.7), (-0.6, 0.6, 0.6), (1.3, 0.7, 1.0)])
def test_a_moved_chart_looks_like_the_chart_moved_in_the_scene(scales: tuple[float, float, float]) -> None:
    """Moving the splats in their file against placing them in a scene, which goes by covariances."""
    matrix = np.eye(4)
    matrix[:3, :3] = camera_in("z_up").camera_from_world[:3, :3] @ np.diag(scales)
    matrix[:3, 3] = (0.1, -0.2, 0.3)
    moved = CloudRenderer(moved_cloud(CHART, matrix), "cpu").draw(camera_in("opencv")).on(GREY).numpy()
    placed = SceneObject(CloudRepresentation(CHART, "cpu"), matrix)
    seen = draw_scene((placed,), camera_in("opencv"), device="cpu").on(GREY).numpy()
    uneven = len({abs(scale) for scale in scales}) > 1
    # Under an uneven map colours follow the nearest rotation in the file, and exact directions in the scene.
    assert np.abs(moved - seen).max() < (0.15 if uneven else 5e-3)
    alphas = [
        drawing.alpha.numpy()
        for drawing in (
            CloudRenderer(moved_cloud(CHART, matrix), "cpu").draw(camera_in("opencv")),
            draw_scene((placed,), camera_in("opencv"), device="cpu"),
        )
    ]
    assert np.abs(alphas[0] - alphas[1]).max() < 5e-3
