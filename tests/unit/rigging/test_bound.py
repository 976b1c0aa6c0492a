"""Bound splats against what is known exactly: rigid motion, scale, shear, and back again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from backend.rigging.baking import bake_pose
from backend.rigging.binding import UNBOUND, Binding, bind_to_mesh
from backend.rigging.bound import BoundRepresentation
from backend.rigging.drivers import Driver
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.moved import moved_cloud, turned_cloud
from backend.splats.quaternions import quats_to_matrices
from backend.splats.rendering import SceneObject, draw_scene
from backend.splats.representation import CloudRepresentation, Representation
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError
from tests.made_splats import sphere, with_shine

FRONT = np.eye(4)
FRONT[2, 3] = 4.0
CAMERA = Camera(FRONT, 110.0, 110.0, 48.0, 40.0, 96, 80)
TURN = Rotation.from_rotvec([0.3, 1.2, -0.7]).as_matrix()
SHIFT = np.array([0.3, -0.2, 0.5])


def icosphere(subdivisions: int = 2) -> TriangleMesh:
    made = trimesh.creation.icosphere(subdivisions=subdivisions, radius=1.0)
    return TriangleMesh(made.vertices.astype(np.float32), made.faces.astype(np.int32))


def cloud_of(degree: int = 3, count: int = 3000) -> SplatCloud:
    return with_shine(sphere(1.0, count), degree)


def bound(cloud: SplatCloud, mesh: TriangleMesh | None = None, **options) -> BoundRepresentation:
    mesh = mesh or icosphere()
    return BoundRepresentation(cloud, bind_to_mesh(cloud, mesh, **options), "cpu")


def picture(what: Representation, camera: Camera = CAMERA) -> np.ndarray:
    return draw_scene([SceneObject(what, np.eye(4))], camera, device="cpu").color.numpy()


def psnr(one: np.ndarray, two: np.ndarray) -> float:
    return float(-10 * np.log10(max(((one - two) ** 2).mean(), 1e-30)))


def covariances(cloud: SplatCloud) -> np.ndarray:
    axes = quats_to_matrices(cloud.quats) * np.exp(cloud.log_scales.astype(np.float64))[:, None, :]
    return axes @ axes.transpose(0, 2, 1)


every_driver = pytest.mark.parametrize("driver", ["smooth", "per_face"])


@pytest.mark.parametrize(
    ("driver", "degree"), [("smooth", 0), ("smooth", 1), ("smooth", 2), ("smooth", 3), ("smooth", 4), ("per_face", 3)]
)
@pytest.mark.parametrize("orthographic", [False, True], ids=["perspective", "orthographic"])
def test_a_rigid_motion_looks_as_if_the_camera_had_moved(driver: Driver, degree: int, orthographic: bool) -> None:
    rest = bound(cloud_of(degree), driver=driver)
    posed = rest.posed((rest.binding.mesh.vertices @ TURN.T + SHIFT).astype(np.float32))
    world_from_rest = np.eye(4)
    world_from_rest[:3, :3], world_from_rest[:3, 3] = TURN, SHIFT
    camera = replace(CAMERA, fx=30.0, fy=30.0, orthographic=True) if orthographic else CAMERA
    moved = replace(camera, camera_from_world=camera.camera_from_world @ world_from_rest)
    truth = picture(rest, moved)
    assert truth.max() > 0.5
    assert psnr(truth, picture(posed, camera)) > 60
    baked = posed.bake()
    assert psnr(truth, picture(CloudRepresentation(baked, "cpu"), camera)) > 60
    if degree:
        unturned = replace(baked, sh=rest.cloud.sh)
        assert psnr(truth, picture(CloudRepresentation(unturned, "cpu"), camera)) < 40, "colours must turn along"


@every_driver
def test_an_even_scale_grows_the_splats(driver: Driver) -> None:
    rest = bound(cloud_of(), driver=driver)
    baked = rest.posed(2 * rest.binding.mesh.vertices).bake()
    assert np.allclose(baked.means, 2 * rest.cloud.means, atol=1e-5)
    assert np.allclose(covariances(baked), 4 * covariances(rest.cloud), atol=1e-7)
    assert np.allclose(baked.sh, rest.cloud.sh, atol=1e-5)


@every_driver
def test_a_shear_in_the_surface_is_exact(driver: Driver) -> None:
    """Of a flat sheet, whose faces know all that a shear within their plane does."""
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32)
    sheet = TriangleMesh(corners, np.array([[0, 1, 2], [0, 2, 3]], np.int32))
    generator = np.random.default_rng(1)
    count = 200
    cloud = SplatCloud(
        np.c_[generator.uniform(-0.9, 0.9, (count, 2)), generator.normal(0, 0.05, count)].astype(np.float32),
        generator.normal(size=(count, 4)).astype(np.float32),
        generator.normal(-3, 0.5, (count, 3)).astype(np.float32),
        np.ones(count, np.float32),
        np.zeros((count, 1, 3), np.float32),
    )
    shear = np.array([[1.0, 0.7, 0], [0, 1, 0], [0, 0, 1]])
    baked = bound(cloud, sheet, keep_thickness=True, driver=driver).posed((corners @ shear.T).astype(np.float32)).bake()
    assert np.abs(baked.means - cloud.means @ shear.T).max() < 1e-5
    assert np.abs(covariances(baked) - shear @ covariances(cloud) @ shear.T).max() < 1e-5


def test_there_and_back_again() -> None:
    """Of each face by itself: the mean of maps is undone by the mean of their inverses only nearly."""
    rest = bound(cloud_of(), driver="per_face")
    bent = rest.binding.mesh.vertices.copy()
    bent[:, 0] += 0.3 * np.sin(2 * bent[:, 2])
    there = rest.posed(bent).bake()
    moved = replace(rest.binding, mesh=TriangleMesh(bent, rest.binding.mesh.faces))
    back = BoundRepresentation(there, moved, "cpu").posed(rest.binding.mesh.vertices).bake()
    assert np.abs(there.means - rest.cloud.means).max() > 0.1
    assert np.abs(back.means - rest.cloud.means).max() < 1e-4
    assert np.abs(covariances(back) - covariances(rest.cloud)).max() < 1e-5
    # Stretched space has no exact rule for colours, so only the turning comes back.
    assert psnr(picture(CloudRepresentation(back, "cpu")), picture(rest)) > 25


def test_normals_of_flat_splats_follow_the_inverse_transpose() -> None:
    rest = bound(cloud_of(0))
    squeeze = np.diag([1.4, 0.8, 1.0])
    baked = rest.posed((rest.binding.mesh.vertices @ squeeze).astype(np.float32)).bake()
    thinnest = np.linalg.eigh(covariances(baked))[1][:, :, 0]
    wanted = np.linalg.eigh(covariances(rest.cloud))[1][:, :, 0] @ np.linalg.inv(squeeze)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    agreement = np.abs((thinnest * wanted).sum(axis=1))
    assert np.median(agreement) > 0.999 and np.quantile(agreement, 0.02) > 0.97


def test_splats_far_from_the_mesh_stay_where_they_are() -> None:
    near, far = sphere(1.0, 500), sphere(0.1, 100, centre=(5, 0, 0))
    both = SplatCloud(*(np.concatenate([a, b]) for a, b in zip(_arrays(near), _arrays(far), strict=True)))
    rest = bound(both)
    assert (rest.binding.faces[500:] == UNBOUND).all() and (rest.binding.faces[:500] != UNBOUND).all()
    baked = rest.posed(rest.binding.mesh.vertices + np.float32(3)).bake()
    assert np.array_equal(baked.means[500:], far.means) and np.array_equal(baked.quats[500:], far.quats)
    assert np.allclose(baked.means[:500], near.means + 3, atol=1e-5)
    assert (bind_to_mesh(both, icosphere(), distance=10.0).faces != UNBOUND).all()


@every_driver
def test_far_splats_can_follow_the_nearest_part_without_being_stretched(driver: Driver) -> None:
    near, far = sphere(1.0, 500), sphere(0.1, 100, centre=(5, 0, 0))
    both = SplatCloud(*(np.concatenate([a, b]) for a, b in zip(_arrays(near), _arrays(far), strict=True)))
    rest = bound(both, far="follow", driver=driver)
    assert np.array_equal(rest.binding.rigid, np.arange(600) >= 500)
    vertices = rest.binding.mesh.vertices
    turned = rest.posed((vertices @ TURN.T + SHIFT).astype(np.float32)).bake()
    assert np.abs(turned.means - (both.means @ TURN.T + SHIFT)).max() < 1e-5
    grown = rest.posed(2 * vertices).bake()
    assert np.abs(grown.means[500:] - far.means - (1, 0, 0)).max() < 0.05, "it stands off as far as before"
    assert np.allclose(np.sort(grown.log_scales[500:]), np.sort(far.log_scales), atol=1e-4)
    assert np.allclose(np.sort(grown.log_scales[:500]), np.sort(near.log_scales) + np.log(2), atol=1e-3)
    part = Binding.from_arrays(rest.binding.to_arrays()).select(np.arange(480, 600))
    assert part.rigid.sum() == 100
    with pytest.raises(UserError, match="near enough"):
        bind_to_mesh(far, icosphere(), far="follow")


def test_splats_on_a_collapsed_face_vanish_and_come_back() -> None:
    rest = bound(cloud_of())
    broken = rest.binding.mesh.vertices.copy()
    broken[rest.binding.mesh.faces[0]] = broken[rest.binding.mesh.faces[0, 0]]
    broken[rest.binding.mesh.faces[100, 0]] = np.nan
    posed = rest.posed(broken)
    hidden = np.isin(rest.binding.faces, [0, 100])
    shown = posed.splats(CAMERA, 0.0, 0)
    assert hidden.any() and (shown.opacities.numpy()[hidden] == 0).all()
    assert np.isfinite(picture(posed)).all()
    baked = posed.bake()
    assert len(baked) == len(rest.cloud) and baked.finite().all()
    again = rest.posed(rest.binding.mesh.vertices)
    assert psnr(picture(again), picture(rest)) > 60


@every_driver
def test_slivers_go_with_their_neighbours(driver: Driver) -> None:
    """A face of no height, put on an edge between good faces, would alone throw its splats anywhere."""
    mesh = icosphere()
    a, b, c = mesh.faces[0]
    middle = (mesh.vertices[a] + mesh.vertices[b]) / 2 + np.float32(1e-8)
    vertices = np.concatenate([mesh.vertices, middle[None]])
    split = [[a, len(mesh.vertices), c], [len(mesh.vertices), b, c], [a, b, len(mesh.vertices)]]
    with_sliver = TriangleMesh(vertices, np.concatenate([mesh.faces[1:], np.array(split, np.int32)]))
    cloud = cloud_of()
    rest = bound(cloud, with_sliver, driver=driver)
    on_sliver = replace(rest.binding, faces=np.full(len(cloud), len(with_sliver.faces) - 1, np.int32))
    posed = BoundRepresentation(cloud, on_sliver, "cpu").posed((vertices @ TURN.T + SHIFT).astype(np.float32))
    assert np.abs(posed.bake().means - (cloud.means @ TURN.T + SHIFT)).max() < 1e-4


@every_driver
def test_a_stretch_limit_keeps_splats_from_becoming_needles(driver: Driver) -> None:
    rest = bound(cloud_of(0), stretch_limit=2.0, driver=driver)
    baked = rest.posed((rest.binding.mesh.vertices * (10, 1, 1)).astype(np.float32)).bake()
    assert (baked.log_scales.max(axis=1) - rest.cloud.log_scales.max(axis=1)).max() <= np.log(2) + 1e-4
    assert np.abs(baked.means[:, 0]).max() > 9, "places are not limited"


@every_driver
def test_a_mirrored_mesh_mirrors_its_splats(driver: Driver) -> None:
    """With their colours, and with those beside the surface still outside."""
    rest = bound(turned_cloud(cloud_of(3), TURN), icosphere(), driver=driver)
    mirror = np.diag([-1.0, 1, 1])
    baked = rest.posed((rest.binding.mesh.vertices @ mirror).astype(np.float32)).bake()
    truth = moved_cloud(rest.cloud, np.diag([-1.0, 1, 1, 1]))
    assert np.abs(baked.means - truth.means).max() < 1e-5
    assert psnr(picture(CloudRepresentation(baked, "cpu")), picture(CloudRepresentation(truth, "cpu"))) > 60


@every_driver
def test_a_binding_survives_being_stored_and_cropped(driver: Driver) -> None:
    rest = bound(cloud_of(), driver=driver)
    again = Binding.from_arrays(rest.binding.to_arrays())
    keep = rest.cloud.means[:, 2] > 0
    part = BoundRepresentation(rest.cloud.select(keep), again.select(keep), "cpu")
    moved = (rest.binding.mesh.vertices @ TURN.T).astype(np.float32)
    assert np.array_equal(part.posed(moved).bake().means, rest.posed(moved).bake().means[keep])


def test_a_binding_stored_before_there_was_a_choice_goes_by_face() -> None:
    rest = bound(cloud_of(0), driver="smooth")
    stored = {name: array for name, array in rest.binding.to_arrays().items() if name not in ("driver", "rigid")}
    again = Binding.from_arrays(stored)
    assert again.driver == "per_face"
    bent = (rest.binding.mesh.vertices * (1, 1, 2)).astype(np.float32)
    by_face = bound(cloud_of(0), driver="per_face").posed(bent).bake()
    assert np.array_equal(BoundRepresentation(rest.cloud, again, "cpu").posed(bent).bake().means, by_face.means)
    with pytest.raises(ValueError):
        Binding.from_arrays(stored | {"driver": np.array([7], np.int32)})


@every_driver
def test_a_mesh_with_every_flaw_still_carries_its_splats(driver: Driver) -> None:
    """Edges of three faces, doubled and turned faces, faces of no area, a huge one, and vertices of no face."""
    mesh = icosphere()
    count = len(mesh.vertices)
    more = np.array([[0, 0, 0], [900, 0, -1e4], [-900, 1e4, -1e4], [0, -1e4, -1e4], [7, 7, 7]], np.float32)
    a, b, _ = mesh.faces[0]
    faces = [[a, b, count], mesh.faces[1], mesh.faces[2][::-1], [a, a, b], [a, a, a], [count + 1, count + 2, count + 3]]
    flawed = TriangleMesh(
        np.concatenate([mesh.vertices, more]), np.concatenate([mesh.faces, np.array(faces)]).astype(np.int32)
    )
    rest = bound(cloud_of(), flawed, driver=driver)
    assert (rest.binding.faces != UNBOUND).all()
    turned = rest.posed((flawed.vertices @ TURN.T + SHIFT).astype(np.float32)).bake()
    # The huge triangle holds numbers of 10^4, in single precision.
    assert np.abs(turned.means - (rest.cloud.means @ TURN.T + SHIFT)).max() < 1e-3
    for broken in (np.nan, np.inf, 3e38):
        vertices = flawed.vertices.copy()
        vertices[mesh.faces[5]] = broken
        assert rest.posed(vertices).bake().finite().all()
        assert np.isfinite(picture(rest.posed(vertices))).all()


@pytest.mark.parametrize("fault", ["numbers", "area", "far", "none"])
def test_a_mesh_that_nothing_can_hang_on_is_refused(fault: str) -> None:
    mesh = icosphere()
    vertices, faces = mesh.vertices.copy(), mesh.faces
    if fault == "numbers":
        vertices[3] = np.inf
    elif fault == "area":
        vertices[:] = 1
    elif fault == "far":
        vertices += 100
    else:
        faces = faces[:0]
    with pytest.raises(UserError):
        bind_to_mesh(cloud_of(0), TriangleMesh(vertices, faces))


def test_a_mesh_of_another_topology_is_refused() -> None:
    rest = bound(cloud_of(0))
    for move in (rest.posed, lambda vertices: bake_pose(rest.cloud, rest.binding, vertices)):
        with pytest.raises(UserError, match="vertices, and the one"):
            move(icosphere(3).vertices)


def test_a_broken_pose_never_becomes_the_rest() -> None:
    rest = bound(cloud_of(0))
    vertices = rest.binding.mesh.vertices.copy()
    vertices[7] = np.nan
    with pytest.raises(UserError, match="no numbers"):
        bake_pose(rest.cloud, rest.binding, vertices)
    stored = rest.binding.to_arrays()
    for wrong in ({"mesh_vertices": vertices}, {"mesh_faces": rest.binding.mesh.faces[:0]}):
        with pytest.raises(ValueError):
            Binding.from_arrays(stored | wrong)


def _arrays(cloud: SplatCloud) -> tuple[np.ndarray, ...]:
    return cloud.means, cloud.quats, cloud.log_scales, cloud.opacity_logits, cloud.sh
