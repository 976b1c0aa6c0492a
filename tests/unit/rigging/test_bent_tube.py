"""Bound splats where a mesh is bent and twisted far: both drivers against what is known exactly, and split splats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.rigging.baking import bake_pose
from backend.rigging.binding import bind_to_mesh
from backend.rigging.bound import BoundRepresentation, PosedRepresentation
from backend.rigging.drivers import Driver
from backend.rigging.splitting import split_stretched
from backend.splats.cloud import SplatCloud
from backend.splats.quaternions import quats_to_matrices
from backend.splats.representation import CloudRepresentation
from backend.splats.triangle_mesh import TriangleMesh
from tests.unit.rigging.bent_tube import Map, bend, captured_tube, deformed, holes, psnr, tube, twist


@pytest.fixture(scope="module")
def cloud() -> SplatCloud:
    return captured_tube(5000)


def posed(cloud: SplatCloud, mesh: TriangleMesh, carry: Map, driver: Driver) -> PosedRepresentation:
    binding = bind_to_mesh(cloud, mesh, driver=driver, distance=1.0)
    return BoundRepresentation(cloud, binding, "cpu").posed(carry(mesh.vertices))


@pytest.mark.parametrize("carry", [bend, twist])
@pytest.mark.parametrize("driver", ["smooth", "per_face"])
def test_the_pose_is_nearly_what_the_map_itself_would_make(cloud: SplatCloud, carry: Map, driver: Driver) -> None:
    truth = CloudRepresentation(deformed(cloud, carry), "cpu")
    assert psnr(posed(cloud, tube(24, 41), carry, driver), truth) > 40


def test_beside_the_mesh_smooth_maps_tear_nothing(cloud: SplatCloud) -> None:
    """Splats that stand off a coarse mesh: by face they part where faces meet."""

    def carry(points: np.ndarray) -> np.ndarray:
        return twist(points, 1.5 * np.pi)

    truth = CloudRepresentation(deformed(cloud, carry), "cpu")
    inner = tube(24, 41, radius=0.28)
    assert psnr(posed(cloud, inner, carry, "smooth"), truth) > psnr(posed(cloud, inner, carry, "per_face"), truth) + 3


def test_faces_with_vertices_of_their_own_hang_together_where_they_meet(cloud: SplatCloud) -> None:
    mesh = tube(24, 41, radius=0.28)
    loose = TriangleMesh(
        mesh.corners.reshape(-1, 3).astype(np.float32), np.arange(3 * len(mesh.faces), dtype=np.int32).reshape(-1, 3)
    )
    assert loose.joined().is_watertight and not loose.is_watertight
    whole, apart = (posed(cloud, which, twist, "smooth").bake() for which in (mesh, loose))
    assert np.abs(whole.means - apart.means).max() < 1e-5
    assert np.abs(whole.log_scales - apart.log_scales).max() < 1e-3

    def mirror(points: np.ndarray) -> np.ndarray:
        return points * (-1, 1, 1)

    whole, apart = (posed(cloud, which, mirror, "smooth").bake() for which in (mesh, loose))
    assert np.abs(apart.means - mirror(cloud.means)).max() < 1e-4
    assert np.abs(whole.means - apart.means).max() < 1e-5


def stretch(points: np.ndarray) -> np.ndarray:
    return points * (1, 1, 3.0)


@pytest.mark.parametrize("carry", [bend, twist, stretch])
def test_a_bent_tube_has_no_holes(cloud: SplatCloud, carry: Map) -> None:
    mesh = tube(24, 41)
    assert holes(CloudRepresentation(cloud, "cpu"), lambda points: points) < 0.001
    binding = bind_to_mesh(cloud, mesh)
    baked, _ = bake_pose(cloud, binding, carry(mesh.vertices))
    covered = holes(CloudRepresentation(baked, "cpu"), carry)
    assert covered < 0.002
    turned, _ = bake_pose(cloud, replace(binding, stretch_limit=1.0), carry(mesh.vertices))  # but not stretched
    if carry is not twist:  # which leaves areas as they are
        assert holes(CloudRepresentation(turned, "cpu"), carry) > covered + 0.001


def test_what_is_baked_is_what_was_shown(cloud: SplatCloud) -> None:
    shown = posed(cloud, tube(24, 41), bend, "smooth")
    assert psnr(shown, CloudRepresentation(shown.bake(), "cpu")) > 60


def test_parts_lie_where_the_whole_lay() -> None:
    cloud = captured_tube(800)
    mesh = tube(24, 41)

    def carry(points: np.ndarray) -> np.ndarray:
        return points * (1, 1, 4.0)

    binding = bind_to_mesh(cloud, mesh)
    vertices = carry(mesh.vertices).astype(np.float32)
    parts, held = split_stretched(cloud, binding, vertices, beyond=2.0)
    assert len(parts) == len(held) > 1.3 * len(cloud)
    axes = quats_to_matrices(cloud.quats) * np.exp(cloud.log_scales)[:, None, :]
    growth = np.linalg.norm(np.diag([1, 1, 4.0]) @ axes, 2, axis=(1, 2)) / np.exp(cloud.log_scales.max(axis=1))
    whole = np.flatnonzero(growth < 1.8)
    assert len(whole) and np.array_equal(parts.means[whole], cloud.means[whole])
    assert np.array_equal(held.faces[whole], binding.faces[whole])
    # The first and the last moment of all stay: what is covered, and where it is.
    mass, before = (_mass(which) for which in (parts, cloud))
    assert mass.sum() == pytest.approx(before.sum(), rel=0.1)
    assert np.allclose(_variance(parts, mass), _variance(cloud, before), rtol=0.02)
    baked = [bake_pose(cloud, binding, vertices, split_beyond=beyond)[0] for beyond in (None, 2.0)]
    assert len(baked[0]) == len(cloud) and len(baked[1]) == len(parts)
    longest = [np.exp(one.log_scales.max(axis=1)).max() for one in baked]
    assert longest[1] < 0.65 * longest[0]


def test_parts_go_on_from_where_they_were_baked() -> None:
    cloud, mesh = captured_tube(800), tube(24, 41)
    stretched = (mesh.vertices * (1, 1, 4)).astype(np.float32)
    baked, binding = bake_pose(cloud, bind_to_mesh(cloud, mesh), stretched)
    assert len(baked) > len(cloud)
    moved = BoundRepresentation(baked, binding, "cpu").posed(stretched + np.float32(3)).bake()
    assert np.abs(moved.means - baked.means - 3).max() < 1e-5


def _mass(cloud: SplatCloud) -> np.ndarray:
    """Optical depth times size, [N]."""
    return np.logaddexp(0, cloud.opacity_logits) * np.exp(cloud.log_scales.sum(axis=1))


def _variance(cloud: SplatCloud, mass: np.ndarray) -> np.ndarray:
    """[3, 3], of all splats together around the origin."""
    axes = quats_to_matrices(cloud.quats) * np.exp(cloud.log_scales.astype(np.float64))[:, None, :]
    spread = axes @ axes.transpose(0, 2, 1) + cloud.means[:, :, None] * cloud.means[:, None, :]
    return (mass[:, None, None] * spread).sum(axis=0) / mass.sum()
