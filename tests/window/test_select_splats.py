"""Splats are selected, deleted, separated and brought back in a real window, by mouse and keys alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backend.splats.io import write_cloud
from tests.made_splats import sphere

from .blender_window import NAME, BlenderWindow, wait_for

pytestmark = pytest.mark.window

SPLATS = 4000
CHANGED = 40  # of 255, that a pixel differs by where splats were tinted or deleted

Place = tuple[float, float]


@pytest.fixture(scope="module")
def saved(opened: BlenderWindow) -> Path:
    """A .blend with a ball of splats, seen from above without rounding by perspective."""
    file = opened.folder / "ball.ply"
    write_cloud(file, sphere(1.0, SPLATS))
    opened.push(".backend_start(")
    opened.wait_for_session("session.is_connected")
    opened.run("bpy.ops.splatwright.import_splats(filepath=path, frame='z_up')", path=str(file))
    opened.wait("any(o.splatwright.version for o in bpy.data.objects)")
    opened.run(_PLAIN)
    opened.enter_viewport()
    opened.press("NUMPAD_7")
    opened.press("NUMPAD_PERIOD")
    time.sleep(1)  # Blender moves the view smoothly
    opened.run(_FARTHER)
    opened.settle()
    blend = opened.folder / "ball.blend"
    opened.run("bpy.ops.wm.save_as_mainfile(filepath=path)", path=str(blend))
    return blend


@pytest.fixture
def window(opened: BlenderWindow, saved: Path) -> Iterator[BlenderWindow]:
    """The file as it was saved, with the ball as the active object."""
    opened.run("bpy.ops.wm.open_mainfile(filepath=path)", path=str(saved))
    opened.run(_FIND)
    opened.settle()
    opened.enter_viewport()
    opened.press("ESC")  # Blender takes keys that were held with the press before for held in the next drag
    yield opened


_AREA = """
import numpy
from bpy_extras.view3d_utils import location_3d_to_region_2d
from mathutils import Vector
window = bpy.context.window_manager.windows[0]
area = max((a for a in window.screen.areas if a.type == "VIEW_3D"), key=lambda a: a.width * a.height)
region, region_3d = next(r for r in area.regions if r.type == "WINDOW"), area.spaces.active.region_3d
"""
_PLAIN = f"""{_AREA}
overlay = area.spaces.active.overlay
overlay.show_floor = overlay.show_ortho_grid = overlay.show_axis_x = overlay.show_axis_y = overlay.show_cursor = False
overlay.show_object_origins = overlay.show_outline_selected = area.spaces.active.show_gizmo = False
"""
_FARTHER = f"""{_AREA}
region_3d.view_distance *= 1.5
"""
_FIND = """
splats = next(o for o in bpy.data.objects if o.splatwright.asset)
bpy.context.view_layer.objects.active = splats
splats.select_set(True)
bpy.ops.ed.undo_push(message="opened")
"""
_TOOL = f"""{_AREA}
with bpy.context.temp_override(window=window, area=area, region=region):
    bpy.ops.wm.tool_set_by_id(name=tool)
"""
# The middle of the ball on the screen and its radius in pixels.
_BALL = f"""{_AREA}
splats = next(o for o in bpy.data.objects if o.splatwright.asset)
at = [location_3d_to_region_2d(region, region_3d, splats.matrix_world @ Vector(p)) for p in ((0, 0, 0), (1, 0, 0))]
answer = [float(v) for v in (region.x + at[0].x, region.y + at[0].y, (at[1] - at[0]).length)]
"""
_CENTRES = f"""{_AREA}
import importlib
current = importlib.import_module("{NAME}.host.current")
splats = bpy.data.objects[name]
means = numpy.array(current.link().backend.splats(splats.splatwright.asset, splats.splatwright.version).means)
answer = means.tolist()
"""
_COUNT = f"""
import importlib
selections = importlib.import_module("{NAME}.host.selections")
splats = bpy.context.view_layer.objects.active
info = selections.counted(splats)
answer = None if selections.is_busy() else 0 if not splats.splatwright.selection else info and info.count
"""


def take_up(window: BlenderWindow, tool: str) -> None:
    window.run(_TOOL, tool=f"splatwright.{tool}")
    time.sleep(0.2)


def on_screen(window: BlenderWindow, name: str = "ball") -> tuple[np.ndarray, Place, float]:
    """Where the splats' centres are on the screen, [N, 2] pixels from its lower left; the ball's middle and radius."""
    x, y, radius = window.run(_BALL)
    means = np.array(window.run(_CENTRES, name=name))
    return np.array([x, y]) + radius * means[:, :2], (x, y), radius


def count(window: BlenderWindow, expected: int) -> None:
    """Waits until so many splats are selected."""
    found: list[int | None] = []

    def is_expected() -> bool:
        found.append(window.run(_COUNT))
        return found[-1] is not None and abs(found[-1] - expected) <= 10  # the mouse is at whole pixels

    try:
        wait_for(is_expected, f"{expected} selected", 30)
    except AssertionError:
        window.look("not selected")
        failure = window.session("str(session.failure)")
        raise AssertionError(f"{found[-1]} are selected and not {expected}; said was: {failure}") from None


def within(places: np.ndarray, low: Place, high: Place) -> np.ndarray:
    return ((places >= np.minimum(low, high)) & (places <= np.maximum(low, high))).all(axis=1)


def changed(window: BlenderWindow, before: np.ndarray, name: str) -> tuple[np.ndarray, float, float]:
    """Where the view is another than before, bool [H, W]; and where its lower left corner is on the screen."""
    now = window.view(name).astype(int)
    left, bottom, _, _ = window.free()
    return np.abs(now - before).max(axis=-1) > CHANGED, left, bottom


def share_around(mask: tuple[np.ndarray, float, float], place: Place, reach: int = 6) -> float:
    """How much of a small square around a place of the screen is in the mask."""
    pixels, left, bottom = mask
    row, column = len(pixels) - round(place[1] - bottom), round(place[0] - left)
    return float(pixels[row - reach : row + reach, column - reach : column + reach].mean())


def test_a_box_is_tinted_then_deleted_and_undo_and_redo_go_both_ways(window: BlenderWindow) -> None:
    take_up(window, "box")
    places, (x, y), radius = on_screen(window)
    start, end = (x + 0.1 * radius, y - 0.9 * radius), (x + 1.1 * radius, y + 1.1 * radius)
    inside, outside = (x + 0.5 * radius, y), (x - 0.5 * radius, y)
    plain = window.view("1 a ball of splats").astype(int)
    window.drag(start, (x + 0.5 * radius, y), end)
    count(window, int(within(places, start, end).sum()))
    tinted = changed(window, plain, "2 the right side is selected")
    assert share_around(tinted, inside) > 0.9 and share_around(tinted, outside) < 0.1
    version = window.ask("splats.splatwright.version")
    window.enter_viewport()
    window.press("X")
    window.wait("splats.splatwright.version != version", version=version)
    gone = changed(window, plain, "3 and deleted")
    assert share_around(gone, inside) > 0.9 and share_around(gone, outside) < 0.1
    assert abs(len(on_screen(window)[0]) - (~within(places, start, end)).sum()) <= 10
    window.enter_viewport()
    window.press("Z", ctrl=True)
    window.wait("bpy.data.objects['ball'].splatwright.version == version", version=version)
    window.run(_FIND.replace("bpy.ops", "#"))
    back = changed(window, plain, "4 brought back by undo, still selected")
    assert share_around(back, inside) > 0.9 and share_around(back, outside) < 0.1
    window.enter_viewport()
    window.press("Z", ctrl=True)
    window.wait("not bpy.data.objects['ball'].splatwright.selection")
    none = changed(window, plain, "5 and not selected any more")
    assert share_around(none, inside) < 0.1
    window.enter_viewport()
    window.press("Z", ctrl=True, shift=True)
    window.press("Z", ctrl=True, shift=True)
    window.wait("bpy.data.objects['ball'].splatwright.version != version", version=version)
    assert len(on_screen(window)[0]) < len(places)


def test_a_lasso_and_a_brush_extend_and_subtract_and_escape_changes_nothing(window: BlenderWindow) -> None:
    take_up(window, "lasso")
    places, (x, y), radius = on_screen(window)
    corners = [(x + radius * u, y + radius * v) for u, v in ((-0.6, -0.6), (0.6, -0.6), (0.6, 0.6), (-0.6, 0.6))]
    middle = within(places, corners[0], corners[2])
    window.drag(corners[0], corners[1], corners[2], corners[3], (corners[0][0], corners[0][1] + 1))
    count(window, int(middle.sum()))
    take_up(window, "brush")
    size = window.ask("bpy.context.scene.splatwright.select.brush_radius")
    window.move(x, y)
    window.press("RIGHT_BRACKET")
    brush = window.ask("bpy.context.scene.splatwright.select.brush_radius")
    assert brush > size
    stroke = (x, y), (x, y + 0.8 * radius)
    ends = np.array(stroke)
    nearest = np.stack([np.full(len(places), x), places[:, 1].clip(ends[0, 1], ends[1, 1])], 1)
    painted = np.linalg.norm(places - nearest, axis=1) <= brush
    window.move(*stroke[0])
    window._simulate("LEFTMOUSE", "PRESS", *stroke[0], ctrl=True)
    window._simulate("MOUSEMOVE", "NOTHING", *stroke[1], ctrl=True)
    count(window, int((middle & ~painted).sum()))
    window.look("5 a brush stroke, still held, whose splats are not tinted any more")
    window.press("ESC")
    window._simulate("LEFTMOUSE", "RELEASE", *stroke[1])
    count(window, int(middle.sum()))
    window.drag(*stroke, ctrl=True)
    count(window, int((middle & ~painted).sum()))
    window.look("6 a lasso, and a brush stroke taken out of it")
    window.drag(*stroke, shift=True)
    count(window, int((middle | painted).sum()))
    selection = window.ask("splats.splatwright.selection")
    window.press("B")
    window.move(x - radius, y - radius)
    window._simulate("LEFTMOUSE", "PRESS", x - radius, y - radius)
    window.move(x, y)
    window.look("7 a box that is being drawn")
    window.press("ESC")
    window._simulate("LEFTMOUSE", "RELEASE", x, y)
    time.sleep(0.5)
    assert window.ask("splats.splatwright.selection") == selection
    for turn in range(3):
        window.press("Z", ctrl=True)
        expected = (middle & ~painted, middle, np.zeros(len(places), bool))[turn]
        window.run(_FIND.replace("bpy.ops", "#"))
        count(window, int(expected.sum()))


def test_the_view_turns_while_a_brush_is_in_the_hand(window: BlenderWindow) -> None:
    take_up(window, "box")
    x, y, radius = window.run(_BALL)
    window.move(x, y)
    window.press("C")
    turned = "[round(v, 4) for v in region_3d.view_rotation]"
    before = window.run(f"{_AREA}\nanswer = {turned}")
    window.drag((x, y), (x + 60, y + 20), (x + 120, y + 40), button="MIDDLEMOUSE")
    assert window.run(f"{_AREA}\nanswer = {turned}") != before
    window.drag((x, y), (x + 0.3 * radius, y))
    wait_for(lambda: (window.run(_COUNT) or 0) > 0, "something selected", 30)
    window.look("8 a brush in a view that was turned meanwhile")
    window.click(x, y, "RIGHTMOUSE")
    time.sleep(0.3)
    before = window.ask("splats.splatwright.selection")
    window.press("A", alt=True)
    window.wait("splats.splatwright.selection == ''")
    assert before


def test_what_a_polygon_holds_becomes_an_object_of_its_own(window: BlenderWindow) -> None:
    take_up(window, "polygon")
    places, (x, y), radius = on_screen(window)
    corners = [(x - 1.1 * radius, y - 1.1 * radius), (x, y - 1.1 * radius), (x, y + 1.1 * radius)]
    for corner in (*corners, (x - 1.1 * radius, y + 1.1 * radius)):
        window.click(*corner)
    window.look("9 a polygon that is being drawn")
    window.press("RET")
    left = places[:, 0] <= x
    count(window, int(left.sum()))
    window.press("P")
    window.wait("len([o for o in bpy.data.objects if o.splatwright.asset]) == 2")
    part = window.ask("next(o.name for o in bpy.data.objects if o.splatwright.asset and o.name != 'ball')")
    window.run("bpy.data.objects[part].location.x -= 0.5", part=part)
    window.view("10 the left half is an object of its own, moved aside")
    assert abs(len(on_screen(window, part)[0]) - left.sum()) <= 10
    window.enter_viewport()
    window.press("Z", ctrl=True)
    window.wait("part not in bpy.data.objects", part=part)
    assert len(on_screen(window)[0]) == len(places)


def test_an_object_outlined_in_two_views_is_told_apart_and_separated(window: BlenderWindow) -> None:
    places, (x, y), radius = on_screen(window)
    square = [(x + radius * u, y + radius * v) for u, v in ((0, -1.1), (1.1, -1.1), (1.1, 1.1), (0, 1.1), (0, -1))]
    window.run(_OUTLINE)
    window.drag(*square)
    window.wait(f"len({_MASKS}) == 1")
    window.enter_viewport()
    window.press("NUMPAD_7", ctrl=True)  # from below: what was on the right is on the left
    time.sleep(1)
    window.settle()
    window.run(_OUTLINE)
    window.move(*square[0])
    window.look("11 the second outline, from below")
    window.drag(*[(2 * x - u, v) for u, v in square])
    window.wait(f"len({_MASKS}) == 2")
    window.run("bpy.ops.splatwright.label_splats(); answer = None")
    window.wait("splats.splatwright.selection")
    right = places[:, 0] > x
    wait_for(lambda: abs((window.run(_COUNT) or 0) - right.sum()) < 0.08 * len(places), "the right half", 60)
    window.view("12 the object that was outlined is selected")
    window.enter_viewport()
    take_up(window, "box")
    window.press("P")
    window.wait("len([o for o in bpy.data.objects if o.splatwright.asset]) == 2")
    window.run("next(o for o in bpy.data.objects if o.splatwright.asset and o.name != 'ball').location.x += 0.4")
    window.view("13 and separated")


# As the button in the sidebar does, whose panel has to be scrolled to.
_OUTLINE = f"""{_AREA}
beside = next(r for r in area.regions if r.type == "UI")
with bpy.context.temp_override(window=window, area=area, region=beside):
    bpy.ops.splatwright.draw_mask("INVOKE_DEFAULT")
"""
_MASKS = (
    f"__import__('importlib').import_module('{NAME}.host.view_masks')"
    ".of(splats.splatwright.asset, splats.splatwright.version)"
)


def test_a_ball_that_is_put_around_a_splat_selects_what_it_encloses(window: BlenderWindow) -> None:
    take_up(window, "volume")
    places, (x, y), radius = on_screen(window)
    window.click(x + 0.5 * radius, y)
    window.wait("bpy.context.scene.splatwright.box is not None")
    window.enter_viewport()
    window.press("S")
    window.press("TWO")
    window.press("RET")
    window.look("14 a ball around a splat, twice as large")
    window.press("RET")
    wait_for(lambda: 0 < (window.run(_SELECTED) or 0) < len(places), "a part selected", 30)
    window.view("15 what it encloses is selected")
    window.run(
        "bpy.context.scene.splatwright.select.show_centers = True; bpy.context.view_layer.objects.active = splats"
    )
    time.sleep(2)
    window.look("16 with the centres of all, and of those that are selected")


_SELECTED = _COUNT.replace("bpy.context.view_layer.objects.active", "bpy.data.objects['ball']")
