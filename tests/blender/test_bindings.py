"""Splats that hang on a mesh follow it, in the viewport and in F12."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import bound_ball
import bpy
import numpy as np
import pytest
import splat_scene
from bound_ball import followed

Room = Callable[[str], ModuleType]


@pytest.fixture
def bound(connected: ModuleType, room: Room, tmp_path: Path) -> tuple[Any, Any]:
    """The ball, bound to a mesh of its own shape with a shape key that moves it to x = -1.5."""
    return bound_ball.make(connected, room, tmp_path)


def test_each_change_of_the_mesh_is_a_pose_of_its_own(
    bound: tuple[Any, Any], connected: ModuleType, room: Room
) -> None:
    ball, mesh = bound
    bindings = room("host.bindings")
    at_rest = followed(room, connected, ball)
    assert at_rest
    bindings.follow(bpy.context.evaluated_depsgraph_get())
    assert not connected.wait_until(lambda: bindings.pose_of(ball) != at_rest, 0.3)  # nothing has moved
    mesh.hide_set(True)
    mesh.data.shape_keys.key_blocks["Moved"].value = 1.0
    posed = followed(room, connected, ball)
    assert posed not in ("", at_rest)
    (shown,) = room("host.objects").scene_objects(
        bpy.context.evaluated_depsgraph_get(), for_render=False, pose_of=bindings.pose_of
    )
    assert shown.pose == posed


def test_a_viewport_takes_up_each_pose_by_itself(
    bound: tuple[Any, Any], connected: ModuleType, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, mesh = bound
    viewport, eyes = room("host.viewport"), room("host.eyes")
    area = next(a for a in bpy.context.window.screen.areas if a.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    eye = eyes.Eye()  # as if a window had drawn it
    monkeypatch.setattr(connected, "is_interactive", lambda: True)
    monkeypatch.setitem(eyes.by_region, region.as_pointer(), eye)
    eye.camera = room("protocol").things.ViewCamera(
        camera_from_world=(1, 0, 0, 0, 0, 0, -1, 0, 0, 1, 0, 6, 0, 0, 0, 1),
        fx=200, fy=200, cx=80, cy=60, width=160, height=120,
    )  # fmt: skip

    def drawn_pose() -> str:
        viewport.advance()
        return eye.view.shown.wish.objects[0].pose if eye.view.shown else ""

    eyes.mark_stale()
    assert connected.wait_until(lambda: drawn_pose() != "", 20)
    at_rest, place = drawn_pose(), eye.picture.color[..., 3].argmax(1).max()
    mesh.data.shape_keys.key_blocks["Moved"].value = 1.0
    bpy.context.view_layer.update()  # Blender says that something has changed
    assert connected.wait_until(lambda: drawn_pose() not in ("", at_rest), 20)
    assert connected.wait_until(lambda: drawn_pose() and eye.view.shown.scale == 1, 20)
    assert eye.picture.color[..., 3].argmax(1).max() != place


def test_f12_shows_the_pose_of_each_frame(bound: tuple[Any, Any], tmp_path: Path) -> None:
    ball, mesh = bound
    key = mesh.data.shape_keys.key_blocks["Moved"]
    bpy.ops.splatwright.setup_render()
    at_rest = splat_scene.rendered(tmp_path / "rest.png")
    for frame, value in ((1, 0.0), (2, 1.0)):
        key.value = value
        key.keyframe_insert("value", frame=frame)
    scene = bpy.context.scene
    scene.frame_set(2)
    posed = splat_scene.rendered(tmp_path / "posed.png")
    scene.frame_set(1)
    assert splat_scene.decibels(splat_scene.rendered(tmp_path / "again.png"), at_rest) > 60
    # Moved as a whole, it looks like the unbound ball that is moved as a whole.
    ball.splatwright.mesh, ball.location.x = None, -1.5
    moved = splat_scene.rendered(tmp_path / "moved.png")
    assert splat_scene.decibels(posed, at_rest) < 28
    assert splat_scene.decibels(posed, moved) > 40


def test_splats_follow_the_mesh_in_the_world_wherever_their_own_object_stands(
    bound: tuple[Any, Any], tmp_path: Path
) -> None:
    ball, mesh = bound
    bpy.ops.splatwright.setup_render()
    at_rest = splat_scene.rendered(tmp_path / "rest.png")
    mesh.location.x = -1.5
    moved = splat_scene.rendered(tmp_path / "moved.png")
    ball.splatwright.mesh, ball.location.x = None, -1.5
    expected = splat_scene.rendered(tmp_path / "expected.png")
    assert splat_scene.decibels(moved, at_rest) < 28
    assert splat_scene.decibels(moved, expected) > 40


def test_a_copy_beside_the_file_brings_the_binding_into_another_workspace(
    bound: tuple[Any, Any],
    connected: ModuleType,
    served_backend: Any,
    room: Room,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asset = bound[0].splatwright.asset
    bpy.ops.splatwright.setup_render()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    copy = Path(bpy.path.abspath(bound[0].splatwright.file))
    assert copy.suffix == ".safetensors" and copy.is_file()
    bpy.ops.splatwright.backend_stop()
    served_backend.stop()
    monkeypatch.setattr(served_backend, "workspace", tmp_path / "another workspace")
    served_backend.start()
    try:
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
        bpy.ops.splatwright.backend_connect(connection_file=str(served_backend.connection_file))
        assert asset not in connected.session().assets
        ball, mesh = (bpy.data.objects[name] for name in ("ball", "Driver"))
        assert bpy.ops.splatwright.locate_asset(object=ball.name) == {"FINISHED"}
        at_rest = splat_scene.rendered(tmp_path / "rest.png")
        mesh.location.x = -1.5
        moved = splat_scene.rendered(tmp_path / "moved.png")
        ball.splatwright.mesh, ball.location.x = None, -1.5
        expected = splat_scene.rendered(tmp_path / "expected.png")
    finally:
        served_backend.stop()
    assert splat_scene.decibels(moved, at_rest) < 28
    assert splat_scene.decibels(moved, expected) > 40


def test_another_mesh_is_said_in_one_sentence_and_nothing_breaks(
    bound: tuple[Any, Any], connected: ModuleType, room: Room, tmp_path: Path
) -> None:
    ball, mesh = bound
    posed = followed(room, connected, ball)
    ball.splatwright.rebinds = False
    mesh.modifiers.new("More", "SUBSURF").levels = 1
    bindings = room("host.bindings")
    bindings.follow(bpy.context.evaluated_depsgraph_get())
    assert connected.wait_until(lambda: bool(bindings.trouble_of(ball)), 10)
    assert bindings.pose_of(ball) == posed  # as it was last
    assert connected.session().failure is not None and "vert" in connected.session().failure.message
    bpy.ops.splatwright.setup_render()
    splat_scene.rendered(tmp_path / "comes_all_the_same.png")
    mesh.modifiers.clear()
    mesh.location.z = 0.1
    bindings.follow(bpy.context.evaluated_depsgraph_get())
    assert connected.wait_until(lambda: not bindings.trouble_of(ball), 10)


def test_poses_that_the_backend_has_forgotten_are_told_again(
    bound: tuple[Any, Any], connected: ModuleType, room: Room
) -> None:
    ball, _ = bound
    followed(room, connected, ball)
    room("host.bindings").forget()
    assert room("host.bindings").pose_of(ball) == ""
    assert followed(room, connected, ball)
    assert np.isfinite(ball.location).all()


def test_splats_follow_as_soon_as_their_version_is_known_and_the_job_that_binds_them_is_over(
    bound: tuple[Any, Any], connected: ModuleType, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    ball, _ = bound
    bindings, versions = room("host.bindings"), room("host.versions")
    depsgraph = bpy.context.evaluated_depsgraph_get()
    followed(room, connected, ball)
    with monkeypatch.context() as until:
        until.setattr(versions, "find", lambda asset, version: None)
        bindings.follow(depsgraph)
        assert not bindings.pose_of(ball) and not bindings.has_news()
    assert bindings.has_news()
    job = SimpleNamespace(state=SimpleNamespace(category="rigging"))
    with monkeypatch.context() as until:
        until.setattr(type(connected.session()), "job_of_asset", lambda session, asset: job)
        bindings.follow(depsgraph)
        assert not bindings.pose_of(ball) and not bindings.has_news()
    assert bindings.has_news()
    assert followed(room, connected, ball)


def test_the_box_goes_where_the_splats_are_without_an_undo_step(
    bound: tuple[Any, Any], connected: ModuleType, room: Room
) -> None:
    ball, mesh = bound
    followed(room, connected, ball)

    def box() -> np.ndarray:
        bpy.context.view_layer.update()
        corners = np.array([tuple(corner) for corner in ball.evaluated_get(_depsgraph()).bound_box])
        return np.array([corners.min(0), corners.max(0)])

    def _depsgraph() -> Any:
        return bpy.context.evaluated_depsgraph_get()

    at_rest = box()
    mesh.location.x = -1.5
    followed(room, connected, ball)
    assert np.allclose(box(), at_rest - (1.5, 0, 0), atol=1e-3)
    room("host.objects")._restored()  # as undo and redo do
    assert np.allclose(box(), at_rest - (1.5, 0, 0), atol=1e-3)
    twin = ball.copy()  # shares the mesh, and stays at rest
    bpy.context.scene.collection.objects.link(twin)
    twin.splatwright.mesh = None
    room("host.objects")._restored()
    assert np.allclose(box(), [at_rest[0] - (1.5, 0, 0), at_rest[1]], atol=1e-3)
    bpy.data.objects.remove(twin)
    ball.splatwright.mesh = None
    room("host.bindings").follow(_depsgraph())
    assert np.allclose(box(), at_rest, atol=1e-6)
