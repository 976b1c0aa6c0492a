"""A triangle of each splat, and splats that follow their own triangle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backend.meshing.splat_triangles import splat_triangles
from backend.rigging.binding import bind_to_mesh
from backend.rigging.bound import BoundRepresentation
from backend.splats.cloud import SplatCloud
from backend.splats.deformed_shapes import axes_of_shapes
from backend.splats.moved import moved_cloud
from backend.splats.rendering import CloudRenderer
from tests.made_splats import sphere, with_shine
from tests.unit.rigging.bent_tube import cameras

CLOUD = with_shine(sphere(1.0, 800), 2)


def bound(cloud: SplatCloud) -> BoundRepresentation:
    mesh = splat_triangles(cloud)
    return BoundRepresentation(cloud, bind_to_mesh(cloud, mesh, driver="per_face"), "cpu")


def covariances(cloud: SplatCloud) -> np.ndarray:
    axes = axes_of_shapes(cloud.quats, cloud.log_scales)
    return axes @ axes.transpose(0, 2, 1)


def test_each_splat_hangs_on_its_own_triangle_and_comes_back() -> None:
    rest = bound(CLOUD)
    assert np.array_equal(rest.binding.faces, np.arange(len(CLOUD)))
    again = rest.posed(rest.binding.mesh.vertices).bake()
    assert np.abs(again.means - CLOUD.means).max() < 1e-6
    assert np.abs(covariances(again) - covariances(CLOUD)).max() < 1e-6


def test_a_stretch_of_the_triangles_stretches_their_splats() -> None:
    """Which the normalised edges of GaMeS lose."""
    rest = bound(CLOUD)
    matrix = np.diag([2.0, 2.0, 2.0, 1.0])
    grown, truth = rest.posed(2 * rest.binding.mesh.vertices).bake(), moved_cloud(CLOUD, matrix)
    assert np.abs(grown.means - truth.means).max() < 1e-5
    assert np.allclose(covariances(grown), covariances(truth), atol=1e-6)


def test_one_triangle_can_be_moved_alone() -> None:
    rest = bound(CLOUD)
    vertices = rest.binding.mesh.vertices.copy()
    vertices[30:33] += np.float32(0.5)
    moved = rest.posed(vertices).bake()
    away = np.linalg.norm(moved.means - CLOUD.means, axis=1)
    assert np.isclose(away[10], 0.5 * np.sqrt(3), atol=1e-5) and away[np.arange(len(CLOUD)) != 10].max() < 1e-6


def test_a_wave_through_the_triangles_draws_whole_pictures() -> None:
    rest, camera = bound(CLOUD), cameras(1, 48)[0]
    for phase in np.linspace(0, 6, 10):
        vertices = rest.binding.mesh.vertices.copy()
        vertices[:, 0] += 0.3 * np.sin(3 * vertices[:, 2] + phase).astype(np.float32)
        picture = CloudRenderer(rest.posed(vertices).bake(), "cpu").draw(camera)
        assert np.isfinite(picture.color.numpy()).all() and picture.alpha.max() > 0.9


def test_needles_and_broken_splats_do_no_harm() -> None:
    """A needle's triangle is nearly a line, so it goes with the nearest that is none."""
    log_scales, means = CLOUD.log_scales.copy(), CLOUD.means.copy()
    log_scales[5] = np.log([1.0, 1e-6, 1e-6])
    means[7] = np.nan
    cloud = replace(CLOUD, log_scales=log_scales, means=means)
    rest = bound(cloud)
    assert len(rest.binding.mesh.faces) == len(cloud) - 1
    assert rest.binding.faces[5] not in (5, -1) and rest.binding.faces[7] == -1
    moved = rest.posed(rest.binding.mesh.vertices + np.float32(1)).bake()
    assert np.abs(moved.means[5] - cloud.means[5] - 1).max() < 1e-5
