"""Depth where rays meet splats, against the plane on which they lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.quaternions import matrices_to_quats, quats_to_matrices
from backend.splats.rendering import SceneObject, draw_scene
from backend.splats.representation import CloudRepresentation

NORMAL = np.array([0.5, -0.3, -1.0]) / np.linalg.norm([0.5, -0.3, -1.0])
MIDDLE = np.array([0.1, 0.2, 4.0])
STANDS = np.array([[0.9, 0.1, 0.3, 5.0], [-0.2, 0.95, 0.1, -7.0], [-0.25, -0.2, 0.93, 2.0], [0, 0, 0, 1.0]])


def camera(*, orthographic: bool = False, stands: np.ndarray | None = None) -> Camera:
    focal = 30.0 if orthographic else 110.0
    return Camera(np.eye(4) if stands is None else stands, focal, 0.9 * focal, 40.0, 31.0, 90, 60, orthographic)


def plane_depth(seen_by: Camera) -> np.ndarray:
    """[H, W]: where the middles of pixels see the plane, along the viewing axis; the camera is at the origin."""
    x = (np.arange(seen_by.width) + 0.5 - seen_by.cx) / seen_by.fx
    y = ((np.arange(seen_by.height) + 0.5 - seen_by.cy) / seen_by.fy)[:, None]
    if seen_by.orthographic:
        return (NORMAL @ MIDDLE - NORMAL[0] * x - NORMAL[1] * y) / NORMAL[2]
    return NORMAL @ MIDDLE / (NORMAL[0] * x + NORMAL[1] * y + NORMAL[2])


def discs(places: np.ndarray, radius: float) -> SplatCloud:
    """On the plane: [N, 2] along two axes of it."""
    across = np.cross(NORMAL, [0.0, 1.0, 0.0])
    across /= np.linalg.norm(across)
    axes = np.stack([across, np.cross(NORMAL, across), NORMAL], 1)
    count = len(places)
    return SplatCloud(
        (MIDDLE + places @ axes[:, :2].T).astype(np.float32),
        np.tile(matrices_to_quats(axes[None]), (count, 1)).astype(np.float32),
        np.log(np.tile([radius, radius, 0.01 * radius], (count, 1))).astype(np.float32),
        np.full(count, 4.0, np.float32),
        np.zeros((count, 1, 3), np.float32),
    )


def drawn(cloud: SplatCloud, seen_by: Camera, **options: bool) -> tuple[np.ndarray, np.ndarray]:
    drawing = draw_scene([SceneObject(CloudRepresentation(cloud, "cpu"), np.eye(4))], seen_by, device="cpu", **options)
    assert drawing.depth is not None
    return drawing.depth.numpy(), drawing.alpha.numpy()


@pytest.mark.parametrize("orthographic", [False, True])
def test_one_disc_is_met_on_its_plane(orthographic: bool) -> None:
    seen_by = camera(orthographic=orthographic)
    depth, alpha = drawn(discs(np.zeros((1, 2)), 0.2), seen_by, ray_depth=True)
    there, known = plane_depth(seen_by), alpha > 0.05
    assert known.sum() > 100 and np.ptp(there[known]) > 0.2
    assert np.abs(depth - there)[known].max() < 0.05 * np.ptp(there[known]), "linear in the pixel, and low-passed"
    assert (depth[alpha == 0] == 0).all()


def test_a_slanted_surface_is_drawn_where_it_is_and_not_before_it() -> None:
    steps = np.linspace(-1.2, 1.2, 25)
    cloud, seen_by = discs(np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2), 0.1), camera()
    there = plane_depth(seen_by)
    (sloped, alpha), (centres, _) = (drawn(cloud, seen_by, **{name: True}) for name in ("ray_depth", "depth"))
    known = alpha > 0.95
    assert known.mean() > 0.2
    assert (centres - there)[known].mean() < -0.02, "nearer centres count more"
    assert np.abs(sloped - there)[known].mean() < 0.1 * np.abs(centres - there)[known].mean()


def test_it_does_not_depend_on_where_the_world_begins() -> None:
    cloud = discs(np.random.default_rng(0).uniform(-0.5, 0.5, (50, 2)), 0.1)
    turn = np.linalg.qr(STANDS[:3, :3])[0]
    turn *= np.sign(np.linalg.det(turn))
    stands = np.eye(4)
    stands[:3, :3], stands[:3, 3] = turn, STANDS[:3, 3]
    moved = replace(
        cloud,
        means=((cloud.means - stands[:3, 3]) @ stands[:3, :3]).astype(np.float32),
        quats=matrices_to_quats(stands[:3, :3].T @ quats_to_matrices(cloud.quats)).astype(np.float32),
    )
    here, alpha = drawn(cloud, camera(), ray_depth=True)
    elsewhere, _ = drawn(moved, camera(stands=stands), ray_depth=True)
    assert np.abs(here - elsewhere)[alpha > 0.2].max() < 2e-3


def test_nothing_has_no_depth() -> None:
    depth, alpha = drawn(discs(np.zeros((0, 2)), 0.1), camera(), ray_depth=True)
    assert not depth.any() and not alpha.any()
