"""Edits as the desk's jobs: versions that come and stay, parts that become assets, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backend.jobs.desk import Desk
from backend.splats.cloud import SplatCloud
from backend.splats.io import SplatContent, write_cloud, write_splats
from backend.store.assets import AssetStore
from shared_protocol.errors import UserError
from shared_protocol.messages import AssetChanged, RunMethod
from shared_protocol.things import IDENTITY, AssetInfo, PlacedAsset, SceneObject
from tests.made_splats import box, sphere, with_shine
from tests.unit.jobs.test_desk import Room, cloud_of, drawn
from tests.unit.jobs.test_method_jobs import UPPER_HALF, done, icosphere, version

CLOUD = with_shine(sphere(1.0, 1500), 2)
UPPER = CLOUD.means[:, 2] >= 0
FIELDS = ("means", "quats", "log_scales", "opacity_logits", "sh")


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path / "workspace")
    yield made
    made.desk.close()


@pytest.fixture
def asset(room: Room, tmp_path: Path) -> AssetInfo:
    write_cloud(tmp_path / "ball.ply", CLOUD)
    return room.desk.import_file(tmp_path / "ball.ply")


def baked(room: Room, asset: str, identifier: str = "") -> SplatCloud:
    return cloud_of(room.desk.bake(asset, identifier))


def same(one: SplatCloud, two: SplatCloud) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in FIELDS)


def test_edits_of_all_splats_are_stored_in_a_few_bytes(room: Room, asset: AssetInfo) -> None:
    turned = done(room, "transform", asset.asset, settings={"turn_x": 30.0, "scale_y": 1.5})
    warm = done(room, "color", asset.asset, settings={"red": 1.2, "gamma": 1.1})
    plain = done(room, "sh_degree", asset.asset, settings={"degree": 1})
    for state in (turned, warm, plain):
        assert version(room, asset.asset, state.version).bytes < 0.02 * asset.bytes
    assert version(room, asset.asset, plain.version).sh_degree == 1
    assert same(baked(room, asset.asset, asset.head), CLOUD), "the first version is as it was"
    again = baked(room, asset.asset, warm.version)
    assert np.array_equal(again.means, baked(room, asset.asset, turned.version).means)
    assert np.array_equal(baked(room, asset.asset).sh, again.sh[:, :4])


def test_a_separated_part_is_an_asset_in_the_same_frame(room: Room, asset: AssetInfo) -> None:
    state = done(room, "separate", asset.asset, box=UPPER_HALF)
    part = next(found for found in room.desk.assets() if found.asset == state.apart)
    assert same(baked(room, part.asset), CLOUD.select(UPPER)) and same(baked(room, asset.asset), CLOUD.select(~UPPER))
    assert (part.up, part.frame, part.name) == (asset.up, asset.frame, "ball, part")
    assert any(isinstance(event, AssetChanged) and event.asset.asset == part.asset for event in room.events)
    both = done(
        room, "join", asset.asset, others=(PlacedAsset(asset=part.asset, asset_from_other=IDENTITY),)
    ).version  # fmt: skip
    joined = baked(room, asset.asset, both)
    assert same(
        joined, SplatCloud(*(np.concatenate([getattr(CLOUD.select(m), n) for m in (~UPPER, UPPER)]) for n in FIELDS))
    )
    assert version(room, asset.asset, both).parent == state.version


def test_further_numbers_of_splats_follow_them(room: Room, tmp_path: Path) -> None:
    confidence = np.arange(len(CLOUD)).astype(np.float32)
    write_splats(tmp_path / "known.ply", SplatContent(CLOUD, extra={"confidence": confidence}))
    asset = room.desk.import_file(tmp_path / "known.ply").asset
    done(room, "delete", asset, box=UPPER_HALF)
    done(room, "duplicate", asset, box=(1.0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1))
    right = CLOUD.means[~UPPER][:, 0] >= 0
    room.desk.export_file(asset, "", tmp_path / "out.csv")
    table = np.genfromtxt(tmp_path / "out.csv", delimiter=",", names=True)
    kept = confidence[~UPPER]
    assert np.array_equal(table["confidence"], np.concatenate([kept, kept[right]]))


def test_what_splats_hang_on_goes_along(room: Room, asset: AssetInfo) -> None:
    vertices, faces = icosphere()
    done(room, "bind", asset.asset, vertices=vertices, faces=faces)
    copied = done(room, "duplicate", asset.asset, box=UPPER_HALF, settings={"move_z": 0.5})
    info = version(room, asset.asset, copied.version)
    assert (info.bound_vertices, info.bound_splats, info.splats) == (
        len(vertices),
        1500 + UPPER.sum(),
        1500 + UPPER.sum(),
    )
    write_cloud(room.folder / "box.ply", box(0.3, 6))
    other = room.desk.import_file(room.folder / "box.ply").asset
    joined = done(room, "join", asset.asset, others=(PlacedAsset(asset=other),))
    info = version(room, asset.asset, joined.version)
    assert info.splats - (info.bound_splats or 0) == 216, "what came from elsewhere hangs on nothing"
    scaled = done(room, "set_scale", asset.asset, points=((0.0, 0, 0), (0, 0, 1)), settings={"length": 3.0})
    mesh = room.desk.bound_mesh(asset.asset, scaled.version)
    assert np.allclose(mesh.vertices, 3 * vertices, atol=1e-5), "the mesh keeps its place on the splats"


def test_undone_versions_are_there_after_the_backend_was_started_again(room: Room, asset: AssetInfo) -> None:
    seen = [(asset.head, baked(room, asset.asset))]
    for method, options in (
        ("delete", {"box": UPPER_HALF}),
        ("color", {"settings": {"exposure": 1.0}}),
        ("duplicate", {"settings": {"move_x": 2.0}}),
        ("opacity", {"settings": {"value": 0.5}}),
    ):
        state = done(room, method, asset.asset, **options)
        seen.append((state.version, baked(room, asset.asset)))
    # Undo is naming an older version, redo a newer one; an edit after undo begins where one stands.
    branch = done(room, "opacity", asset.asset, version=seen[1][0], settings={"value": 0.1})
    seen.append((branch.version, baked(room, asset.asset, branch.version)))
    assert version(room, asset.asset, branch.version).parent == seen[1][0]
    room.desk.hold("session", "blender", tuple(identifier for identifier, _ in seen))
    room.desk.close()
    room.desk = Desk(room.folder, device="cpu", on_event=room.events.append, on_fatal=room.fatal.append)
    for identifier, cloud in (*seen, *reversed(seen)):
        assert same(baked(room, asset.asset, identifier), cloud)
        picture = drawn(room, SceneObject(asset=asset.asset, version=identifier))
        assert picture.color.max() > 0


def test_undo_does_not_wait_for_a_job_and_does_not_disturb_it(room: Room, asset: AssetInfo, tiny_capture: Path) -> None:
    edited = done(room, "delete", asset.asset, box=UPPER_HALF).version
    training = room.train(tiny_capture)
    room.reach_steps(training)
    for identifier, count in ((edited, (~UPPER).sum()), (asset.head, 1500), (edited, (~UPPER).sum())):
        assert len(baked(room, asset.asset, identifier)) == count
        drawn(room, SceneObject(asset=asset.asset, version=identifier))
    meshing = room.desk.run_method(RunMethod(method="tsdf", asset=asset.asset))
    done(room, "opacity", asset.asset, version=asset.head, settings={"value": 0.5})
    assert room.desk.job(training.job).status == "running"
    assert room.desk.job(meshing.job).status == "queued"
    for job in (meshing.job, training.job):
        room.desk.cancel(job, False)


def test_what_a_training_writes_is_not_edited(room: Room, tiny_capture: Path) -> None:
    training = room.train(tiny_capture)
    room.reach_steps(training)
    AssetStore(room.desk._workspace).add(training.asset, CLOUD, label="from before")
    with pytest.raises(UserError, match="still at work"):
        room.desk.run_method(RunMethod(method="opacity", asset=training.asset))
    assert len(room.desk.versions(training.asset)) == 1 and len(room.desk.jobs()) == 1
    room.desk.cancel(training.job, False)


def test_an_edit_that_fails_changes_nothing(room: Room, asset: AssetInfo) -> None:
    far = tuple(9.0 if i == 3 else v for i, v in enumerate(IDENTITY))
    for method, options, said in (
        ("delete", {}, "No splats are selected"),
        ("delete", {"box": far}, "No splats are selected"),
        ("delete", {"box": tuple(v * 9 if i < 15 else v for i, v in enumerate(IDENTITY))}, "No splat would be left"),
        ("transform", {"settings": {"scale_x": 0.0}}, "flattens"),
        ("set_ground", {"points": ((0.0, 0, 0),)}, "needs 3 points"),
    ):
        state = done(room, method, asset.asset, "failed", **options)
        assert state.failure is not None and said in state.failure.message
    assert [info.head for info in room.desk.assets()] == [asset.head]
    with pytest.raises(UserError, match="no asset"):
        room.desk.run_method(RunMethod(method="join", asset=asset.asset, others=(PlacedAsset(asset="nothing"),)))
