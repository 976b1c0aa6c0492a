from __future__ import annotations

import math

import numpy as np
import pytest
from msgspec.structs import replace

from blender_addon.core.viewpoints import Orbit, fitting_distance, middle, viewpoints
from shared_protocol.errors import UserError

CENTRE = np.array([1.0, -2.0, 0.5])
ORBITS = [Orbit(), Orbit(arrangement="RINGS"), Orbit(count=7, arrangement="RINGS", rings=20), Orbit(jitter=1.0)]


def elevations(poses: np.ndarray, distance: float) -> np.ndarray:
    return np.arcsin((poses[:, 2, 3] - CENTRE[2]) / distance)


@pytest.mark.parametrize("orbit", ORBITS)
def test_every_camera_looks_at_the_centre_upright_from_the_distance(orbit: Orbit) -> None:
    poses = viewpoints(orbit, CENTRE, 4.0)
    assert poses.shape == (orbit.count, 4, 4)
    axes = poses[:, :3, :3]
    np.testing.assert_allclose(axes @ axes.transpose(0, 2, 1), np.broadcast_to(np.eye(3), axes.shape), atol=1e-12)
    assert (np.linalg.det(axes) > 0).all()
    np.testing.assert_allclose(
        poses[:, :3, 3] - 4.0 * poses[:, :3, 2], np.broadcast_to(CENTRE, (len(poses), 3)), atol=1e-12
    )
    assert np.abs(poses[:, 2, 0]).max() < 1e-12  # the horizon is level
    assert (poses[:, 2, 1] > 0).all()  # and up is up
    seen = elevations(poses, 4.0)
    assert seen.min() >= orbit.lowest - 1e-9 and seen.max() <= orbit.highest + 1e-9


def test_places_on_the_whole_sphere_are_as_far_apart_as_their_number_allows() -> None:
    poses = viewpoints(Orbit(count=100, lowest=-math.pi / 2, highest=math.pi / 2), np.zeros(3), 1.0)
    apart = np.linalg.norm(poses[:, None, :3, 3] - poses[None, :, :3, 3], axis=-1) + 9 * np.eye(100)
    assert apart.min(axis=1).min() > 0.25  # a hexagonal lattice of 100 places on the unit sphere has 0.38


def test_rings_are_level_and_longer_ones_have_more_cameras() -> None:
    poses = viewpoints(Orbit(count=40, arrangement="RINGS", rings=3, lowest=0.0, highest=1.2), CENTRE, 2.0)
    levels, counts = np.unique(elevations(poses, 2.0).round(6), return_counts=True)
    assert levels == pytest.approx([0.0, 0.6, 1.2], abs=1e-5)
    assert counts.sum() == 40 and counts[0] > counts[1] > counts[2] > 0


def test_from_straight_above_it_is_still_known_where_up_is() -> None:
    poses = viewpoints(
        Orbit(count=4, arrangement="RINGS", rings=1, lowest=math.pi / 2, highest=math.pi / 2), CENTRE, 2.0
    )
    assert np.isfinite(poses).all()
    np.testing.assert_allclose(poses[:, :3, 2], np.broadcast_to((0.0, 0.0, 1.0), (4, 3)), atol=1e-9)


def test_jitter_is_the_seeds_and_no_others() -> None:
    orbit = Orbit(jitter=0.5, seed=3)
    same, again = viewpoints(orbit, CENTRE, 2.0), viewpoints(orbit, CENTRE, 2.0)
    other = viewpoints(replace(orbit, seed=4), CENTRE, 2.0)
    np.testing.assert_array_equal(same, again)
    assert np.abs(same - other).max() > 0.01


@pytest.mark.parametrize("orbit", ORBITS)
def test_at_the_fitting_distance_all_is_seen_and_something_touches_an_edge(orbit: Orbit) -> None:
    points = np.random.default_rng(0).normal(size=(50, 3)) * (1, 2, 3) + CENTRE
    exact = replace(orbit, margin=1.0)
    distance = fitting_distance(exact, CENTRE, points, half_width=0.5, half_height=0.3)
    views = np.linalg.inv(viewpoints(exact, CENTRE, distance))
    x, y, z = np.einsum("vij,nj->ivn", views[:, :3, :3], points) + views[:, :3, 3].T[..., None]
    reach = np.maximum(np.abs(x / -z) / 0.5, np.abs(y / -z) / 0.3)
    assert (z < 0).all() and reach.max() == pytest.approx(1.0)
    assert fitting_distance(replace(exact, margin=1.5), CENTRE, points, 0.5, 0.3) == pytest.approx(1.5 * distance)


def test_a_single_point_is_seen_from_somewhere() -> None:
    assert fitting_distance(Orbit(), CENTRE, CENTRE[None], 0.5, 0.3) > 0


def test_the_middle_is_that_of_the_box() -> None:
    assert middle(np.array([(0, 0, 0), (0, 0, 0), (2, -4, 6.0)])).tolist() == [1, -2, 3]


@pytest.mark.parametrize("orbit", [Orbit(count=3), Orbit(lowest=1.0, highest=0.5)])
def test_an_orbit_without_cameras_is_refused(orbit: Orbit) -> None:
    with pytest.raises(UserError):
        viewpoints(orbit, CENTRE, 2.0)
