"""Splats hang on the faces that they lie on, and go with what they cover."""

from __future__ import annotations

import numpy as np
import pytest

from backend.rigging.binding import bind_to_mesh
from backend.rigging.closest_faces import closest_faces
from backend.rigging.fitting_faces import FaceChooser
from backend.rigging.posing import SplatPoser
from backend.splats.cloud import SplatCloud
from backend.splats.triangle_mesh import TriangleMesh


def splats(means: np.ndarray, scales: np.ndarray) -> SplatCloud:
    n = len(means)
    quats = np.tile(np.array([1, 0, 0, 0], np.float32), (n, 1))
    log_scales = np.log(np.broadcast_to(scales, (n, 3))).astype(np.float32)
    return SplatCloud(
        means.astype(np.float32), quats, log_scales, np.zeros(n, np.float32), np.zeros((n, 1, 3), np.float32)
    )


def grid(cells: int) -> TriangleMesh:
    """The square from 0 to 1 in x and y."""
    places = np.linspace(0, 1, cells + 1)
    x, y = np.meshgrid(places, places, indexing="ij")
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], -1).astype(np.float32)
    corner = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).ravel()
    lower = np.stack([corner, corner + cells + 1, corner + 1], -1)
    upper = np.stack([corner + 1, corner + cells + 1, corner + cells + 2], -1)
    return TriangleMesh(vertices, np.concatenate([lower, upper]).astype(np.int32))


def both(one: TriangleMesh, other: TriangleMesh) -> TriangleMesh:
    faces = np.concatenate([one.faces, other.faces + len(one.vertices)]).astype(np.int32)
    return TriangleMesh(np.concatenate([one.vertices, other.vertices]), faces)


def test_where_two_plates_cross_a_flat_splat_stays_with_its_own() -> None:
    flat = grid(8)
    upright = TriangleMesh(flat.vertices[:, [2, 1, 0]] + np.array([0.5, 0, -0.5], np.float32), flat.faces)
    mesh = both(flat, upright)
    # A little above the lying plate, and nearer to the standing one.
    means = np.array([[0.51, 0.3, 0.02], [0.49, 0.7, -0.02]])
    cloud = splats(means, np.array([0.1, 0.1, 0.001]))
    usable = np.arange(len(mesh.faces))
    assert (closest_faces(cloud.means, mesh, usable).faces >= len(flat.faces)).all()
    places = FaceChooser(mesh, usable).places(cloud)
    assert (places.faces < len(flat.faces)).all()
    assert places.heights == pytest.approx(means[:, 2], abs=1e-6)
    assert places.distances == pytest.approx([0.01, 0.01], abs=1e-6)  # from the mesh, whichever face


def test_the_place_on_a_face_is_its_nearest_point() -> None:
    random = np.random.default_rng(1)
    mesh = TriangleMesh(
        random.normal(size=(60, 3)).astype(np.float32), random.permutation(60).reshape(20, 3).astype(np.int32)
    )
    cloud = splats(random.normal(size=(500, 3)), np.array([1e-6] * 3))  # round: the nearest face is the right one
    usable = np.arange(len(mesh.faces))
    places, nearest = FaceChooser(mesh, usable).places(cloud), closest_faces(cloud.means, mesh, usable)
    feet = np.einsum("nk,nki->ni", places.barycentrics, mesh.corners[places.faces])
    assert np.linalg.norm(feet - cloud.means, axis=1) == pytest.approx(nearest.distances, abs=1e-5)
    assert places.barycentrics.min() >= 0 and np.allclose(places.barycentrics.sum(axis=1), 1)


def test_one_stretched_cell_stretches_small_splats_and_hardly_large_ones() -> None:
    mesh = grid(20)
    means = np.array([[0.525, 0.525, 0.0], [0.525, 0.525, 0.0]])
    small, large = np.array([0.005, 0.005, 0.0001]), np.array([0.1, 0.1, 0.0001])
    cloud = splats(means, np.stack([small, large]))
    vertices = mesh.vertices.copy()
    vertices[vertices[:, 0] > 0.53, 0] += 0.05  # one column of cells becomes twice as wide
    poser = SplatPoser(cloud, bind_to_mesh(cloud, mesh))
    maps = poser.maps(vertices)
    across = poser.stretches(maps)[:, 0, 0]
    assert across[0] > 1.4 and 1.0 < across[1] < 1.3 < across[0]


def test_wide_splats_follow_a_map_of_the_whole_mesh_exactly() -> None:
    mesh = grid(12)
    random = np.random.default_rng(2)
    means = np.column_stack([random.uniform(0, 1, (300, 2)), np.zeros(300)])
    cloud = splats(means, np.exp(random.uniform(-6, -1, (300, 1))) * np.array([1, 1, 0.01]))
    matrix = np.array([[1.5, 0.3, 0], [-0.4, 0.8, 0], [0, 0, 1.0]])
    binding = bind_to_mesh(cloud, mesh, keep_thickness=True)
    poser = SplatPoser(cloud, binding)
    assert len(np.unique(poser.rows)) > len(mesh.vertices)  # wide maps, too
    vertices = (mesh.vertices @ matrix.T).astype(np.float32)
    maps = poser.maps(vertices)
    jacobians = poser.jacobians(maps, poser.pose(vertices, maps))
    assert np.allclose(jacobians, matrix, atol=1e-4)
