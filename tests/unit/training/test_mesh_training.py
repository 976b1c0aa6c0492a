"""Trainings on a given mesh: what is learned, how it is carried into poses, and what comes out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from backend.captures.mesh_poses import MeshPoses
from backend.jobs.settings import chosen_settings
from backend.methods.job import QuietJob
from backend.methods.registry import find
from backend.rigging.bound import BoundRepresentation
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.raster import rasterization
from backend.splats.rendering import SceneObject, draw_scene
from backend.splats.representation import CloudRepresentation, Representation
from backend.splats.sh_basis import C0
from backend.splats.triangle_mesh import TriangleMesh
from backend.training.inputs import TrainingInputs, TrainingResult
from backend.training.mesh_splats import FaceParameterisation, GamesFaces, MeshSplats, SugarFaces, mesh_parameters
from backend.training.mesh_training import splats_a_face
from backend.training.plan import TrainingPlan
from backend.training.posed_mesh import PosedMesh
from backend.training.representation import adam, seen_colors
from shared_protocol.errors import UserError
from tests.unit.training.painted_mesh import icosphere, looking_at_origin, photo_of

TURN = Rotation.from_rotvec([0.3, 1.2, -0.7]).as_matrix()
SHIFT = np.array([0.2, -0.1, 0.3])
ANGLES = np.linspace(0, 2 * np.pi, 9, endpoint=False)
RATES = dict.fromkeys(("alphas", "scales", "angles", "vertices", "opacities", "sh0", "shN"), 1e-3)


class Watching(QuietJob):
    """Keeps checkpoints, writes down what it hears, and asks to stop after `stops_after` steps."""

    def __init__(self, folder: Path | None = None, stops_after: int = 0) -> None:
        self.folder, self.stops_after = folder, stops_after
        self.psnr: list[float] = []
        self.live: Representation | None = None

    def progress(self, step: int, steps: int, **figures: float) -> None:
        self.psnr += [figures["psnr"]] if "psnr" in figures else []
        self.stop_early = step == self.stops_after

    def show(self, live: Representation) -> None:
        self.live = live


def inputs_of(mesh: TriangleMesh, steps: int, **more) -> TrainingInputs:
    """Eight photos around the mesh at rest, and one that is held out."""
    cameras = [looking_at_origin(angle, height=0.8 * (-1) ** i) for i, angle in enumerate(ANGLES)]
    photos = [photo_of(f"{i}.png", mesh, camera) for i, camera in enumerate(cameras)]
    plan = TrainingPlan(device="cpu", quality="draft", max_pixels=3000, steps=steps, max_splats=5000)
    return replace(TrainingInputs(photos[1:], photos[:1], None, plan, mesh=mesh), **more)


def trained(method: str, inputs: TrainingInputs, job: QuietJob | None = None, **settings) -> TrainingResult:
    found = find(method)
    return found.run(found.settings_type(**settings), inputs, job or QuietJob())


def shining(mesh: TriangleMesh, kind: FaceParameterisation, poses: np.ndarray) -> MeshSplats:
    """Opaque splats with random colours of degree 3; vertices are learned and have moved."""
    frame = inputs_of(mesh, 1).frame()
    posed = PosedMesh(mesh, MeshPoses(poses.astype(np.float32), {}), frame, torch.device("cpu"))
    generator = torch.Generator().manual_seed(3)
    values = mesh_parameters(posed, kind, sh_degree=3, opacity=0.9, learn_vertices=True, generator=generator)
    for name, strength in (("shN", 0.15), ("vertices", 0.01)):
        values[name] = values[name] + strength * torch.randn(values[name].shape, generator=generator)
    return MeshSplats(posed, kind, values, RATES, adam)


@torch.no_grad()
def drawn(splats: MeshSplats, camera: Camera, pose: int | None = None) -> np.ndarray:
    """camera: in the capture's frame."""
    active, seen = splats.splats(pose), splats._mesh.frame.camera(camera)
    viewmat = torch.tensor(seen.camera_from_world, dtype=torch.float32)[None]
    degree, colors = seen_colors(active, viewmat, 3)
    image, _, _ = rasterization(
        active.means, None, None, active.opacities, colors, viewmat,
        torch.tensor(seen.intrinsics, dtype=torch.float32)[None], seen.width, seen.height,
        sh_degree=degree, covars=active.covariances,
    )  # fmt: skip
    return image[0].numpy()


def shown(what: Representation, camera: Camera) -> np.ndarray:
    return draw_scene([SceneObject(what, np.eye(4))], camera, device="cpu").color.numpy()


def in_capture(splats: MeshSplats) -> SplatCloud:
    return splats._mesh.frame.cloud_to_capture(splats.bake())


def psnr(one: np.ndarray, two: np.ndarray) -> float:
    return float(-10 * np.log10(max(((one - two) ** 2).mean(), 1e-30)))


every_kind = pytest.mark.parametrize("kind", [GamesFaces(3), SugarFaces(6)], ids=["games", "sugar"])


@every_kind
def test_a_rigid_motion_of_the_mesh_looks_as_if_the_camera_had_moved(kind: FaceParameterisation) -> None:
    mesh, camera = icosphere(), looking_at_origin(0.5, side=96)
    splats = shining(mesh, kind, (mesh.vertices @ TURN.T + SHIFT)[None])
    world_from_rest = np.eye(4)
    world_from_rest[:3, :3], world_from_rest[:3, 3] = TURN, SHIFT
    truth = drawn(splats, replace(camera, camera_from_world=camera.camera_from_world @ world_from_rest))
    assert truth.std() > 0.05
    assert psnr(truth, drawn(splats, camera, pose=0)) > 60


@every_kind
def test_what_is_trained_looks_as_the_bound_result_is_shown(kind: FaceParameterisation) -> None:
    """At rest, and in a pose that bends, stretches and twists."""
    mesh, camera = icosphere(), looking_at_origin(2.0, side=96)
    x, y, z = mesh.vertices.T.astype(np.float64)
    bent = np.stack([np.cos(z) * x - np.sin(z) * y, np.sin(z) * x + np.cos(z) * y, 1.3 * z + 0.2 * x**2], -1)
    splats = shining(mesh, kind, bent[None])
    cloud, binding = in_capture(splats), splats.binding()
    assert binding.driver == "per_face" and np.abs(binding.heights).max() > 1e-3
    feet = np.einsum("nk,nki->ni", binding.barycentrics, binding.learned_mesh.corners[binding.faces])
    assert np.abs(feet - cloud.means).max() < 1e-5, "splats lie in the surface that was learned"
    assert psnr(drawn(splats, camera), shown(CloudRepresentation(cloud, "cpu"), camera)) > 60
    bound = BoundRepresentation(cloud, binding, "cpu").posed(bent.astype(np.float32))
    assert psnr(drawn(splats, camera, pose=0), shown(bound, camera)) > 60
    assert psnr(drawn(splats, camera), drawn(splats, camera, pose=0)) < 30


@pytest.mark.parametrize(("method", "unused"), [("gs_mesh", "quat_rate"), ("sugar", "alpha_rate")])
def test_settings_that_mean_nothing_on_a_mesh_are_not_offered(method: str, unused: str) -> None:
    names = {setting.name for setting in find(method).settings}
    assert not names & {unused, "refine_from", "refine_every", "refine_until", "start_fraction", "random_fraction"}
    assert {"splats_per_face", "learn_vertices", "start_scale", "means_rate", "sh_degree"} <= names
    with pytest.raises(UserError, match="no setting 'refine_every'"):
        chosen_settings(find(method), {"refine_every": 50})


@every_kind
def test_every_parameter_learns_through_a_pose(kind: FaceParameterisation) -> None:
    mesh = icosphere(1)
    splats = shining(mesh, kind, (1.2 * mesh.vertices)[None])
    active = splats.splats(0)
    assert active.covariances is not None
    camera = splats._mesh.frame.camera(looking_at_origin(0.5))
    viewmat = torch.tensor(camera.camera_from_world, dtype=torch.float32)[None]
    degree, colors = seen_colors(active, viewmat, 3)
    image, _, _ = rasterization(
        active.means, None, None, active.opacities, colors, viewmat,
        torch.tensor(camera.intrinsics, dtype=torch.float32)[None], camera.width, camera.height,
        sh_degree=degree, covars=active.covariances,
    )  # fmt: skip
    (image**2).sum().backward()
    for name, parameter in splats.parameters.items():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_gs_mesh_learns_a_painted_ball() -> None:
    inputs, job = on_black(inputs_of(icosphere(), 200)), Watching()
    result = trained("gs_mesh", inputs, job, splats_per_face=3)
    first = trained("gs_mesh", inputs, Watching(stops_after=1), splats_per_face=3)
    assert job.psnr[-1] > held_out(first, inputs) + 8
    assert held_out(result, inputs) == pytest.approx(job.psnr[-1], abs=0.05)
    assert result.binding is not None and len(result.binding) == len(result.cloud) == 3 * 320
    assert job.live is not None and psnr(*(
        shown(what, inputs.test_photos[0].camera) for what in (job.live, CloudRepresentation(result.cloud, "cpu"))
    )) > 60  # fmt: skip


def test_without_learned_vertices_splats_stay_in_their_faces() -> None:
    result = trained("gs_mesh", inputs_of(icosphere(), 10), splats_per_face=2, learn_vertices=False)
    assert result.binding is not None and np.abs(result.binding.heights).max() < 1e-5
    assert np.abs(result.cloud.means - result.binding.feet()).max() < 1e-5
    assert np.allclose(np.exp(result.cloud.log_scales[:, 0]) / result.near, 1e-8 / 0.01, rtol=1e-3)


def test_sugar_refines_the_surface_as_well() -> None:
    """The mesh that is given is an eighth too small; what is learned comes nearer to the photographed one."""
    mesh = icosphere()
    small = replace(mesh, vertices=np.float32(0.875) * mesh.vertices)
    inputs = on_black(replace(inputs_of(mesh, 200), mesh=small))
    result = trained("sugar", inputs, splats_per_face="3")
    first = trained("sugar", inputs, Watching(stops_after=1), splats_per_face="3")
    assert held_out(result, inputs) > held_out(first, inputs) + 6
    assert result.binding is not None and np.median(result.binding.heights) > 0.01
    assert np.array_equal(result.binding.mesh.vertices, small.vertices), "the mesh itself stays as it was given"


def test_a_second_pose_shows_what_the_first_one_hides() -> None:
    """Photos from one side only. A turned half brings its back to the front, in a pose that no photo shows either."""
    mesh, angles = icosphere(), np.linspace(-0.7, 0.7, 7)
    poses = np.stack([twisted(mesh.vertices, angle) for angle in (0.0, 2.4, 1.5)])
    cameras = [looking_at_origin(angle, height=0.6 * (-1) ** i) for i, angle in enumerate(angles)]
    held_out_photo = photo_of("t.png", mesh, cameras[3], poses[2])
    plan = TrainingPlan(device="cpu", quality="draft", max_pixels=3000, steps=150, max_splats=5000)

    def reached(pose_of: list[int]) -> float:
        photos = [photo_of(f"{i}.png", mesh, cameras[i], poses[pose]) for i, pose in enumerate(pose_of)]
        known = MeshPoses(poses, {"t": 2} | {str(i): pose for i, pose in enumerate(pose_of)})
        inputs = on_black(TrainingInputs(photos, [held_out_photo], None, plan, mesh=mesh, poses=known))
        job = Watching()
        result = trained("gs_mesh", inputs, job, splats_per_face=3)
        assert held_out(result, inputs) == pytest.approx(job.psnr[-1], abs=0.05)
        return job.psnr[-1]

    assert reached([0, 1, 0, 1, 0, 1, 0]) > reached([0, 0, 0, 0, 0, 0, 0]) + 1


def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    mesh = icosphere(1)
    poses = MeshPoses(np.stack([mesh.vertices, 1.1 * mesh.vertices]), {str(i): i % 2 for i in range(9)})
    inputs = inputs_of(mesh, 20, poses=poses)
    whole = trained("sugar", inputs, splats_per_face="1")
    first = trained("sugar", inputs, Watching(tmp_path, stops_after=7), splats_per_face="1")
    assert first.steps == 7 and not first.finished
    second = trained("sugar", replace(inputs, resume=True), Watching(tmp_path), splats_per_face="1")
    assert second.finished and second.loss == whole.loss
    assert np.array_equal(second.cloud.means, whole.cloud.means) and np.array_equal(second.cloud.sh, whole.cloud.sh)
    with pytest.raises(UserError, match="belongs to a training with another capture"):
        other = MeshPoses(poses.vertices[::-1].copy(), poses.shown)
        trained("sugar", replace(inputs, resume=True, poses=other), Watching(tmp_path), splats_per_face="1")


def test_colors_begin_with_those_of_the_mesh() -> None:
    mesh = icosphere()
    red = replace(mesh, colors=np.tile(np.array([[255, 51, 0]], np.uint8), (len(mesh.vertices), 1)))
    result = trained("sugar", replace(inputs_of(mesh, 5), mesh=red), Watching(stops_after=1), splats_per_face="4")
    assert np.median(0.5 + C0 * result.cloud.sh[:, 0], axis=0) == pytest.approx([1.0, 0.2, 0.0], abs=0.02)


def test_what_cannot_work_is_said_in_one_sentence() -> None:
    mesh = icosphere(1)
    good = inputs_of(mesh, 5)
    poses = MeshPoses(mesh.vertices[None], {str(i): 0 for i in range(9)})
    nan = mesh.vertices.copy()
    nan[3, 1] = np.nan
    line = replace(mesh, vertices=mesh.vertices * np.float32([1, 0, 0]))
    for inputs, message in (
        (replace(good, mesh=None), "needs a mesh"),
        (replace(good, mesh=replace(mesh, faces=mesh.faces[:0])), "no faces with an area"),
        (replace(good, mesh=line), "no faces with an area"),
        (replace(good, mesh=replace(mesh, vertices=nan)), "vertices that are no numbers"),
        (replace(good, poses=replace(poses, vertices=poses.vertices[:, :-1])), "The poses have 41 vertices each"),
        (replace(good, poses=replace(poses, shown={"1": 0})), "in which pose the photo"),
        (replace(good, plan=msgspec.structs.replace(good.plan, max_splats=50)), "80 splats are needed"),
    ):
        with pytest.raises(UserError, match=message):
            trained("gs_mesh", inputs)


def test_the_budget_decides_how_many_splats_a_face_gets() -> None:
    assert splats_a_face(None, (1, 3, 4, 6), faces=100, most=550) == 4
    assert splats_a_face(6, (1, 3, 4, 6), faces=100, most=600) == 6


def test_a_face_without_an_area_gets_no_splats() -> None:
    mesh = icosphere(1)
    with_line = replace(mesh, faces=np.concatenate([mesh.faces, [[0, 1, 1]]]).astype(np.int32))
    result = trained("sugar", replace(inputs_of(mesh, 3), mesh=with_line), splats_per_face="1")
    assert len(result.cloud) == 80 and result.cloud.finite().all()


def twisted(vertices: np.ndarray, angle: float) -> np.ndarray:
    """The upper half turned around the z axis, more the higher it is."""
    turn = angle * np.clip(vertices[:, 2] + 0.3, 0, 1)
    x, y, z = vertices.T
    return np.stack([np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y, z], -1).astype(
        np.float32
    )


def on_black(inputs: TrainingInputs) -> TrainingInputs:
    """Photos without transparency: what is not the mesh is black."""
    train, test = ([replace(p, alpha=None) for p in photos] for photos in (inputs.train_photos, inputs.test_photos))
    return replace(inputs, train_photos=train, test_photos=test)


def held_out(result: TrainingResult, inputs: TrainingInputs) -> float:
    """PSNR of the one photo that is held out, with the splats as they are shown in its pose."""
    (photo,) = inputs.test_photos
    assert photo.alpha is None and result.binding is not None
    splats: Representation = CloudRepresentation(result.cloud, "cpu")
    if inputs.poses is not None:
        pose = inputs.poses.vertices[inputs.poses.of(photo.name)]
        splats = BoundRepresentation(result.cloud, result.binding, "cpu").posed(pose)
    return psnr(shown(splats, photo.camera).clip(0, 1), photo.rgb / 255)
