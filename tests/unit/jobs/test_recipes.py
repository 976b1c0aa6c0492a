"""What was edited in Blender is written as a recipe, and done again to a file it gives the same splats."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backend.cli.command import run
from backend.jobs.recipes import EditStep, Recipe, SplatMask, read_recipe
from backend.splats.cloud import SplatCloud
from backend.splats.io import read_cloud, write_cloud
from shared_protocol.errors import UserError
from shared_protocol.messages import Select
from shared_protocol.selecting import InOutline, InRange, InSphere, Inverted, OfColor, Selector
from shared_protocol.things import IDENTITY, AssetInfo, PlacedAsset, ViewCamera
from tests.made_splats import box, sphere, with_shine
from tests.unit.jobs.test_desk import Room, cloud_of
from tests.unit.jobs.test_method_jobs import done, icosphere

CLOUD = with_shine(sphere(1.0, 1500), 2)
FIELDS = ("means", "quats", "log_scales", "opacity_logits", "sh")
FRONT = ViewCamera(
    camera_from_world=(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 4, 0, 0, 0, 1),
    fx=40.0, fy=40.0, cx=20.0, cy=15.0, width=40, height=30, near=0.1, far=100.0,
)  # fmt: skip
LEFT_HALF = np.array([[0, 0], [20, 0], [20, 30], [0, 30]], np.float32)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path / "workspace")
    yield made
    made.desk.close()


@pytest.fixture
def asset(room: Room, tmp_path: Path) -> AssetInfo:
    write_cloud(tmp_path / "ball.ply", CLOUD)
    return room.desk.import_file(tmp_path / "ball.ply")


def same(one: SplatCloud, two: SplatCloud) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in FIELDS)


def selected(room: Room, asset: str, by: Selector, **options) -> str:
    return room.desk.select(Select(asset=asset, by=by, **options)).selection


def test_a_stack_of_edits_is_done_again_to_the_last_bit(room: Room, asset: AssetInfo, tmp_path: Path) -> None:
    write_cloud(tmp_path / "cube.ply", box(0.3, 6))
    cube = room.desk.import_file(tmp_path / "cube.ply").asset
    vertices, faces = icosphere()
    left = selected(room, asset.asset, InOutline(camera=FRONT, world_from_object=IDENTITY, points=LEFT_HALF))
    lower = selected(room, asset.asset, OfColor(rgb=(0.1, 0.1, 0.9)), base=left, mode="intersect")
    first = done(room, "delete", asset.asset, selection=lower)
    ball = InSphere(asset_from_sphere=(0.5, 0, 0, 0.8, 0, 0.5, 0, 0, 0, 0, 0.5, 0, 0, 0, 0, 1))
    second = done(room, "duplicate", asset.asset, selection=selected(room, asset.asset, ball), settings={"move_x": 0.5})
    assert second.selection and not first.selection
    third = done(room, "color", asset.asset, selection=second.selection, settings={"red": 0.5})
    rest = selected(room, asset.asset, Inverted(), base=third.selection)
    done(room, "transform", asset.asset, selection=rest, settings={"turn_z": 30.0, "scale_x": 1.1})
    done(room, "join", asset.asset, others=(PlacedAsset(asset=cube),))
    done(room, "set_ground", asset.asset, points=((0.0, 0, 0), (1.0, 0, 0.1), (0, 1.0, 0)))
    large = (1.2 * vertices).astype(np.float32)
    done(room, "crop", asset.asset, settings={"shape": "mesh"}, vertices=large, faces=faces)
    room.desk.export_file(asset.asset, "", tmp_path / "recipe.json")
    steps = read_recipe(tmp_path / "recipe.json").steps
    assert [step.method for step in steps] == [
        "delete", "duplicate", "color", "transform", "join", "set_ground", "crop",
    ]  # fmt: skip
    assert [how.mode for how in steps[0].select] == ["set", "intersect"]
    assert all(step.mask is None for step in steps), "all selections can be made again elsewhere"
    out = tmp_path / "out.ply"
    command = ["edit", str(tmp_path / "ball.ply"), str(out), "--recipe", str(tmp_path / "recipe.json"), "--quiet"]
    assert run(command) == 0
    assert same(read_cloud(out), cloud_of(room.desk.bake(asset.asset)))
    assert same(cloud_of(room.desk.bake(asset.asset, asset.head)), CLOUD)


def test_a_recipe_works_on_other_splats(room: Room, asset: AssetInfo, tmp_path: Path) -> None:
    done(room, "delete", asset.asset, selection=selected(room, asset.asset, OfColor(rgb=(0.1, 0.1, 0.9))))
    room.desk.export_file(asset.asset, "", tmp_path / "recipe.json")
    other = sphere(2.0, 400)
    write_cloud(tmp_path / "other.ply", other)
    command = [
        "edit",
        str(tmp_path / "other.ply"),
        str(tmp_path / "out.ply"),
        "--recipe",
        str(tmp_path / "recipe.json"),
    ]
    assert run([*command, "--quiet"]) == 0
    assert same(read_cloud(tmp_path / "out.ply"), other.select(other.means[:, 2] > 0))


def test_selections_that_only_their_splats_say_are_kept_as_these(room: Room, asset: AssetInfo, tmp_path: Path) -> None:
    hidden = selected(room, asset.asset, InRange(attribute="opacity", low=2.0, high=3.0)) or selected(
        room, asset.asset, OfColor(rgb=(0.9, 0.1, 0.1))
    )
    blue = selected(room, asset.asset, Inverted(), hidden=hidden)
    done(room, "delete", asset.asset, selection=blue, hidden=hidden)
    room.desk.export_file(asset.asset, "", tmp_path / "recipe.json")
    (step,) = read_recipe(tmp_path / "recipe.json").steps
    assert step.mask is not None and step.mask.count == 1500
    command = ["edit", str(tmp_path / "ball.ply"), str(tmp_path / "out.ply"), "--recipe", str(tmp_path / "recipe.json")]
    assert run([*command, "--quiet"]) == 0
    assert same(read_cloud(tmp_path / "out.ply"), cloud_of(room.desk.bake(asset.asset)))
    with pytest.raises(UserError, match="1,500 splats"):
        step.mask.selected(1499)


def test_what_is_no_recipe_is_refused_and_writes_nothing(
    room: Room, asset: AssetInfo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="not edited"):
        room.desk.export_file(asset.asset, "", tmp_path / "recipe.json")
    path, out = tmp_path / "recipe.json", tmp_path / "out.ply"
    nothing = SplatMask.of(np.zeros(1500, bool))
    for content, said in (
        (b"{", "no recipe"),
        (b'{"format": 9, "steps": [{"method": "delete"}]}', "newer version"),
        (b'{"format": 1, "steps": []}', "holds no edits"),
        (b'{"format": 1, "steps": [{"method": "delete", "colour": 1}]}', "no recipe"),
        (b'{"format": 1, "steps": [{"method": "tsdf"}]}', "one of meshing"),
        (b'{"format": 1, "steps": [{"method": "color", "settings": {"red": "x"}}]}', "cannot be"),
        (b'{"format": 1, "steps": [{"method": "join", "others": [{"file": "gone.ply"}]}]}', "gone.ply"),
        (b'{"format": 1, "steps": [{"method": "delete"}]}', "No splats are selected"),
    ):
        path.write_bytes(content)
        assert run(["edit", str(tmp_path / "ball.ply"), str(out), "--recipe", str(path)]) == 1, content
        assert said in capsys.readouterr().err, content
    Recipe.of((EditStep(method="opacity", mask=nothing),)).write(path)
    assert run(["edit", str(tmp_path / "ball.ply"), str(out), "--recipe", str(path)]) == 1
    assert run(["edit", str(tmp_path / "ball.ply"), str(out), "--recipe", str(path), "--set", "a=1"]) == 2
    assert run(["edit", "opacity", str(tmp_path / "ball.ply")]) == 2
    assert not out.exists()
