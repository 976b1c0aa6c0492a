"""Everything that a request for a picture says, read as it comes from the wire, reaches the drawing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from backend.jobs.desk import Desk
from backend.splats import rendering, surface_colors
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.io import read_cloud, write_cloud
from backend.splats.representation import CloudRepresentation, Splats
from backend.splats.surface_axes import SurfaceAxes
from shared_protocol.codec import backend_codec, client_codec
from shared_protocol.messages import Picture, Render
from shared_protocol.things import IDENTITY, SceneObject, SplatColors, ViewCamera

VIEW = ViewCamera(camera_from_world=IDENTITY, fx=50, fy=48, cx=20, cy=16, width=40, height=32)
TURNED = (0.0, 0.0, 0.8, 0.2, 0.0, 0.8, 0.0, 0.0, -0.8, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 1.0)  # scaled, then moved
SURFACE = np.where(np.arange(40) < 20, np.inf, 5.0).astype(np.float32) * np.ones((32, 1), np.float32)  # [32, 40]


def cloud(seed: int, z: float) -> SplatCloud:
    generator = np.random.default_rng(seed)
    return SplatCloud(
        means=generator.normal(size=(40, 3)).astype(np.float32) * 0.8 + np.array([0, 0, z], np.float32),
        quats=generator.normal(size=(40, 4)).astype(np.float32),
        log_scales=generator.normal(size=(40, 3)).astype(np.float32) * 0.4 - np.float32(1.5),
        opacity_logits=generator.normal(size=40).astype(np.float32),
        sh=generator.normal(size=(40, 9, 3)).astype(np.float32) * 0.4,
    )


class Changing(CloudRepresentation):
    """Moves with the time, and is brighter in the light of later photos."""

    def splats(self, camera: Camera, time: float, appearance: int) -> Splats:
        still = super().splats(camera, time, appearance)
        assert isinstance(still.colors, torch.Tensor)
        return replace(still, means=still.means + time, colors=still.colors + 0.1 * appearance)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    workspace = tmp_path_factory.mktemp("pictures") / "workspace"
    desk = Desk(workspace, device="cpu", on_event=lambda _event: None, on_fatal=lambda _reason: None)
    yield desk
    desk.close()


@pytest.fixture(scope="module")
def clouds(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> dict[str, SplatCloud]:
    """By asset; they stand in each other."""
    found = {}
    for seed, z in ((1, 5.0), (2, 0.0)):
        path: Path = tmp_path_factory.mktemp("files") / f"{seed}.ply"
        write_cloud(path, cloud(seed, z))
        found[desk.import_file(path, path.stem).asset] = read_cloud(path)
    return found


def drawn(desk: Desk, request: Render) -> Picture:
    return desk.render(arrived(request)).result(30)


def arrived(request: Render) -> Render:
    """After a journey over the wire."""
    _, read = backend_codec().unpack([bytes(frame) for frame in client_codec().pack(1, request)])
    assert isinstance(read, Render)
    return read


def request_of(clouds: dict[str, SplatCloud], **changes) -> Render:
    one, other = clouds
    objects = (SceneObject(asset=one), SceneObject(asset=other, world_from_object=TURNED))
    return msgspec.structs.replace(Render(objects=objects, camera=VIEW, pixels="float32"), **changes)


def expected(clouds: dict[str, SplatCloud], view: ViewCamera = VIEW, **options) -> rendering.Drawing:
    camera = Camera(np.eye(4), view.fx, view.fy, view.cx, view.cy, view.width, view.height, view.orthographic)
    placements = (np.eye(4), np.array(TURNED).reshape(4, 4))
    objects = [
        rendering.SceneObject(CloudRepresentation(splats, "cpu"), placement)
        for splats, placement in zip(clouds.values(), placements, strict=True)
    ]
    return rendering.draw_scene(objects, camera, device="cpu", depth=True, **options)


SHIFTED = msgspec.structs.replace(VIEW, cx=31.0, cy=9.5)
PARALLEL = msgspec.structs.replace(VIEW, orthographic=True, fx=12.0, fy=11.0)
CUT = msgspec.structs.replace(VIEW, near=4.5, far=6.0)


@pytest.mark.parametrize(
    ("asked", "view", "options"),
    [
        ({}, VIEW, {}),
        ({"camera": SHIFTED}, SHIFTED, {}),
        ({"camera": PARALLEL}, PARALLEL, {}),
        ({"camera": CUT}, VIEW, {"near": 4.5, "far": 6.0}),
        ({"surface_depth": SURFACE}, VIEW, {"surface_depth": SURFACE}),
        ({"camera": PARALLEL, "surface_depth": SURFACE}, PARALLEL, {"surface_depth": SURFACE}),
        ({"antialiased": True}, VIEW, {"antialiased": True}),
    ],
    ids=["plain", "shifted", "parallel", "near and far", "surface", "surface, parallel", "antialiased"],
)
def test_a_picture_is_the_one_that_was_asked_for(
    desk: Desk, clouds: dict[str, SplatCloud], asked: dict, view: ViewCamera, options: dict
) -> None:
    picture, wanted = drawn(desk, request_of(clouds, **asked)), expected(clouds, view, **options)
    assert wanted.depth is not None and picture.depth is not None
    np.testing.assert_allclose(picture.color[..., :3], wanted.color.numpy(), atol=1e-5)
    np.testing.assert_allclose(picture.color[..., 3], wanted.alpha.numpy(), atol=1e-5)
    np.testing.assert_allclose(picture.depth, wanted.depth.numpy(), atol=1e-4)
    if asked:
        assert np.abs(picture.color - drawn(desk, request_of(clouds)).color).max() > 0.02, "it makes no difference"


def test_what_is_hidden_is_not_drawn(desk: Desk, clouds: dict[str, SplatCloud]) -> None:
    whole = request_of(clouds)
    first, second = whole.objects
    hidden = msgspec.structs.replace(second, visible=False)
    alone = drawn(desk, request_of(clouds, objects=(first,)))
    assert np.array_equal(drawn(desk, request_of(clouds, objects=(first, hidden))).color, alone.color)
    assert np.abs(drawn(desk, whole).color - alone.color).max() > 0.1


def test_time_and_appearance_reach_the_representation(desk: Desk) -> None:
    splats = cloud(3, 5.0)

    def picture(shown: CloudRepresentation, time: float, appearance: int) -> np.ndarray:
        desk._live.begin("changing", "no job", shown)
        request = Render(objects=(SceneObject(asset="changing"),), camera=VIEW, pixels="float32")
        wish = msgspec.structs.replace(request, time=time, appearance=appearance)
        return desk._pictures.draw(arrived(wish)).color

    def still(moved: float, brighter: float) -> np.ndarray:
        frozen = replace(splats, means=splats.means + np.float32(moved), sh=splats.sh + np.float32(brighter))
        return picture(CloudRepresentation(frozen, "cpu"), 9.0, 9)

    for time, appearance in ((0.0, 0), (0.25, 0), (0.0, 2), (0.5, 3)):
        changed = picture(Changing(splats, "cpu"), time, appearance)
        np.testing.assert_allclose(changed, still(time, 0.1 * appearance), atol=1e-5)
    assert np.abs(still(0.25, 0) - still(0, 0)).max() > 0.05 and np.abs(still(0, 0.2) - still(0, 0)).max() > 0.02
    desk._live.end("changing")


def test_each_object_has_the_colours_that_are_asked_for(desk: Desk, clouds: dict[str, SplatCloud]) -> None:
    camera = Camera(np.eye(4), VIEW.fx, VIEW.fy, VIEW.cx, VIEW.cy, VIEW.width, VIEW.height)
    placements = (np.eye(4), np.array(TURNED).reshape(4, 4))
    one, other = (
        rendering.SceneObject(CloudRepresentation(splats, "cpu"), placement)
        for splats, placement in zip(clouds.values(), placements, strict=True)
    )

    def asked_for(first: SplatColors, second: SplatColors) -> np.ndarray:
        objects = zip(request_of(clouds).objects, (first, second), strict=True)
        colored = tuple(msgspec.structs.replace(item, colors=colors) for item, colors in objects)
        return drawn(desk, request_of(clouds, objects=colored)).color[..., :3]

    def wanted(*items: rendering.SceneObject) -> np.ndarray:
        return rendering.draw_scene(items, camera, device="cpu").color.numpy()

    normals = surface_colors.in_normals(one, SurfaceAxes())
    np.testing.assert_allclose(asked_for("normals", "own"), wanted(normals, other), atol=1e-5)
    both = surface_colors.visible_range([one, other], camera, device="cpu")
    greys = [surface_colors.in_depth(item, camera, both) for item in (one, other)]
    np.testing.assert_allclose(asked_for("depth", "depth"), wanted(*greys), atol=1e-5)
    alone = surface_colors.visible_range([other], camera, device="cpu")
    np.testing.assert_allclose(
        asked_for("own", "depth"), wanted(one, surface_colors.in_depth(other, camera, alone)), atol=1e-5
    )


def test_a_training_is_seen_in_the_normals_that_it_has_at_this_step(desk: Desk) -> None:
    learned = CloudRepresentation(cloud(4, 5.0), "cpu")
    desk._live.begin("learned", "no job", learned)
    wish = Render(objects=(SceneObject(asset="learned", colors="normals"),), camera=VIEW, pixels="float32")
    before = desk._pictures.draw(arrived(wish)).color
    quats = learned.splats(Camera(np.eye(4), 1, 1, 1, 1, 2, 2), 0, 0).quats
    assert quats is not None
    quats[:] = quats.roll(1, 0)  # where they lie, as an optimizer does
    after = desk._pictures.draw(arrived(wish)).color
    desk._live.end("learned")
    moved = replace(cloud(4, 5.0), quats=np.roll(cloud(4, 5.0).quats, 1, 0))
    desk._live.begin("moved", "no job", CloudRepresentation(moved, "cpu"))
    other = msgspec.structs.replace(wish, objects=(SceneObject(asset="moved", colors="normals"),))
    np.testing.assert_allclose(after, desk._pictures.draw(arrived(other)).color, atol=1e-6)
    desk._live.end("moved")
    assert np.abs(after - before).max() > 0.02
