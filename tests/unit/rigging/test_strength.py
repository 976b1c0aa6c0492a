"""Splats that follow their mesh in part, and far ones that follow a part of it as one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.rigging.baking import bake_pose
from backend.rigging.binding import UNBOUND, Binding
from backend.rigging.bound import BoundRepresentation
from backend.rigging.rigid_motion import rigid_motion
from backend.splats.moved import moved_cloud
from backend.splats.representation import CloudRepresentation
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError
from tests.unit.rigging.test_bound import (
    SHIFT,
    TURN,
    bound,
    cloud_of,
    covariances,
    every_driver,
    icosphere,
    picture,
    psnr,
)

VERTICES = icosphere().vertices


def posed(rest: BoundRepresentation, turn: np.ndarray, shift: np.ndarray = SHIFT):
    return rest.posed((rest.binding.mesh.vertices @ turn.T + shift).astype(np.float32)).bake()


def with_strength(share: float, **options) -> BoundRepresentation:
    return bound(cloud_of(2), weights=np.full(len(VERTICES), share, np.float32), **options)


def test_all_the_way_is_as_without_weights() -> None:
    whole = with_strength(1.0)
    assert whole.binding.strength is not None and (whole.binding.strength == 1).all()
    one, two = posed(whole, TURN), posed(bound(cloud_of(2)), TURN)
    assert np.array_equal(one.means, two.means)
    for name in ("quats", "log_scales", "sh"):
        assert np.allclose(getattr(one, name), getattr(two, name), atol=1e-6)


@pytest.mark.parametrize("degrees", [40, 130, 179])
@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 2, -1)])
@every_driver
def test_a_share_turns_by_that_share_and_the_foot_goes_straight(driver, axis, degrees: float) -> None:
    share = 0.3
    about = np.array(axis) / np.linalg.norm(axis)
    turn, part = (Rotation.from_rotvec(np.radians(degrees) * k * about).as_matrix() for k in (1, share))
    rest = with_strength(share, driver=driver)
    there = posed(rest, turn)
    feet = rest.binding.feet()
    expected = feet + share * (feet @ turn.T + SHIFT - feet) + (rest.cloud.means - feet) @ part.T
    assert np.allclose(there.means, expected, atol=1e-4)
    assert np.allclose(covariances(there), part @ covariances(rest.cloud) @ part.T, atol=1e-5)
    turned = moved_cloud(rest.cloud, np.block([[part, np.zeros((3, 1))], [np.zeros((1, 3)), np.eye(1)]]))
    assert np.allclose(there.sh, turned.sh, atol=1e-3)


def test_stretch_goes_by_the_share_and_what_is_seen_is_what_is_baked() -> None:
    rest = with_strength(0.5)
    shown = rest.posed((3 * VERTICES).astype(np.float32))
    assert np.allclose(covariances(shown.bake()), 4 * covariances(rest.cloud), rtol=1e-3, atol=1e-7)
    assert np.allclose(shown.greatest_stretches(), 2, atol=1e-3)
    assert psnr(picture(shown), picture(CloudRepresentation(shown.bake(), "cpu"))) > 60


def test_weights_blend_between_vertices_and_none_leaves_splats_where_they_are() -> None:
    weights = np.clip(VERTICES[:, 2], 0, 1).astype(np.float32)
    rest = bound(cloud_of(1), weights=weights)
    there = posed(rest, np.eye(3), np.array([1.0, 0, 0]))
    moved = (there.means - rest.cloud.means)[:, 0]
    assert np.allclose(moved, rest.cloud.means[:, 2].clip(0, 1), atol=0.1) and moved.max() > 0.9
    still = rest.binding.faces == UNBOUND
    assert 0.3 < still.mean() < 0.6 and not moved[still].any()


def test_a_weak_splat_stays_or_goes_whole_where_the_mesh_is_mirrored() -> None:
    mirror = np.diag([-1.0, 1, 1])
    for share, turn in ((0.4, np.eye(3)), (0.6, mirror)):
        rest = with_strength(share)
        there = posed(rest, mirror, np.zeros(3))
        assert np.allclose(covariances(there), turn @ covariances(rest.cloud) @ turn.T, atol=1e-5)
        assert there.finite().all()
        shown = rest.posed((VERTICES @ mirror).astype(np.float32))
        assert psnr(picture(shown), picture(CloudRepresentation(there, "cpu"))) > 60


def test_it_is_stored_chosen_from_split_and_taken_as_rest() -> None:
    rest = bound(cloud_of(0), weights=(0.5 + 0.5 * np.clip(VERTICES[:, 2], 0, 1)).astype(np.float32))
    strength = rest.binding.strength
    again = Binding.from_arrays(rest.binding.to_arrays())
    assert strength is not None and again.strength is not None and np.array_equal(again.strength, strength)
    assert "strength" not in bound(cloud_of(0)).binding.to_arrays()
    cloud, binding = bake_pose(rest.cloud, rest.binding, VERTICES * np.float32(8))
    assert len(cloud) > len(rest.cloud) and binding.strength is not None and len(binding.strength) == len(cloud)
    assert np.allclose(posed(BoundRepresentation(cloud, binding, "cpu"), np.eye(3), np.zeros(3)).means, cloud.means)
    part = binding.select(np.arange(5)).strength
    assert part is not None and np.array_equal(part, binding.strength[:5])
    for wrong in (np.full(3000, 2, np.float32), np.full(2, 1, np.float32), np.full(3000, np.nan, np.float32)):
        with pytest.raises(ValueError, match="strengths"):
            Binding.from_arrays(rest.binding.to_arrays() | {"strength": wrong})
    with pytest.raises(ValueError, match="carries"):
        Binding.from_arrays(rest.binding.to_arrays() | {"carrier": np.zeros(len(VERTICES), np.float32)})


def test_a_group_without_weights_is_said() -> None:
    nothing = np.zeros(len(VERTICES), np.float32)
    with pytest.raises(UserError, match="no weights"):
        bound(cloud_of(0), weights=nothing)
    with pytest.raises(UserError, match="no weights"):
        bound(cloud_of(0), far="follow", carrier=nothing)
    far_off = np.zeros(len(VERTICES), np.float32)
    far_off[VERTICES[:, 2].argmax()] = 1
    below = cloud_of(0).select(np.flatnonzero(cloud_of(0).means[:, 2] < -0.3))
    with pytest.raises(UserError, match="has a weight"):
        bound(below, weights=far_off)


# ---- far splats


def two_balls() -> tuple[TriangleMesh, np.ndarray]:
    """At the origin, and at x = 6: the weights choose the second one."""
    one = icosphere()
    vertices = np.concatenate([one.vertices, one.vertices + np.array([6, 0, 0], np.float32)])
    mesh = TriangleMesh(vertices, np.concatenate([one.faces, one.faces + len(one.vertices)]))
    return mesh, (vertices[:, 0] > 3).astype(np.float32)


def test_far_splats_go_as_one_with_the_vertices_that_carry_them() -> None:
    mesh, weights = two_balls()
    cloud = cloud_of(2)
    cloud = replace(
        cloud, means=np.where(np.arange(3000)[:, None] % 2, cloud.means, cloud.means * 2).astype(np.float32)
    )
    rest = bound(cloud, mesh, distance=0.3, far="follow", carrier=weights)
    far = rest.binding.rigid
    carrier = Binding.from_arrays(rest.binding.to_arrays()).carrier
    assert 1000 < far.sum() < 2000 and carrier is not None and np.array_equal(carrier, weights)
    vertices = mesh.vertices.copy()
    second = weights > 0
    vertices[second] = (vertices[second] - (6, 0, 0)) @ TURN.T + (6, 0, 0) + SHIFT
    vertices[~second] *= np.float32(1.5)
    there = rest.posed(vertices).bake()
    pivot = np.array([6.0, 0, 0])
    assert np.allclose(there.means[far], (cloud.means[far] - pivot) @ TURN.T + pivot + SHIFT, atol=1e-4)
    assert np.allclose(covariances(there)[far], TURN @ covariances(cloud)[far] @ TURN.T, atol=1e-5)
    assert np.allclose(there.means[~far], 1.5 * cloud.means[~far], atol=0.02)
    # What is near a carrier that is nowhere is drawn; what it carries is not.
    vertices[second] = np.nan
    lost = rest.posed(vertices)
    assert picture(lost).max() > 0.3 and np.isfinite(picture(lost)).all()
    assert np.array_equal(lost.bake().means[far], cloud.means[far])


def test_a_carrier_counts_only_where_splats_are_far() -> None:
    mesh, weights = two_balls()
    assert bound(cloud_of(0), mesh, carrier=weights, far="follow").binding.carrier is None


@pytest.mark.parametrize("count", [1, 2, 3, 50])
def test_a_rigid_motion_is_found_from_any_number_of_points(count: int) -> None:
    points = np.random.default_rng(3).normal(size=(count, 3))
    found = rigid_motion(points, points @ TURN.T + SHIFT, np.linspace(1, 2, count))
    assert found is not None
    turn, shift = found
    assert np.allclose(points @ turn.T + shift, points @ TURN.T + SHIFT, atol=1e-6)
    assert np.allclose(turn @ turn.T, np.eye(3)) and np.linalg.det(turn) > 0
    if count >= 3:
        assert np.allclose(turn, TURN, atol=1e-6)
    still = rigid_motion(points, points, np.ones(count))
    assert still is not None and np.allclose(still[0], np.eye(3), atol=1e-6), "what points leave open does not turn"


def test_a_rigid_motion_knows_noise_from_turning_and_mirrors_with_the_mesh() -> None:
    points = np.random.default_rng(4).normal(size=(200, 3))
    mirror = np.diag([-1.0, 1, 1]) @ TURN
    found = rigid_motion(points, points @ mirror.T, np.ones(200), side=-1.0)
    assert found is not None and np.allclose(found[0], mirror, atol=1e-6)
    after = points @ TURN.T
    after[3] = np.nan
    found = rigid_motion(points, after, np.ones(200))
    assert found is not None and np.allclose(found[0], TURN, atol=1e-6)
    assert rigid_motion(points, np.full_like(points, np.nan), np.ones(200)) is None
