"""Trainings on a mesh from folder to files, and as the desk's jobs: what they leave is bound, and follows the mesh."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backend.captures.mesh_poses import read_mesh_poses
from backend.cli.command import run
from backend.jobs.comparing import EvaluationRequest, compare_with_capture
from backend.jobs.running import NobodyWatches, RunningJob
from backend.jobs.splat_files import read_splat_file
from backend.jobs.train_request import TrainRequest
from backend.jobs.training import train_capture
from backend.splats.io.mesh_files import write_mesh
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError
from shared_protocol.messages import MeasureViews, PoseMesh, RunMethod
from shared_protocol.things import SceneObject
from tests.unit.jobs.test_desk import Room, drawn
from tests.unit.training.painted_mesh import icosphere, looking_at_origin, photo_of, write_capture

MESH = icosphere(1)
BENT = np.stack([MESH.vertices, MESH.vertices * np.float32([1.5, 0.8, 1.0]) + np.float32([0.2, 0, 0])])


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight photos of a ball that is at rest in every other one, and stretched in the one that is held out."""
    cameras = [looking_at_origin(angle) for angle in np.linspace(0, 2 * np.pi, 8, endpoint=False)]
    photos = [photo_of(f"p{i}.png", MESH, camera, BENT[(i + 1) % 2]) for i, camera in enumerate(cameras)]
    return write_capture(tmp_path_factory.mktemp("capture") / "bent", photos, BENT, [(i + 1) % 2 for i in range(8)])


@pytest.fixture(scope="module")
def mesh_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mesh") / "ball.ply"
    write_mesh(path, MESH)
    return path


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path / "workspace")
    yield made
    made.desk.close()


def test_the_command_trains_through_poses_and_writes_splats_that_follow(
    capture: Path, mesh_file: Path, tmp_path: Path
) -> None:
    output, report = tmp_path / "ball.safetensors", tmp_path / "ball.json"
    command = ["train", str(capture), "-o", str(output), "--report", str(report), "--method", "gs_mesh", "--quiet"]
    command += ["--mesh", str(mesh_file), "--steps", "80", "--max-splats", "400", "--device", "cpu"]
    assert run(command) == 0
    content, binding = read_splat_file(output)
    assert binding is not None and binding.driver == "per_face" and len(content) == 5 * len(MESH.faces)
    assert np.array_equal(binding.mesh.vertices, MESH.vertices)
    with_poses = json.loads(report.read_text())["psnr"]
    again = compare_with_capture(EvaluationRequest(output, capture, background="white", device="cpu"), NobodyWatches())
    assert again.psnr == pytest.approx(with_poses, abs=0.01), "splatwright eval poses them, too"
    np.savez(tmp_path / "rest.npz", vertices=BENT[:1], photos=[f"p{i}" for i in range(8)], poses=[0] * 8)
    assert run([*command, "--poses", str(tmp_path / "rest.npz")]) == 0
    assert with_poses > json.loads(report.read_text())["psnr"] + 1, "the poses of photos count"
    moved = TriangleMesh(BENT[1], MESH.faces)
    write_mesh(tmp_path / "moved.ply", moved)
    posed = ["bind", str(output), str(tmp_path / "moved.ply"), "--method", "apply_pose", "-o", str(tmp_path / "p.ply")]
    assert run([*posed, "--quiet"]) == 0


def test_a_training_of_the_desk_is_a_bound_version_that_can_be_posed_and_measured(room: Room, capture: Path) -> None:
    mesh = {"vertices": MESH.vertices, "faces": MESH.faces}
    state = room.wait(room.train(capture, method="sugar", steps=60, max_splats=400, **mesh), "finished")
    (version,) = room.desk.versions(state.asset)
    assert version.bound_vertices == len(MESH.vertices) and version.splats == 4 * len(MESH.faces)
    again = room.desk.measure(MeasureViews(asset=state.asset))
    measured = room.wait(again, "finished")
    assert measured.figures["psnr"] == pytest.approx(state.figures["psnr"], abs=1e-3)
    room.desk.pose(PoseMesh(pose="far", asset=state.asset, vertices=MESH.vertices + np.float32(100)))
    assert drawn(room, SceneObject(asset=state.asset)).color[..., 3].max() > 100
    assert drawn(room, SceneObject(asset=state.asset, pose="far")).color[..., 3].max() == 0
    state = room.desk.run_method(RunMethod(method="apply_pose", asset=state.asset, **mesh))
    room.wait(state, "finished")


def test_a_training_that_was_interrupted_goes_on_with_its_mesh(room: Room, capture: Path) -> None:
    mesh = {"vertices": MESH.vertices, "faces": MESH.faces}
    state = room.train(capture, method="gs_mesh", max_splats=400, **mesh)
    room.reach_steps(state)
    room.desk.close()
    room.desk = Room(room.folder).desk
    room.reach_steps(state)
    assert room.desk.job(state.job).resumed > 0
    room.desk.cancel(state.job, True)
    room.wait(state, "stopped")
    assert room.desk.versions(state.asset)[0].bound_vertices == len(MESH.vertices)


def test_the_desk_refuses_at_once_what_cannot_work(room: Room, capture: Path) -> None:
    mesh = {"vertices": MESH.vertices, "faces": MESH.faces}
    with pytest.raises(UserError, match="'gs_mesh' needs a mesh"):
        room.train(capture, method="gs_mesh")
    with pytest.raises(UserError, match="'mcmc' trains without a mesh"):
        room.train(capture, method="mcmc", **mesh)
    with pytest.raises(UserError, match="no faces with an area"):
        room.train(capture, method="gs_mesh", vertices=MESH.vertices, faces=MESH.faces[:0])
    with pytest.raises(UserError, match="vertices that are no numbers"):
        room.train(capture, method="gs_mesh", vertices=MESH.vertices * np.float32(np.nan), faces=MESH.faces)
    assert not room.desk.assets() and not room.desk.jobs()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vertices": BENT[:, :-1]}, "The poses have 41 vertices each, and the mesh 42."),
        ({"photos": ["p1", "p2"], "poses": [0, 1]}, "in which pose the photo 'p0.png' shows the mesh"),
        ({"vertices": np.where(BENT[0, 3, 0] == BENT, np.nan, BENT)}, "vertices that are no numbers"),
        ({"poses": [2] * 8}, "names poses that it does not hold"),
        ({"poses": [0] * 7}, "holds no poses of a mesh"),
        ({"photos": np.array([object()] * 8)}, "holds no poses of a mesh"),
        (None, "holds no poses of a mesh"),
    ],
)
def test_poses_that_do_not_fit_are_refused_in_one_sentence(
    capture: Path, mesh_file: Path, tmp_path: Path, change: dict | None, message: str
) -> None:
    path = tmp_path / "poses.npz"
    whole = {"vertices": BENT, "photos": [f"p{i}" for i in range(8)], "poses": [i % 2 for i in range(8)]}
    path.write_bytes(b"PK\x03\x04 and no more")
    if change is not None:
        np.savez(path, **(whole | change))
    request = TrainRequest(capture, tmp_path / "a.ply", method="gs_mesh", mesh=mesh_file, poses=path, device="cpu")
    with pytest.raises(UserError, match=message):
        train_capture(request, RunningJob())
    assert not (tmp_path / "a.ply").exists()


def test_a_missing_file_of_poses_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no file .*nowhere\.npz"):
        read_mesh_poses(tmp_path / "nowhere.npz")
