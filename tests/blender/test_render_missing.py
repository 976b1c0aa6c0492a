"""Renders whose splats are not there: refused where somebody asks us, and never taken for the final."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import numpy as np
import pytest
import splat_scene

Room = Callable[[str], ModuleType]


@pytest.fixture
def ball(connected: ModuleType, tmp_path: Path) -> Any:
    return splat_scene.make(tmp_path)


def assert_card(picture: np.ndarray, room: Room) -> None:
    height, width = picture.shape[:2]
    expected = room("core.missing_card").missing_card(width, height)
    assert np.abs(picture - expected).max() < 2e-3


def test_without_a_backend_there_is_a_card(
    ball: Any, connected: ModuleType, served_backend: Any, room: Room, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bpy.ops.splatwright.setup_render()
    assert bpy.ops.splatwright.check_render() == {"FINISHED"}
    served_backend.stop()
    assert connected.wait_until(lambda: connected.link() is None, 20)
    with caplog.at_level(logging.WARNING):
        without = splat_scene.rendered(tmp_path / "without.png")
    assert_card(without, room)
    assert any("backend" in record.getMessage() for record in caplog.records)
    for refused in (bpy.ops.splatwright.render, bpy.ops.splatwright.check_render):
        with pytest.raises(RuntimeError, match="backend"):
            refused()
    ball.hide_render = True  # then nothing is missing
    assert without.shape == (hidden := splat_scene.rendered(tmp_path / "hidden.png")).shape
    assert np.abs(hidden - without).max() > 0.5


@pytest.mark.parametrize("depth", ["MESHES", "Z_PASS"])
def test_splats_that_nobody_has_are_refused_and_give_a_card(
    ball: Any, connected: ModuleType, room: Room, tmp_path: Path, depth: str
) -> None:
    scene: Any = bpy.context.scene
    scene.splatwright.render.depth = depth
    bpy.ops.splatwright.setup_render()
    twin = ball.copy()
    twin.splatwright.asset = "nobodys"
    scene.collection.objects.link(twin)
    for refused in (bpy.ops.splatwright.render, bpy.ops.splatwright.check_render):
        with pytest.raises(RuntimeError, match=f"splats of '{twin.name}'"):
            refused()
    scene.render.use_border, scene.render.border_max_x = True, 0.5
    card = splat_scene.rendered(tmp_path / "card.png")
    assert_card(card, room)
    twin.hide_render = True
    assert bpy.ops.splatwright.check_render() == {"FINISHED"}


def test_a_camera_of_a_shape_of_its_own_is_refused_and_gives_a_card(ball: Any, room: Room, tmp_path: Path) -> None:
    scene: Any = bpy.context.scene
    bpy.ops.splatwright.setup_render()
    scene.camera.data.type = "PANO"
    with pytest.raises(RuntimeError, match="type 'PANO'"):
        bpy.ops.splatwright.render()
    assert_card(splat_scene.rendered(tmp_path / "card.png"), room)


def test_the_check_finds_that_there_are_no_nodes(ball: Any, room: Room) -> None:
    with pytest.raises(RuntimeError, match="not in its renders"):
        bpy.ops.splatwright.check_render()
    bpy.ops.splatwright.setup_render()
    assert bpy.ops.splatwright.check_render() == {"FINISHED"}
    bpy.context.scene.render.use_compositing = False
    with pytest.raises(RuntimeError, match="not in its renders"):
        bpy.ops.splatwright.check_render()


class FakeAtExit:
    def __init__(self) -> None:
        self.registered: list[Callable[[], None]] = []

    def register(self, call: Callable[[], None]) -> None:
        self.registered.append(call)


class FakeApp:
    def __init__(self, background: bool, module: bool) -> None:
        self.app, self.background, self.module = self, background, module


@pytest.mark.parametrize(
    ("background", "module", "fails"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_only_blender_without_a_window_ends_with_an_error(
    room: Room, monkeypatch: pytest.MonkeyPatch, background: bool, module: bool, fails: bool
) -> None:
    """The end itself is shown by a real Blender in tests/window."""
    code, at_exit = room("host.exit_code"), FakeAtExit()
    monkeypatch.setattr(code, "bpy", FakeApp(background, module))
    monkeypatch.setattr(code, "atexit", at_exit)
    monkeypatch.setattr(code, "_is_failing", False)
    code.fail_at_exit()
    code.fail_at_exit()
    assert len(at_exit.registered) == int(fails)
