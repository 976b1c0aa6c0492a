"""What a viewport asks for and gets, with a real backend. There is no window here, so its drawing is noted by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import pytest
import splat_scene

Room = Callable[[str], ModuleType]


@pytest.fixture
def ball(connected: ModuleType, tmp_path: Path) -> Any:
    return splat_scene.make(tmp_path)


@pytest.fixture
def eye(empty_file: None, room: Room, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The view state of the first 3D view, as if a window had drawn it, 160 x 120 pixels."""
    eyes = room("host.eyes")
    monkeypatch.setattr(room("host.current"), "is_interactive", lambda: True)
    area = next(a for a in bpy.context.window.screen.areas if a.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    eye = eyes.Eye()
    monkeypatch.setitem(eyes.by_region, region.as_pointer(), eye)
    look_from(room, eye, 6.0)
    yield eye
    eyes.by_region.clear()


def look_from(room: Room, eye: Any, distance: float) -> None:
    """Along +y at the origin."""
    eye.camera = room("protocol").things.ViewCamera(
        camera_from_world=(1, 0, 0, 0, 0, 0, -1, 0, 0, 1, 0, distance, 0, 0, 0, 1),
        fx=200, fy=200, cx=80, cy=60, width=160, height=120,
    )  # fmt: skip


@pytest.fixture
def run(connected: ModuleType, room: Room) -> Callable[..., bool]:
    """run(condition): ticks until it holds."""
    viewport = room("host.viewport")
    room("host.eyes").mark_stale()

    def until(condition: Callable[[], object], seconds: float = 20.0) -> bool:
        return connected.wait_until(lambda: (viewport.advance(), condition())[1], seconds)

    return until


def test_a_view_gets_a_coarse_picture_and_then_the_whole_one(ball: Any, eye: Any, run: Callable[..., bool]) -> None:
    assert run(lambda: eye.picture is not None)
    assert run(lambda: eye.picture.color.shape == (120, 160, 4))
    assert eye.picture.made_for == eye.camera and eye.view.asked is None
    assert 4.5 < eye.picture.distance < 6.5 and eye.notice == ""


def test_ticks_are_quick_while_a_picture_is_on_its_way(
    ball: Any, eye: Any, run: Callable[..., bool], room: Room
) -> None:
    tick = room("tick")
    assert run(lambda: eye.view.asked is not None)
    assert tick.tick() == tick.WAITING_S or eye.view.asked is None
    assert run(lambda: eye.view.shown is not None and eye.view.shown.scale == 1)
    assert tick.tick() == tick.LIVE_S


def test_only_the_newest_place_of_a_moving_view_is_drawn(
    ball: Any, eye: Any, run: Callable[..., bool], room: Room
) -> None:
    assert run(lambda: eye.picture is not None)
    for distance in (5.9, 5.8, 5.7, 5.6):
        look_from(room, eye, distance)
        run(lambda: False, 0.0)
    assert run(lambda: eye.picture.made_for == eye.camera and eye.view.shown.scale == 1)


def test_moving_hiding_and_undoing_reach_the_picture(ball: Any, eye: Any, run: Callable[..., bool]) -> None:
    assert run(lambda: eye.view.shown is not None)
    bpy.ops.ed.undo_push(message="before")
    ball.location.x = 1.5
    bpy.context.view_layer.update()
    assert run(lambda: eye.view.shown.wish.objects[0].world_from_object[3] == 1.5)
    bpy.ops.ed.undo_push(message="moved")
    bpy.ops.ed.undo()
    bpy.context.view_layer.update()
    assert run(lambda: eye.view.shown.wish.objects[0].world_from_object[3] == 0)
    (ball,) = (item for item in bpy.data.objects if item.splatwright.asset)
    ball.hide_set(True)
    bpy.context.view_layer.update()
    assert run(lambda: eye.picture is None)


def test_a_lost_backend_is_said_in_the_view(
    ball: Any, eye: Any, run: Callable[..., bool], connected: ModuleType, served_backend: Any, room: Room
) -> None:
    assert run(lambda: eye.picture is not None)
    notice = room("host.viewport_drawing").notice
    assert notice(eye) == ""
    served_backend.stop()
    assert run(lambda: connected.link() is None)
    assert notice(eye).startswith("Splats are not up to date.")
    look_from(room, eye, 3.0)
    run(lambda: False, 0.3)
    assert eye.view.asked is None


def test_missing_splats_are_said_in_the_view(
    ball: Any, eye: Any, run: Callable[..., bool], connected: ModuleType, room: Room
) -> None:
    assert run(lambda: eye.picture is not None)
    notice = room("host.viewport_drawing").notice
    connected.link().backend.delete(ball.splatwright.asset)
    assert run(lambda: eye.picture is None)
    assert notice(eye).startswith(f"The backend does not have the splats of '{ball.name}'.")
    ball.hide_set(True)
    bpy.context.view_layer.update()
    assert run(lambda: notice(eye) == "")


def test_splats_that_no_backend_has_shown_yet_are_said_in_the_view(
    room: Room, no_backend: Any, empty_file: None, eye: Any
) -> None:
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.splatwright.asset = "some"
    viewport = room("host.viewport")
    viewport._collect()
    said = room("host.viewport_drawing").notice(eye)
    assert said.startswith("The splats of 'Cube' are not drawn. The backend is not"), said


def test_a_tick_with_nothing_to_do_asks_nothing_of_blender_or_the_backend(
    ball: Any, eye: Any, run: Callable[..., bool], room: Room, connected: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(lambda: eye.view.shown is not None and eye.view.shown.scale == 1)
    asked: list[Any] = []
    monkeypatch.setattr(room("host.viewport"), "_collect", lambda: asked.append("scene"))
    monkeypatch.setattr(connected.link(), "ask", asked.append)
    for _ in range(50):
        room("host.viewport").advance()
    assert asked == []


@pytest.mark.parametrize("is_local", [True, False])
def test_a_backend_elsewhere_is_asked_to_send_less(
    ball: Any,
    eye: Any,
    run: Callable[..., bool],
    room: Room,
    connected: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    is_local: bool,
) -> None:
    session, link, asked = connected.session(), connected.link(), list[Any]()
    there = {name: getattr(session, name) for name in session.__struct_fields__} | {"is_local": is_local}
    monkeypatch.setattr(connected, "_session", type(session)(**there))
    monkeypatch.setattr(link, "ask", lambda message: asked.append(message) or type(link).ask(link, message))
    assert run(lambda: eye.picture is not None and eye.view.shown.scale == 1)
    renders = [message for message in asked if isinstance(message, room("protocol").messages.Render)]
    assert renders and {message.compress for message in renders} == {not is_local}
    assert eye.picture.color.shape == (120, 160, 4) and eye.picture.color[..., 3].max() > 200


def test_two_viewports_with_filters_of_their_own(
    ball: Any, eye: Any, run: Callable[..., bool], room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    eyes = room("host.eyes")
    areas = bpy.context.window.screen.areas
    other = next(area for area in areas if area.type not in ("VIEW_3D", "TOPBAR", "STATUSBAR"))
    other.type = "VIEW_3D"
    regions = {space.as_pointer(): region for _, space, region in eyes.regions()}
    assert len(regions) == 2
    space = other.spaces.active
    second = eyes.by_region[regions[space.as_pointer()].as_pointer()] = eyes.Eye()
    look_from(room, second, 4.0)
    eyes.mark_stale()
    views = (eye, second)
    assert run(lambda: all(v.view.shown is not None and v.view.shown.scale == 1 for v in views))
    assert eye.stream != second.stream
    assert all(v.picture.made_for == v.camera for v in views) and second.picture.distance < eye.picture.distance
    space.show_object_viewport_mesh = False
    eyes.mark_stale()
    assert run(lambda: second.picture is None) and eye.picture is not None
