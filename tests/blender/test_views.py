"""Splats are compared with their photos: each view is measured, the worst flown to, its photo laid over the view."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix, Vector

REPOSITORY = Path(__file__).resolve().parents[2]
Room = Callable[[str], ModuleType]
VIEWS = 10


@pytest.fixture(scope="module")
def capture(served_backend: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small made photos of a scene."""
    folder = tmp_path_factory.mktemp("capture") / "shapes"
    make = "import sys, pathlib; from backend.captures import make_capture; "
    make += f"make_capture(pathlib.Path(sys.argv[1]), views={VIEWS}, width=64, height=48, points=400)"
    subprocess.run([str(served_backend.python), "-c", make, str(folder)], cwd=REPOSITORY, check=True)
    return folder


@pytest.fixture(scope="module")
def trained(served_backend: Any, capture: Path) -> dict[str, str]:
    """The asset of a short training, by its first test; later files show it again."""
    return {}


@pytest.fixture
def splats(connected: ModuleType, capture: Path, trained: dict[str, str]) -> Any:
    """The active object."""
    if not trained:
        bpy.ops.splatwright.start_training(
            capture=str(capture), name="shapes", quality="draft", steps=60, max_splats=600, resolution=64, wait=True
        )
        trained["asset"] = bpy.context.view_layer.objects.active.splatwright.asset
    else:
        bpy.ops.splatwright.add_splats(asset=trained["asset"])
    return bpy.context.view_layer.objects.active


@pytest.fixture
def measured(splats: Any, room: Room, connected: ModuleType) -> Any:
    """The same, with all its views measured and listed."""
    if len(listed(room, splats, connected)) < VIEWS:
        bpy.ops.splatwright.measure_views()
        listed(room, splats, connected)
    return splats


def listed(room: Room, splats: Any, connected: ModuleType) -> list[Any]:
    """What the panel's list holds as soon as it has been asked for."""
    views = room("host.measured_views")
    version = room("host.objects").shown_version(splats)
    assert connected.wait_until(lambda: views.is_about(splats.splatwright.asset, version), 20)
    return list(views.chosen().views)


def space_3d() -> Any:
    return max(
        (area for area in bpy.context.window.screen.areas if area.type == "VIEW_3D"),
        key=lambda area: area.width * area.height,
    ).spaces.active


def eye() -> tuple[Vector, Matrix]:
    """Where the viewport stands, and its axes."""
    region_3d = space_3d().region_3d
    turn = region_3d.view_rotation
    return region_3d.view_location + turn @ Vector((0, 0, region_3d.view_distance)), turn.to_matrix()


def test_a_training_leaves_its_held_out_views_and_all_can_be_measured(
    splats: Any, room: Room, connected: ModuleType, draw: Callable[..., Any]
) -> None:
    found = listed(room, splats, connected)
    assert [view.held_out for view in found] == [True, True]
    assert bpy.ops.splatwright.measure_views() == {"FINISHED"}
    found = listed(room, splats, connected)
    assert len(found) == VIEWS and sum(view.held_out for view in found) == 2
    figures = [view.psnr for view in found]
    assert figures == sorted(figures) and 5 < figures[0] < 40
    panel = draw("SPLATWRIGHT_PT_views")
    (shown,) = panel.called("template_list")
    assert shown.arguments["propname"] == "views"
    assert {"splatwright.measure_views", "splatwright.fly_to_view"} <= panel.operators.keys()
    job = next(job for job in connected.session().jobs.values() if job.state.category == "evaluation")
    assert job.state.figures["psnr"] == pytest.approx(np.mean([v.psnr for v in found if v.held_out]), abs=1e-4)
    assert connected.session().assets[splats.splatwright.asset].job == ""


def test_the_list_shows_held_out_or_trained_views_or_those_of_a_name(measured: Any, room: Room) -> None:
    group, list_type = room("host.measured_views").chosen(), room("ui.panel_views").SPLATWRIGHT_UL_views

    def names(kind: str, wanted: str = "") -> list[str]:
        like = SimpleNamespace(kind=kind, filter_name=wanted, bitflag_filter_item=1 << 30)
        flags, order = list_type.filter_items(like, bpy.context, group, "views")
        assert order == []
        return [view.name for view, flag in zip(group.views, flags, strict=True) if flag]

    assert len(names("ALL")) == len(names("HELD_OUT")) + len(names("TRAINED")) == VIEWS
    assert sorted(names("HELD_OUT")) == ["0000.png", "0008.png"]
    assert names("ALL", "0003") == ["0003.png"] and names("HELD_OUT", "0003") == []


def test_the_viewport_flies_to_where_the_photo_was_taken_and_back(
    measured: Any, room: Room, connected: ModuleType, capture: Path
) -> None:
    splats, worst = measured, room("host.measured_views").chosen().views[0].path
    splats.matrix_world = Matrix.LocRotScale(Vector((3, 1, 2)), Euler((0.3, 0.4, 0.5)), Vector((2, 2, 2)))
    bpy.context.view_layer.update()
    region_3d = space_3d().region_3d
    region_3d.view_perspective, space_3d().lens = "ORTHO", 77
    before = (eye(), region_3d.view_perspective, space_3d().lens)
    assert not bpy.ops.splatwright.leave_view.poll()
    assert bpy.ops.splatwright.fly_to_view() == {"FINISHED"}
    assert room("host.photo_comparison").shown().view == worst and region_3d.view_perspective == "PERSP"
    (seen,) = (view for view in connected.link().backend.views(capture) if view.name == worst)
    camera_from_asset = Matrix(np.reshape(seen.camera.camera_from_world, (4, 4)).tolist())
    pose = splats.matrix_world @ camera_from_asset.inverted()
    place, axes = eye()
    assert (place - pose.translation).length < 1e-4
    forward = pose.to_3x3() @ Vector((0, 0, 1))
    assert (axes @ Vector((0, 0, -1)) - forward.normalized()).length < 1e-5
    upward = pose.to_3x3() @ Vector((0, -1, 0))
    assert (axes @ Vector((0, 1, 0)) - upward.normalized()).length < 1e-5
    other = next(view.path for view in room("host.measured_views").chosen().views if view.path != worst)
    bpy.ops.splatwright.fly_to_view(view=other, object=splats.name)
    assert (eye()[0] - place).length > 0.1
    assert bpy.ops.splatwright.leave_view() == {"FINISHED"}
    after = (eye(), region_3d.view_perspective, space_3d().lens)
    assert (after[0][0] - before[0][0]).length < 1e-4 and after[1:] == before[1:]
    assert room("host.photo_comparison").shown() is None and not bpy.ops.splatwright.leave_view.poll()


@pytest.fixture
def comparison(measured: Any, room: Room) -> Any:
    bpy.ops.splatwright.fly_to_view(object=measured.name)
    yield room("host.photo_comparison").shown()
    bpy.ops.splatwright.leave_view()


def drawn(comparison: Any, room: Room, **how: Any) -> np.ndarray:
    """The photo over a blue view of its own size, [H, W, 4] 0..1."""
    import gpu

    room("host.offscreen")._start_graphics()
    height, width = comparison.photo.color.shape[:2]
    everywhere = np.array([[-1, -1, 0, 1], [1, -1, 0, 1], [-1, 1, 0, 1], [1, 1, 0, 1]], np.float64)
    target = gpu.types.GPUOffScreen(width, height, format="RGBA8")
    try:
        with target.bind():
            gpu.state.active_framebuffer_get().clear(color=(0, 0, 1, 1))
            room("host.photo_comparison").draw(comparison, everywhere, as_light=False, **how)
            return room("host.offscreen")._read(width, height) / 255
    finally:
        target.free()


def test_the_photo_is_wiped_over_the_view_pixel_by_pixel(comparison: Any, room: Room) -> None:
    photo = comparison.photo.color / 255
    assert np.abs(drawn(comparison, room, mode="WIPE", split=1.0) - photo).max() < 1.5 / 255
    half = drawn(comparison, room, mode="WIPE", split=0.5)
    middle = photo.shape[1] // 2
    assert np.abs(half[:, : middle - 2] - photo[:, : middle - 2]).max() < 1.5 / 255
    assert (half[:, middle + 3 :] == (0, 0, 1, 1)).all()
    assert (half[:, middle, :3] == 1).all(), "a line where they meet"
    assert (drawn(comparison, room, mode="WIPE", split=0.0) == (0, 0, 1, 1)).all(), "and none at the rim"


def test_the_difference_is_that_of_photo_and_splats(comparison: Any, room: Room) -> None:
    photo, splats = comparison.photo.color / 255, comparison.splats / 255
    on_background = splats[..., :3] + (1 - splats[..., 3:]) * np.array(comparison.photo.background)
    expected = np.abs(photo[..., :3] - on_background)
    assert expected.max() > 0.1
    for gain in (1.0, 6.0):
        picture = drawn(comparison, room, mode="DIFFERENCE", gain=gain)
        assert np.abs(picture[..., :3] - np.minimum(gain * expected, 1)).max() < 2 / 255
    masked = room("protocol").messages.PhotoData(
        color=comparison.photo.color.copy(), camera=comparison.photo.camera, background=comparison.photo.background
    )
    masked.color[:, :10, 3] = 0
    comparison.photo, comparison.photo_texture = masked, None
    assert (drawn(comparison, room, mode="DIFFERENCE", gain=6.0)[:, :9, :3] == 0).all()


def test_the_difference_follows_the_version_that_is_shown(
    comparison: Any, measured: Any, room: Room, connected: ModuleType
) -> None:
    photo_comparison, before = room("host.photo_comparison"), comparison.splats
    assert photo_comparison._is_newest(comparison)
    box = bpy.data.objects.new("Box", None)  # nothing of the splats is in it
    box.location = (50, 50, 50)
    bpy.context.scene.collection.objects.link(box)
    bpy.context.view_layer.update()
    bpy.context.view_layer.objects.active = measured
    trained = measured.splatwright.version
    bpy.ops.splatwright.run_method(method="crop", box="Box", settings='{"keep": "outside"}')
    assert measured.splatwright.version != trained
    assert not photo_comparison._is_newest(comparison), "nothing is drawn that is not so any more"
    assert connected.wait_until(lambda: photo_comparison._is_newest(comparison), 20)
    assert comparison.version == measured.splatwright.version and comparison.splats is not before
    assert (comparison.splats == before).all() and comparison.splats_texture is None


def test_the_wipe_is_set_by_scripts_and_drawn_by_the_panel(
    comparison: Any, room: Room, draw: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    redrawn: list[str] = []
    monkeypatch.setattr(room("host.current"), "redraw", lambda: redrawn.append("views"))
    chosen = room("host.measured_views").chosen()
    chosen.mode = "DIFFERENCE"
    assert "gain" in draw("SPLATWRIGHT_PT_views").properties
    assert bpy.ops.splatwright.wipe_photo(split=0.25) == {"FINISHED"}
    assert (chosen.mode, chosen.split) == ("WIPE", 0.25) and len(redrawn) == 3
    panel = draw("SPLATWRIGHT_PT_views")
    assert "split" in panel.properties and "splatwright.leave_view" in panel.operators


def test_what_cannot_be_compared_is_said_in_a_sentence(
    connected: ModuleType, room: Room, tmp_path: Path, draw: Callable[..., Any]
) -> None:
    from made_splats import write_ball

    write_ball(tmp_path / "ball.ply")
    bpy.ops.splatwright.import_splats(filepath=str(tmp_path / "ball.ply"))
    ball = bpy.context.view_layer.objects.active
    assert listed(room, ball, connected) == []
    assert any("Nobody has compared" in text for text in draw("SPLATWRIGHT_PT_views").texts)
    with pytest.raises(RuntimeError, match="not compared with photos yet"):
        bpy.ops.splatwright.fly_to_view()
    with pytest.raises(RuntimeError, match="from which photos"):
        bpy.ops.splatwright.measure_views()
    bpy.data.objects.remove(ball)
    with pytest.raises(RuntimeError, match="No splat object is chosen"):
        bpy.ops.splatwright.fly_to_view()


def test_an_imported_file_is_measured_with_the_capture_that_the_user_has_chosen(
    connected: ModuleType, room: Room, tmp_path: Path, capture: Path, draw: Callable[..., Any]
) -> None:
    from made_splats import write_ball

    write_ball(tmp_path / "ball.ply")
    bpy.ops.splatwright.import_splats(filepath=str(tmp_path / "ball.ply"))
    ball = bpy.context.view_layer.objects.active
    assert listed(room, ball, connected) == []
    bpy.context.scene.splatwright.capture_path = str(capture)
    button = draw("SPLATWRIGHT_PT_views").operators["splatwright.measure_views"].result
    assert bpy.ops.splatwright.measure_views(object=button.object, capture=button.capture) == {"FINISHED"}
    assert len(listed(room, ball, connected)) == VIEWS
