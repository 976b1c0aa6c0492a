"""The z-buffer of triangles against planes and spheres that are known exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from backend.splats.cameras import Camera
from backend.splats.surface_depth import surface_depth, surface_depth_samples

AWAY = np.eye(4)
AWAY[:3, 3] = (0.1, -0.2, 4.0)
PERSPECTIVE = Camera(AWAY, 60.0, 55.0, 31.0, 25.0, 64, 48)
ORTHOGRAPHIC = replace(PERSPECTIVE, fx=14.0, fy=15.0, orthographic=True)
both_cameras = pytest.mark.parametrize("camera", [PERSPECTIVE, ORTHOGRAPHIC], ids=["perspective", "orthographic"])
SQUARE = np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def rays(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Origins and directions [H, W, 3] in the camera's frame; along each direction z grows by 1."""
    y, x = np.mgrid[: camera.height, : camera.width] + 0.5
    x, y = (x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy
    nothing = np.zeros_like(x)
    ahead = np.stack([nothing, nothing, nothing + 1], -1)
    if camera.orthographic:
        return np.stack([x, y, nothing], -1), ahead
    return np.zeros_like(ahead), np.stack([x, y, nothing + 1], -1)


@both_cameras
def test_a_tilted_plane_is_exact_and_has_no_gap(camera: Camera) -> None:
    normal, offset = np.array([0.5, -0.4, 1.0]), 4.0  # in the camera's frame
    corners = np.array([[-9, -9], [9, -9], [9, 9], [-9, 9]], np.float64)
    seen = np.c_[corners, (offset - corners @ normal[:2])]
    rotation, translation = camera.camera_from_world[:3, :3], camera.camera_from_world[:3, 3]
    world = ((seen - translation) @ rotation).astype(np.float32)
    origins, directions = rays(camera)
    truth = (offset - origins @ normal) / (directions @ normal)
    found = surface_depth(world, SQUARE, camera, near=0.01)
    assert np.isfinite(found).all()
    assert np.abs(found - truth).max() < 1e-4


@both_cameras
def test_a_sphere_is_where_it_is_and_nothing_is_beside_it(camera: Camera) -> None:
    made = trimesh.creation.icosphere(subdivisions=5, radius=1.0)
    found = surface_depth(made.vertices.astype(np.float32), made.faces, camera, near=0.01)
    origins, directions = rays(camera)
    toward = origins - camera.camera_from_world[:3, 3]
    a, b = (directions**2).sum(-1), (toward * directions).sum(-1)
    under = b**2 - a * ((toward**2).sum(-1) - 1.0)
    truth = np.where(under > 0, (-b - np.sqrt(np.maximum(under, 0))) / a, np.inf)
    inside = under > 0.02
    assert inside.sum() > 300
    assert np.abs(found[inside] - truth[inside]).max() < 5e-3
    assert np.isinf(found[under < -0.02]).all()


def test_the_nearer_of_two_surfaces_counts_whatever_their_order() -> None:
    corners = np.array([[-9, -9, 0], [9, -9, 0], [9, 9, 0], [-9, 9, 0]], np.float32)
    two = np.concatenate([corners, corners + np.float32([0, 0, 1])])
    faces = np.concatenate([SQUARE, SQUARE + 4])
    one, other = (surface_depth(two, f, PERSPECTIVE, near=0.01) for f in (faces, faces[::-1]))
    assert np.allclose(one, 4.0) and np.array_equal(one, other)


@both_cameras
def test_a_face_through_the_camera_is_cut_and_not_lost(camera: Camera) -> None:
    """A floor that reaches from far ahead to far behind."""
    floor = np.array([[-9, 1, -50], [9, 1, -50], [9, 1.5, 50], [-9, 1.5, 50]], np.float32)
    found = surface_depth(floor, SQUARE, camera, near=0.01)
    assert np.isfinite(found).any() and (found >= 0.01 - 1e-6).all()
    if not camera.orthographic:
        assert np.isfinite(found[-1]).all() and np.isinf(found[0]).all()
        row = found[-4:].mean(axis=1)
        assert (np.diff(row) < 0).all(), "lower in the picture the floor is nearer"


def test_broken_faces_are_left_out() -> None:
    corners = np.array([[-9, -9, 0], [9, -9, 0], [9, 9, 0], [-9, 9, 0], [np.nan, 0, 0]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3], [0, 1, 4], [1, 1, 1], [0, 1, 1]], np.int32)
    assert np.allclose(surface_depth(corners, faces, PERSPECTIVE, near=0.01), 4.0)
    assert np.isinf(surface_depth(corners, faces[:0], PERSPECTIVE, near=0.01)).all()


@both_cameras
def test_four_samples_of_a_pixel_lie_in_the_middle_of_its_quarters(camera: Camera) -> None:
    normal, offset = np.array([0.5, -0.4, 1.0]), 4.0
    corners = np.array([[-9, -9], [9, -9], [9, 9], [-9, 9]], np.float64)
    seen = np.c_[corners, (offset - corners @ normal[:2])]
    rotation, translation = camera.camera_from_world[:3, :3], camera.camera_from_world[:3, 3]
    world = ((seen - translation) @ rotation).astype(np.float32)
    found = surface_depth_samples(world, SQUARE, camera, near=0.01)
    assert found.shape == (48, 64, 4)
    for sample, (down, right) in enumerate([(-0.25, -0.25), (-0.25, 0.25), (0.25, -0.25), (0.25, 0.25)]):
        origins, directions = rays(replace(camera, cx=camera.cx - right, cy=camera.cy - down))
        truth = (offset - origins @ normal) / (directions @ normal)
        assert np.abs(found[..., sample] - truth).max() < 1e-4


def test_an_edge_covers_as_many_samples_as_lie_on_its_side() -> None:
    """The square's left edge runs through the middle of a column's right half."""
    edge = (20.6 - PERSPECTIVE.cx) / PERSPECTIVE.fx * 4.0 - AWAY[0, 3]
    corners = np.array([[edge, -9, 0], [9, -9, 0], [9, 9, 0], [edge, 9, 0]], np.float32)
    found = np.isfinite(surface_depth_samples(corners, SQUARE, PERSPECTIVE, near=0.01)).mean(axis=(0, 2))
    assert (found[:20] == 0).all() and found[20] == 0.5 and (found[21:] == 1).all()
