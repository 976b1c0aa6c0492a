"""Edits, bindings and meshes as the desk's jobs: from the request to a version, a mesh, a picture of a pose."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from backend.jobs.desk import Desk
from backend.jobs.meshing_views import cameras_of_training, meshed_part
from backend.jobs.poses import MOST_POSES
from backend.splats.cameras import Camera
from backend.splats.io import read_cloud, write_cloud
from backend.store.assets import AssetStore
from backend.store.cards import JobCard, new_id
from backend.store.payload import CLOUD_FIELDS, Arrays, read_arrays, write_arrays
from shared_protocol.errors import UserError
from shared_protocol.messages import AssetChanged, JobNote, PoseMesh, RunMethod
from shared_protocol.things import IDENTITY, AssetInfo, ExportChoices, JobState, SceneObject, VersionInfo
from tests.made_splats import sphere, with_shine
from tests.unit.jobs.test_desk import Room, cloud_of, drawn, wait_for

UPPER_HALF = (2.0, 0, 0, 0, 0, 2.0, 0, 0, 0, 0, 1.0, 1.0, 0, 0, 0, 1)  # z from 0 to 2
CLOUD = with_shine(sphere(1.0, 1500), 2)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path / "workspace")
    yield made
    made.desk.close()


@pytest.fixture
def asset(room: Room, tmp_path: Path) -> AssetInfo:
    write_cloud(tmp_path / "ball.ply", CLOUD)
    return room.desk.import_file(tmp_path / "ball.ply")


def icosphere() -> tuple[np.ndarray, np.ndarray]:
    made = trimesh.creation.icosphere(subdivisions=2, radius=1.0)
    return made.vertices.astype(np.float32), made.faces.astype(np.int32)


def done(room: Room, method: str, asset: str, status: str = "finished", **options) -> JobState:
    state = room.desk.run_method(RunMethod(method=method, asset=asset, **options))
    wait_for(lambda: room.desk.job(state.job).status in ("finished", "failed", "cancelled"))
    state = room.desk.job(state.job)
    assert state.status == status, state.failure
    return state


def version(room: Room, asset: str, identifier: str) -> VersionInfo:
    return next(found for found in room.desk.versions(asset) if found.version == identifier)


def test_a_crop_makes_a_small_new_version_and_leaves_the_old_one(room: Room, asset: AssetInfo) -> None:
    state = done(room, "crop", asset.asset, box=UPPER_HALF)
    assert (state.category, state.asset) == ("editing", asset.asset)
    made = version(room, asset.asset, state.version)
    assert made.parent == asset.head and room.desk.assets()[0].head == state.version
    kept = CLOUD.means[:, 2] >= 0
    assert np.array_equal(cloud_of(room.desk.bake(asset.asset)).means, CLOUD.means[kept])
    assert np.array_equal(cloud_of(room.desk.bake(asset.asset, asset.head)).sh, CLOUD.sh)
    assert made.bytes < 0.01 * asset.bytes, "only what was cut away is written"
    assert made.bounds is not None and abs(made.bounds[2]) < 0.1 and made.bounds[5] == pytest.approx(1, abs=0.05)
    assert any(isinstance(e, AssetChanged) and e.asset.head == state.version for e in room.events)
    assert any(isinstance(e, JobNote) and "750 of 1,500" in e.text for e in room.events)
    told = [event.asset for event in room.events if isinstance(event, AssetChanged)]
    assert told[-1].job == "" and told[-1].head == state.version, "the last word is that nothing works on it"


def test_an_edit_does_not_wait_behind_a_training(room: Room, asset: AssetInfo, tiny_capture: Path) -> None:
    training = room.train(tiny_capture)
    room.reach_steps(training)
    done(room, "crop", asset.asset, box=UPPER_HALF)
    assert room.desk.job(training.job).status == "running" and not room.desk.is_idle
    assert {state.job for state in room.desk.jobs()} >= {training.job}
    waiting = room.desk.run_method(RunMethod(method="tsdf", asset=asset.asset))
    assert room.desk.job(waiting.job).status == "queued", "a mesh would take the training's cores"
    room.desk.cancel(waiting.job, False)
    room.desk.cancel(training.job, False)


def test_bound_splats_are_drawn_where_the_mesh_is_posed(room: Room, asset: AssetInfo) -> None:
    vertices, faces = icosphere()
    state = done(room, "bind", asset.asset, vertices=vertices, faces=faces)
    made = version(room, asset.asset, state.version)
    assert (made.bound_vertices, made.splats, state.figures["bound"]) == (len(vertices), 1500, 1500)
    turn = Rotation.from_rotvec([0.5, -0.3, 0.9]).as_matrix()
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, (0.2, 0.1, 0)
    moved = (vertices @ turn.T + matrix[:3, 3]).astype(np.float32)
    room.desk.pose(PoseMesh(pose="arm", asset=asset.asset, vertices=moved))
    there = tuple(matrix.ravel().tolist())
    rigid = drawn(room, SceneObject(asset=asset.asset, world_from_object=there), pixels="float32")
    posed = drawn(room, SceneObject(asset=asset.asset, pose="arm"), pixels="float32")
    rest = drawn(room, SceneObject(asset=asset.asset), pixels="float32")
    assert np.abs(posed.color - rigid.color).max() < 2e-3
    assert np.abs(posed.color - rest.color).max() > 0.2
    room.desk.pose(PoseMesh(pose="arm", asset=asset.asset, vertices=vertices))
    again = drawn(room, SceneObject(asset=asset.asset, pose="arm"), pixels="float32")
    assert np.abs(again.color - rest.color).max() < 2e-3, "said again, a pose is replaced"


def test_a_binding_is_drawn_in_colours_that_say_how_good_it_is(room: Room, asset: AssetInfo) -> None:
    vertices, faces = icosphere()
    plain = drawn(room, SceneObject(asset=asset.asset, version=asset.head)).color
    unbound = drawn(room, SceneObject(asset=asset.asset, version=asset.head, colors="binding")).color
    assert np.array_equal(plain, unbound)
    done(room, "bind", asset.asset, vertices=vertices, faces=faces)
    room.desk.pose(PoseMesh(pose="wide", asset=asset.asset, vertices=3 * vertices))
    rest = drawn(room, SceneObject(asset=asset.asset, colors="binding")).color
    wide = drawn(room, SceneObject(asset=asset.asset, pose="wide", colors="binding")).color
    own = drawn(room, SceneObject(asset=asset.asset, pose="wide")).color
    solid = rest[..., 3] > 200
    assert (rest[solid][:, 1] > 2 * rest[solid][:, 0]).all(), "at rest all is green"
    assert (wide[solid][:, 0] > 4 * wide[solid][:, 1].astype(int)).all(), "three times as large, all is red"
    assert np.array_equal(own[..., 3], wide[..., 3]) and not np.array_equal(own, wide)


def test_weights_of_vertices_hold_splats_back_and_carry_far_ones(room: Room, asset: AssetInfo, tmp_path: Path) -> None:
    vertices, faces = icosphere()
    upper = (vertices[:, 2] > 0).astype(np.float32)
    state = done(room, "bind", asset.asset, vertices=vertices, faces=faces, weights=upper)
    made = version(room, asset.asset, state.version)
    assert made.bound_splats is not None and 700 < made.bound_splats < 900 and made.far_splats == 0
    room.desk.pose(PoseMesh(pose="aside", asset=asset.asset, vertices=vertices + np.float32(2)))
    room.desk.export_file(asset.asset, "", tmp_path / "aside.ply", ExportChoices(pose="aside"))
    moved = (read_cloud(tmp_path / "aside.ply").means - CLOUD.means)[:, 0]
    assert np.allclose(moved[CLOUD.means[:, 2] > 0.3], 2, atol=1e-3)
    assert not moved[CLOUD.means[:, 2] < -0.3].any()
    for name in ("kept.safetensors", "kept.bound"):
        room.desk.export_file(asset.asset, "", tmp_path / name)
        again = room.desk.import_file(tmp_path / name).asset
        room.desk.pose(PoseMesh(pose="again", asset=again, vertices=vertices + np.float32(2)))
        room.desk.export_file(again, "", tmp_path / "again.ply", ExportChoices(pose="again"))
        assert np.allclose((read_cloud(tmp_path / "again.ply").means - CLOUD.means)[:, 0], moved, atol=1e-4)
    small = vertices * np.float32(0.5)
    options = {"settings": {"far": "follow", "distance": 0.1}, "far_weights": upper}
    with pytest.raises(AssertionError, match="near enough"):
        done(room, "bind", asset.asset, version=asset.head, vertices=small, faces=faces, **options)
    small[:, 0] += 0.5  # its side touches the splats
    state = done(room, "bind", asset.asset, version=asset.head, vertices=small, faces=faces, **options)
    made = version(room, asset.asset, state.version)
    assert made.bound_splats == 1500 and made.far_splats is not None and 900 < made.far_splats < 1500
    turned = np.where(upper[:, None] > 0, small + np.float32(1), small)
    room.desk.pose(PoseMesh(pose="half", asset=asset.asset, vertices=turned))
    room.desk.export_file(asset.asset, "", tmp_path / "half.ply", ExportChoices(pose="half"))
    moved = (read_cloud(tmp_path / "half.ply").means - CLOUD.means)[CLOUD.means[:, 0] < 0]
    assert np.allclose(moved, 1, atol=1e-3), "below, too, they go with the upper half"


def test_the_mesh_that_splats_are_bound_to_can_be_had_again(room: Room, asset: AssetInfo) -> None:
    vertices, faces = icosphere()
    with pytest.raises(UserError, match="not bound to a mesh"):
        room.desk.bound_mesh(asset.asset)
    done(room, "bind", asset.asset, vertices=vertices, faces=faces)
    mesh = room.desk.bound_mesh(asset.asset)
    assert np.array_equal(mesh.vertices, vertices) and np.array_equal(mesh.faces, faces) and not len(mesh.colors)
    with pytest.raises(UserError, match="not bound to a mesh"):
        room.desk.bound_mesh(asset.asset, asset.head)


def test_bound_splats_are_written_where_the_mesh_is_posed(room: Room, asset: AssetInfo, tmp_path: Path) -> None:
    vertices, faces = icosphere()
    done(room, "bind", asset.asset, vertices=vertices, faces=faces)
    room.desk.pose(PoseMesh(pose="aside", asset=asset.asset, vertices=vertices + np.float32(2)))
    room.desk.export_file(asset.asset, "", tmp_path / "rest.ply")
    room.desk.export_file(asset.asset, "", tmp_path / "posed.ply", ExportChoices(pose="aside"))
    rest, posed = (read_cloud(tmp_path / f"{name}.ply") for name in ("rest", "posed"))
    assert np.allclose(posed.means, rest.means + 2, atol=1e-4)
    with pytest.raises(UserError, match="no pose 'elsewhere'"):
        room.desk.export_file(asset.asset, "", tmp_path / "no.ply", ExportChoices(pose="elsewhere"))


def test_a_crop_of_bound_splats_is_still_bound(room: Room, asset: AssetInfo) -> None:
    vertices, faces = icosphere()
    done(room, "bind", asset.asset, vertices=vertices, faces=faces)
    state = done(room, "crop", asset.asset, box=UPPER_HALF)
    assert version(room, asset.asset, state.version).bound_vertices == len(vertices)
    applied = done(room, "apply_pose", asset.asset, vertices=vertices + np.float32(2), faces=faces)
    moved = cloud_of(room.desk.bake(asset.asset, applied.version))
    assert np.allclose(moved.means, CLOUD.means[CLOUD.means[:, 2] >= 0] + 2, atol=1e-5)
    room.desk.pose(PoseMesh(pose="still", asset=asset.asset, vertices=vertices + np.float32(2)))
    one, two = (drawn(room, SceneObject(asset=asset.asset, pose=p), pixels="float32") for p in ("still", ""))
    assert np.abs(one.color - two.color).max() < 2e-3, "the pose is the rest now"


def test_a_bound_version_goes_out_and_comes_in_with_what_it_hangs_on(
    room: Room, asset: AssetInfo, tmp_path: Path
) -> None:
    vertices, faces = icosphere()
    done(room, "bind", asset.asset, vertices=vertices, faces=faces)
    cropped = done(room, "crop", asset.asset, box=UPPER_HALF).version  # stored as what it changed
    path = tmp_path / "bound.safetensors"
    room.desk.export_file(asset.asset, cropped, path)
    other = room.desk.import_file(path)
    (made,) = room.desk.versions(other.asset)
    assert (other.splats, made.bound_vertices, made.parent) == (750, len(vertices), "")
    moved = vertices + np.float32(0.4)
    for name, whose in (("one", asset.asset), ("two", other.asset)):
        room.desk.pose(PoseMesh(pose=name, asset=whose, vertices=moved))
    one = drawn(room, SceneObject(asset=asset.asset, pose="one"), pixels="float32")
    two = drawn(room, SceneObject(asset=other.asset, pose="two"), pixels="float32")
    rest = drawn(room, SceneObject(asset=other.asset), pixels="float32")
    assert np.array_equal(one.color, two.color) and np.abs(two.color - rest.color).max() > 0.2


def _without_a_splat(arrays: Arrays) -> Arrays:
    return arrays | {name: arrays[name][:-1] for name in CLOUD_FIELDS}


def _on_a_face_that_is_not_there(arrays: Arrays) -> Arrays:
    return arrays | {"binding.faces": np.full_like(arrays["binding.faces"], 10**6)}


def _in_other_numbers(arrays: Arrays) -> Arrays:
    return arrays | {"binding.faces": arrays["binding.faces"].astype(np.float32)}


def _without_heights(arrays: Arrays) -> Arrays:
    return {name: array for name, array in arrays.items() if name != "binding.heights"}


@pytest.mark.parametrize(
    "change", [_without_a_splat, _on_a_face_that_is_not_there, _in_other_numbers, _without_heights]
)
def test_a_bound_file_that_does_not_fit_together_is_refused(
    room: Room, asset: AssetInfo, tmp_path: Path, change: Callable[[Arrays], Arrays]
) -> None:
    vertices, faces = icosphere()
    done(room, "bind", asset.asset, vertices=vertices, faces=faces)
    path = tmp_path / "bound.safetensors"
    room.desk.export_file(asset.asset, "", path)
    write_arrays(path, change(read_arrays(path)))
    with pytest.raises(UserError, match=r"bound\.safetensors"):
        room.desk.import_file(path)
    assert len(room.desk.assets()) == 1


def test_poses_that_mean_nothing_are_refused(room: Room, asset: AssetInfo) -> None:
    vertices, faces = icosphere()
    with pytest.raises(UserError, match="not bound"):
        room.desk.pose(PoseMesh(pose="arm", asset=asset.asset, vertices=vertices))
    bound = done(room, "bind", asset.asset, vertices=vertices, faces=faces).version
    with pytest.raises(UserError, match="161 vertices"):
        room.desk.pose(PoseMesh(pose="arm", asset=asset.asset, vertices=vertices[:-1]))
    with pytest.raises(UserError, match="no pose 'arm'"):
        drawn(room, SceneObject(asset=asset.asset, pose="arm"))
    room.desk.pose(PoseMesh(pose="arm", asset=asset.asset, version=bound, vertices=vertices))
    with pytest.raises(UserError, match="another version"):
        drawn(room, SceneObject(asset=asset.asset, version=asset.head, pose="arm"))
    broken = np.full_like(vertices, np.nan)
    room.desk.pose(PoseMesh(pose="broken", asset=asset.asset, vertices=broken))
    assert drawn(room, SceneObject(asset=asset.asset, pose="broken")).color.max() == 0
    for number in range(MOST_POSES):
        room.desk.pose(PoseMesh(pose=f"{number}", asset=asset.asset, vertices=vertices))
    with pytest.raises(UserError, match="no pose 'arm'"):
        drawn(room, SceneObject(asset=asset.asset, pose="arm"))


def test_a_mesh_is_made_and_fetched(room: Room, asset: AssetInfo) -> None:
    state = done(room, "tsdf", asset.asset, settings={"resolution": 32, "views": 12})
    mesh = room.desk.mesh(state.job)
    assert mesh.vertices.dtype == np.float32 and mesh.faces.dtype == np.int32 and mesh.colors.dtype == np.uint8
    assert len(mesh.faces) == state.figures["faces"] and state.version == "" and state.category == "meshing"
    assert state.figures["watertight"] == trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).is_watertight
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - 1).mean() < 0.1
    assert room.desk.assets()[0].head == asset.head
    crop = done(room, "crop", asset.asset, box=UPPER_HALF)
    long = room.desk.rename(asset.asset, "n" * 200)
    assert len(done(room, "crop", long.asset, box=UPPER_HALF).name) <= 200
    with pytest.raises(UserError, match="made no mesh"):
        room.desk.mesh(crop.job)


def test_what_was_trained_here_is_meshed_from_where_it_was_photographed(room: Room, tiny_capture: Path) -> None:
    trained = room.wait(room.train(tiny_capture, steps=3), "finished")
    assert trained.version == room.desk.assets()[0].head != ""
    assert room.desk.assets()[0].up == (0.0, 0.0, 1.0), "made captures are z-up"
    crop = done(
        room, "crop", trained.asset, box=tuple(8.0 * v if v < 1 or i < 15 else v for i, v in enumerate(IDENTITY))
    )
    workspace = room.desk._workspace
    card = AssetStore(workspace).version(trained.asset, crop.version)
    notes: list[str] = []
    cameras = cameras_of_training(workspace, card, notes.append)
    views = room.desk.views(tiny_capture, 0)
    assert len(cameras) == sum(not view.held_out for view in views.views) and notes == []
    part = meshed_part(cloud_of(room.desk.bake(trained.asset)), cameras)
    assert (part[1] > part[0]).all()
    moved = tiny_capture.rename(tiny_capture.with_name("moved"))
    try:
        assert cameras_of_training(workspace, card, notes.append) == () and "views are chosen" in notes[0]
    finally:
        moved.rename(tiny_capture)


def test_far_background_is_not_meshed() -> None:
    def camera(angle: float) -> Camera:
        centre = 3 * np.array([np.cos(angle), np.sin(angle), 0.5])
        forward = -centre / np.linalg.norm(centre)
        right = np.cross(forward, (0, 0, 1))
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
        pose[:3, 3] = -pose[:3, :3] @ centre
        return Camera(pose, 50.0, 50.0, 20.0, 20.0, 40, 40)

    ring = [camera(angle) for angle in np.linspace(0, 6, 12)]
    backdrop = sphere(40.0, 1500)
    near, far = meshed_part(backdrop, ring), meshed_part(backdrop, ())
    assert np.abs(near).max() < 4 and np.abs(far).max() > 30


def test_views_of_a_capture_are_listed_with_their_cameras(room: Room, tiny_capture: Path) -> None:
    listed = room.desk.views(tiny_capture, 0)
    assert listed.total == len(listed.views) > 3 and room.desk.views(tiny_capture, 2).views == listed.views[2:]
    first = listed.views[0]
    assert Path(first.path).is_file() and (first.camera.width, first.camera.height) == (48, 32)
    assert any(view.held_out for view in listed.views) and not first.distorted
    with pytest.raises(UserError):
        room.desk.views(tiny_capture / "images", 0)


def test_triangles_hide_what_is_behind_them(room: Room, asset: AssetInfo) -> None:
    shown = SceneObject(asset=asset.asset)
    wall = np.array([[-9, -9, 0.0], [9, -9, 0], [9, 9, 0], [-9, 9, 0]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    free = drawn(room, shown)
    half = drawn(room, shown, surface_vertices=wall, surface_faces=faces)
    assert free.depth is not None and half.depth is not None
    assert 0.2 < half.color[..., 3].sum() / free.color[..., 3].sum() < 0.95
    behind_all = np.full((30, 40), 0.5, np.float32)
    both = drawn(room, shown, surface_vertices=wall, surface_faces=faces, surface_depth=behind_all)
    assert both.color.max() == 0, "the nearer of both counts"


def test_a_job_that_died_with_its_process_is_done_once(room: Room, asset: AssetInfo) -> None:
    """As the workspace is left by a process that was killed before, and one that was killed after it had stored."""
    desk = room.desk
    wish = RunMethod(method="crop", asset=asset.asset, version=asset.head, box=UPPER_HALF)
    card = JobCard(
        id=new_id(), created=time.time(), name="crop", method="crop", category="editing", status="running",
        asset=asset.asset, request=msgspec.Raw(msgspec.json.encode(wish)), starts=1,
    )  # fmt: skip
    desk._workspace.keep(card)
    desk.close()
    for _ in range(2):
        room.desk = Desk(room.folder, device="cpu", on_event=room.events.append, on_fatal=room.fatal.append)
        state = room.wait(room.desk.job(card.id), "finished")
        assert len(room.desk.versions(asset.asset)) == 2 and state.version and state.resumed >= 1
        room.desk._workspace.keep(card)
        room.desk.close()
    room.desk = Desk(room.folder, device="cpu", on_event=room.events.append, on_fatal=room.fatal.append)


def test_what_cannot_work_is_refused_at_once_and_leaves_nothing(room: Room, asset: AssetInfo) -> None:
    vertices, faces = icosphere()
    flat = tuple(0.0 if i == 10 else v for i, v in enumerate(IDENTITY))
    for wish, said in (
        (RunMethod(method="mcmc", asset=asset.asset), "trains"),
        (RunMethod(method="cropp", asset=asset.asset), "no method"),
        (RunMethod(method="crop", asset=asset.asset, settings={"keep": "both"}), "cannot be"),
        (RunMethod(method="crop", asset=asset.asset, box=flat), "flat"),
        (RunMethod(method="crop", asset="nothing"), "no asset"),
        (RunMethod(method="crop", asset=asset.asset, version="nothing"), "no version"),
        (RunMethod(method="bind", asset=asset.asset), "needs a mesh"),
    ):
        with pytest.raises(UserError, match=said):
            room.desk.run_method(wish)
    assert room.desk.jobs() == () and len(room.desk.versions(asset.asset)) == 1
    failed = done(room, "bind", asset.asset, "failed", vertices=vertices + np.float32(50), faces=faces)
    assert failed.failure is not None and "near enough" in failed.failure.message
    missing = done(room, "crop", asset.asset, "failed")
    assert missing.failure is not None and "needs a box" in missing.failure.message


def test_a_cancelled_job_leaves_no_arrays_and_no_version(room: Room, asset: AssetInfo, tiny_capture: Path) -> None:
    vertices, faces = icosphere()
    first = room.desk.run_method(RunMethod(method="tsdf", asset=asset.asset, settings={"views": 1000}))
    wait_for(lambda: room.desk.job(first.job).step > 0)
    started = time.monotonic()
    room.desk.cancel(first.job, False)
    assert room.desk.job(first.job).status == "cancelled" and time.monotonic() - started < 0.5
    wait_for(lambda: room.desk.is_idle)
    wait_for(lambda: sorted(p.name for p in (room.folder / "jobs" / first.job).iterdir()) == ["job.json"])
    bind = done(room, "bind", asset.asset, vertices=vertices, faces=faces)
    assert (room.folder / "jobs" / bind.job / "input.safetensors").is_file()
    # As when it is thrown away in the very moment in which its version is written.
    room.desk._methods.discard(room.desk._workspace.find(JobCard, bind.job, "job"))
    assert [found.version for found in room.desk.versions(asset.asset)] == [asset.head]
    assert sorted(p.name for p in (room.folder / "jobs" / bind.job).iterdir()) == ["job.json"]
