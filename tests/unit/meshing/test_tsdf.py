"""Meshes of splatted shapes against the shapes themselves."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from backend.meshing.inputs import MeshingInputs, MeshingResult
from backend.methods.job import QuietJob
from backend.methods.meshing.tsdf import TsdfSettings, run
from backend.splats.bounds import robust_bounds
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.representation import CloudRepresentation
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError
from tests.made_splats import box, sphere


def meshed(cloud: SplatCloud, cameras: tuple[Camera, ...] = (), **settings) -> MeshingResult:
    settings = {"resolution": 48, "views": 24, "texture": None, **settings}
    bounds = robust_bounds(cloud)
    assert bounds is not None
    return run(TsdfSettings(**settings), MeshingInputs(CloudRepresentation(cloud, "cpu"), bounds, cameras), QuietJob())


@cache
def ball() -> MeshingResult:
    return meshed(sphere(1.0, 4000))


def volume(mesh: TriangleMesh) -> float:
    a, b, c = np.moveaxis(mesh.corners, 1, 0)
    return float((a * np.cross(b, c)).sum() / 6)


def joined(*clouds: SplatCloud) -> SplatCloud:
    fields = ("means", "quats", "log_scales", "opacity_logits", "sh")
    return SplatCloud(*(np.concatenate([getattr(cloud, name) for cloud in clouds]) for name in fields))


def test_a_sphere_becomes_one_closed_piece_within_a_voxel() -> None:
    result, mesh = ball(), ball().mesh
    off = np.linalg.norm(mesh.vertices, axis=1) - 1
    assert np.abs(off).mean() < 0.6 * result.voxel and np.abs(off).max() < 1.5 * result.voxel
    assert mesh.is_watertight and mesh.pieces().max() == 0
    edges = 3 * len(mesh.faces) / 2
    assert len(mesh.vertices) - edges + len(mesh.faces) == 2, "a sphere has no handles"
    assert volume(mesh) == pytest.approx(4 / 3 * np.pi, rel=0.1), "and its outside is outside"


def test_colours_are_those_of_the_splats() -> None:
    mesh = ball().mesh
    assert mesh.colors is not None
    top, bottom = mesh.colors[mesh.vertices[:, 2] > 0.15], mesh.colors[mesh.vertices[:, 2] < -0.15]
    assert np.abs(top - np.array([229.5, 25.5, 25.5])).max() < 12
    assert np.abs(bottom - np.array([25.5, 25.5, 229.5])).max() < 12


def test_every_side_of_a_box_is_flat_and_has_its_colour() -> None:
    result = meshed(box())
    mesh = result.mesh
    assert mesh.is_watertight and mesh.colors is not None
    assert np.abs(np.abs(mesh.vertices).max(axis=1) - 1).mean() < 0.5 * result.voxel
    for axis in range(3):
        others = np.abs(np.delete(mesh.vertices, axis, axis=1)).max(axis=1) < 0.8
        side = others & (mesh.vertices[:, axis] > 0.8)
        assert side.sum() > 100
        color = np.full(3, 51.0)
        color[axis] = 229.5
        assert np.abs(np.median(mesh.colors[side], axis=0) - color).max() < 8


def test_the_same_splats_give_the_same_mesh() -> None:
    again, before = meshed(sphere(1.0, 4000)).mesh, ball().mesh
    assert again.vertices.tobytes() == before.vertices.tobytes()
    assert again.faces.tobytes() == before.faces.tobytes()
    assert again.colors is not None and before.colors is not None
    assert np.array_equal(again.colors, before.colors)


def test_the_face_budget_is_kept_and_the_surface_stays() -> None:
    result = meshed(sphere(1.0, 4000), faces=1500)
    assert 1000 < len(result.mesh.faces) <= 1500
    assert np.abs(np.linalg.norm(result.mesh.vertices, axis=1) - 1).mean() < result.voxel


def test_small_pieces_are_removed_only_when_they_are_small() -> None:
    two = joined(sphere(1.0, 4000), sphere(0.15, 300, centre=(0.0, 0.0, 1.6)))
    assert meshed(two).mesh.pieces().max() == 0
    assert meshed(two, least_piece=0.0).mesh.pieces().max() == 1


def test_what_no_camera_of_the_capture_saw_stays_open() -> None:
    def camera(angle: float) -> Camera:
        centre = 4 * np.array([np.cos(angle), np.sin(angle), 0.8])
        forward = -centre / np.linalg.norm(centre)
        right = np.cross(forward, (0, 0, 1))
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
        pose[:3, 3] = -pose[:3, :3] @ centre
        return Camera(pose, 160.0, 160.0, 80.0, 60.0, 160, 120)

    cameras = tuple(camera(angle) for angle in np.linspace(0, 2 * np.pi, 16, endpoint=False))
    result = meshed(sphere(1.0, 4000), cameras)
    assert result.views == 16 and not result.mesh.is_watertight
    assert result.mesh.vertices[:, 2].max() > 0.95 and result.mesh.vertices[:, 2].min() > -0.9
    assert np.abs(np.linalg.norm(result.mesh.vertices, axis=1) - 1).mean() < result.voxel


def test_fog_has_no_surface() -> None:
    fog = sphere(1.0, 500)
    faint = SplatCloud(fog.means, fog.quats, fog.log_scales, np.full(len(fog), -4.0, np.float32), fog.sh)
    with pytest.raises(UserError, match="No surface"):
        meshed(faint)


def test_stray_splats_do_not_cost_the_resolution() -> None:
    stray = sphere(0.01, 5, centre=(90.0, 0.0, 0.0))
    bounds = robust_bounds(joined(sphere(1.0, 4000), stray))
    assert bounds is not None and np.allclose(bounds, [[-1] * 3, [1] * 3], atol=0.55)
    assert robust_bounds(sphere(1.0, 1).select(np.zeros(0, int))) is None
