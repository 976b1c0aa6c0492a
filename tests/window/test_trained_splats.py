"""What an artist does with trained splats: turn around, move, hide behind things, save, and open again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from .blender_window import BlenderWindow, wait_for

pytestmark = pytest.mark.window

STEPS = 300
SEEN = 24  # of 255, that a pixel differs where there are splats


@pytest.fixture(scope="module")
def saved(opened: BlenderWindow, train: Callable[[int], None]) -> Path:
    """A .blend with splats that have been trained, seen from above, without rounding by perspective."""
    train(STEPS)
    opened.wait_for_session("session.jobs and session.active_job is None and list(session.jobs.values())[0].is_over")
    opened.wait("any(o.splatwright.version for o in bpy.data.objects)")
    opened.enter_viewport()
    opened.press("NUMPAD_7")
    opened.settle()
    file = opened.folder / "splats.blend"
    opened.run("bpy.ops.wm.save_as_mainfile(filepath=path)", path=str(file))
    return file


@pytest.fixture
def window(opened: BlenderWindow, saved: Path) -> Iterator[BlenderWindow]:
    """The file as it was saved."""
    opened.run("bpy.ops.wm.open_mainfile(filepath=path)", path=str(saved))
    opened.settle()
    opened.enter_viewport()
    yield opened


_HIDE = "for o in bpy.data.objects:\n    if o.splatwright.asset: o.hide_viewport = hidden"


def seen(window: BlenderWindow, name: str, area: int = 0) -> np.ndarray:
    """Where a viewport shows splats, bool [H, W]: where it changes when they are hidden. They are not selected then."""
    window.run(_HIDE, hidden=True)
    without = window.view(f"{name}, hidden", area).astype(int)
    window.run(_HIDE, hidden=False)
    with_splats = window.view(name, area).astype(int)
    return np.abs(with_splats - without).max(-1) > SEEN


def wait_until_meshes_are_drawn(window: BlenderWindow) -> None:
    """EEVEE leaves a mesh out until it has compiled what it draws it with. Overlays are to be off."""
    window.run(_HIDE, hidden=True)

    def is_drawn() -> bool:
        view = window.view("until meshes are drawn").astype(int)
        return np.abs(view - view[0, 0]).max() > SEEN

    wait_for(is_drawn, "a mesh that is drawn")
    window.run(_HIDE, hidden=False)


def middle(mask: np.ndarray) -> tuple[float, float]:
    """x, y in pixels."""
    rows, columns = np.nonzero(mask)
    return float(columns.mean()), float(rows.mean())


def test_an_opened_file_shows_its_splats(window: BlenderWindow) -> None:
    assert seen(window, "1 opened").mean() > 0.05


def test_moved_splats_are_seen_where_they_are(window: BlenderWindow) -> None:
    before = seen(window, "2 before the move")
    pixels = window.run(_PIXELS_OF_A_METER)
    window.run("[o.select_set(True) for o in bpy.data.objects if o.splatwright.asset]")
    window.press("G")
    window.press("X")
    window.type("1")
    window.press("RET")
    assert window.ask("[round(o.location.x, 3) for o in bpy.data.objects if o.splatwright.asset]") == [1]
    after = seen(window, "3 moved by 1 m")
    moved = np.subtract(middle(after), middle(before))
    assert moved == pytest.approx((pixels, 0), abs=0.1 * pixels)
    window.press("Z", ctrl=True)
    window.settle()
    back = seen(window, "4 undone")
    assert (back != before).mean() < 0.01


_PIXELS_OF_A_METER = """
from bpy_extras.view3d_utils import location_3d_to_region_2d
area = next(area for area in bpy.context.window_manager.windows[0].screen.areas if area.type == "VIEW_3D")
region = next(region for region in area.regions if region.type == "WINDOW")
where = [location_3d_to_region_2d(region, area.spaces.active.region_3d, (x, 0, 0)) for x in (0, 1)]
answer = where[1].x - where[0].x
"""


def test_a_mesh_above_hides_them_and_one_below_is_hidden(window: BlenderWindow) -> None:
    free = seen(window, "5 nothing in the way")
    window.run("bpy.ops.mesh.primitive_cube_add(size=1, location=(0, 0, 3)); answer = None")
    above = seen(window, "6 a cube above")
    assert above.sum() < free.sum()
    hidden = free & ~above
    window.run("bpy.context.view_layer.objects.active.location.z = -3")
    below = seen(window, "7 a cube below")
    assert (below & hidden).sum() > 0.9 * hidden.sum()


@pytest.mark.parametrize("shading", ["WIREFRAME", "SOLID", "MATERIAL", "RENDERED"])
def test_they_are_seen_in_every_shading_with_and_without_overlays(window: BlenderWindow, shading: str) -> None:
    window.run(_SHADING, shading=shading)
    window.wait("True")
    with_overlays = seen(window, f"8 {shading.lower()}")
    window.run("area.spaces.active.overlay.show_overlays = False")
    without = seen(window, f"9 {shading.lower()} without overlays")
    assert with_overlays.mean() > 0.05 and without.mean() > 0.05
    assert middle(with_overlays) == pytest.approx(middle(without), abs=12)


_SHADING = """
area = next(area for area in bpy.context.window_manager.windows[0].screen.areas if area.type == "VIEW_3D")
area.spaces.active.shading.type = shading
"""


@pytest.mark.parametrize("shading", ["MATERIAL", "RENDERED"])
def test_meshes_hide_them_also_where_blender_leaves_no_depth(window: BlenderWindow, shading: str) -> None:
    """Without overlays EEVEE draws colours only."""
    window.run("bpy.ops.mesh.primitive_cube_add(size=1, location=(0, 0, 3))")
    window.run(_SHADING, shading=shading)
    window.run("area.spaces.active.overlay.show_overlays = False")
    wait_until_meshes_are_drawn(window)
    above = seen(window, f"10 {shading.lower()}, a cube above")
    window.run("bpy.context.view_layer.objects.active.location.z = -3")
    below = seen(window, f"10 {shading.lower()}, a cube below")
    pixels = window.run(_PIXELS_OF_A_METER)
    hidden = below & ~above
    assert hidden.sum() == pytest.approx(pixels**2, rel=0.1)
    assert above.mean() > 0.05


def test_they_are_seen_in_four_views_and_in_two_viewports(window: BlenderWindow) -> None:
    window.press("Q", ctrl=True, alt=True)
    four = seen(window, "11 four views")
    height, width = (size // 2 for size in four.shape)
    for rows in (slice(0, height), slice(height, None)):
        for columns in (slice(0, width), slice(width, None)):
            assert four[rows, columns].mean() > 0.02
    window.press("Q", ctrl=True, alt=True)
    window.run(_SPLIT)
    window.settle()
    for area in (0, 1):
        assert seen(window, f"12 two viewports, {area}", area).mean() > 0.02


_SPLIT = """
screen = bpy.context.window_manager.windows[0].screen
area = next(area for area in screen.areas if area.type == "VIEW_3D")
with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=area, region=area.regions[-1]):
    bpy.ops.screen.area_split(direction="VERTICAL", factor=0.45)
"""
