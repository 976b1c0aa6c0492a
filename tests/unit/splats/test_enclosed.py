"""Points inside meshes: whole turns of closed ones by rays, as the solid angles of all others say them."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from backend.splats import enclosed
from backend.splats.enclosed import distances_to, enclosed_by
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError

AROUND = np.random.default_rng(0).uniform(-1.4, 1.4, (20_000, 3)).astype(np.float32)


def as_mesh(made: trimesh.Trimesh) -> TriangleMesh:
    return TriangleMesh(np.array(made.vertices, np.float32), np.array(made.faces, np.int32))


def both(one: TriangleMesh, other: TriangleMesh) -> TriangleMesh:
    faces = np.concatenate([one.faces, other.faces + np.int32(len(one.vertices))])
    return TriangleMesh(np.concatenate([one.vertices, other.vertices]), faces)


def as_soup(mesh: TriangleMesh) -> TriangleMesh:
    """Each face with vertices of its own."""
    vertices = mesh.corners.reshape(-1, 3).astype(np.float32)
    return TriangleMesh(vertices, np.arange(len(vertices), dtype=np.int32).reshape(-1, 3))


def solid_angles(mesh: TriangleMesh, points: np.ndarray) -> np.ndarray:
    """Turns by the sum of the faces' solid angles (van Oosterom and Strackee 1983), [N] float64."""
    a, b, c = (mesh.corners[None, :, corner] - points[:, None].astype(np.float64) for corner in range(3))
    of_a, of_b, of_c = (np.linalg.norm(side, axis=-1) for side in (a, b, c))
    above = (a * np.cross(b, c)).sum(-1)
    below = of_a * of_b * of_c + (a * b).sum(-1) * of_c + (b * c).sum(-1) * of_a + (c * a).sum(-1) * of_b
    return 2 * np.arctan2(above, below).sum(axis=1) / (4 * np.pi)


MESHES = {
    "torus": as_mesh(trimesh.creation.torus(1.0, 0.3, major_sections=24, minor_sections=12)),
    "box": as_mesh(trimesh.creation.box()),
    "ball with poles": as_mesh(trimesh.creation.uv_sphere(1.0, count=(12, 16))),
}
MESHES["two that overlap"] = both(MESHES["box"], MESHES["torus"])
SOUP = {f"soup of {name}": as_soup(mesh) for name, mesh in MESHES.items()}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("mesh", [*MESHES.values(), *SOUP.values()], ids=[*MESHES, *SOUP])
def test_a_closed_mesh_encloses_what_it_winds_around(mesh: TriangleMesh, turned: bool) -> None:
    if turned:
        mesh = TriangleMesh(mesh.vertices, mesh.faces[:, ::-1].copy())
    assert enclosed._is_closed(mesh.joined())
    clear = AROUND[distances_to(mesh, AROUND) > 1e-5][:3000]
    np.testing.assert_array_equal(enclosed_by(mesh, clear), np.abs(solid_angles(mesh, clear)) > 0.5)


def test_rays_slip_through_no_edge_and_no_vertex() -> None:
    """Points straight below vertices and edges, and in the planes of faces."""
    box = MESHES["box"]
    grid = np.stack(np.meshgrid(*[np.linspace(-0.5, 0.5, 9)[1:-1]] * 3), -1).reshape(-1, 3).astype(np.float32)
    assert enclosed_by(box, grid).all()
    ball = as_mesh(trimesh.creation.icosphere(3))
    below = 0.9 * ball.vertices
    assert enclosed_by(ball, below).all() and not enclosed_by(ball, (1.1 * ball.vertices).astype(np.float32)).any()


def test_a_mesh_with_a_hole_encloses_what_it_mostly_surrounds() -> None:
    ball = MESHES["ball with poles"]
    open_ball = ball.with_faces(ball.corners[..., 2].min(axis=1) < 0.8)
    assert not enclosed._is_closed(open_ball.joined())
    points = np.array([[0, 0, 0], [0, 0, -0.8], [0, 0, 1.2], [0.9, 0.9, 0]], np.float32)
    assert enclosed_by(open_ball, points).tolist() == [True, True, False, False]


def test_faces_that_look_different_ways_are_no_closed_mesh() -> None:
    box = MESHES["box"]
    faces = box.faces.copy()
    faces[0] = faces[0, ::-1]
    assert not enclosed._is_closed(TriangleMesh(box.vertices, faces))


@pytest.mark.parametrize("faces", [np.empty((0, 3), np.int32), np.array([[0, 1, 2]], np.int32)])
def test_a_mesh_of_nothing_is_refused(faces: np.ndarray) -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, np.nan, 0]], np.float32)
    with pytest.raises(UserError, match="no faces, or vertices that are no numbers"):
        enclosed_by(TriangleMesh(vertices, faces), AROUND)
