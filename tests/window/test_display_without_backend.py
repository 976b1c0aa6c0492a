"""A .blend that is opened where there is no backend: Blender draws the copies of its splats by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.splats.io import write_cloud
from tests.made_splats import sphere, with_shine

from .blender_window import BlenderWindow

pytestmark = pytest.mark.window

SEEN = 24  # of 255, that a pixel differs where there are splats
NOTICE = 60  # pixels at the bottom, where the view says that Blender draws


@pytest.fixture(scope="module")
def window(opened: BlenderWindow) -> BlenderWindow:
    """A ball, red above and blue below, of a file that was just opened, seen from the front; there is no backend."""
    file = opened.folder / "alone.blend"
    copy = opened.folder / "alone.splats" / "ball-1.ply"
    copy.parent.mkdir()
    write_cloud(copy, with_shine(sphere(), 3))
    opened.run(_MAKE, path=str(file))
    opened.run("bpy.ops.wm.read_homefile(); bpy.data.objects.remove(bpy.data.objects['Cube'])")
    opened.run("bpy.ops.wm.open_mainfile(filepath=path)", path=str(file))
    opened.enter_viewport()
    opened.press("NUMPAD_1")
    opened.press("NUMPAD_5")
    opened.wait(f"{_LOCAL}.is_drawing()")
    return opened


_LOCAL = "__import__('importlib').import_module('bl_ext.user_default.splatwright.host.local_display')"
_MAKE = """
ball = bpy.data.objects.new("Ball", bpy.data.meshes.new("Ball"))
bpy.context.collection.objects.link(ball)
own = ball.splatwright
own.asset, own.version, own.name, own.file = "ball", "1", "Ball", "//alone.splats/ball-1.ply"
bpy.ops.wm.save_as_mainfile(filepath=path)
"""


def seen(window: BlenderWindow, name: str) -> tuple[np.ndarray, np.ndarray]:
    """What the viewport shows, [H, W, 3], and where it shows splats, bool [H, W]."""
    hide = "bpy.data.objects['Ball'].hide_viewport = hidden"
    window.run(hide, hidden=True)
    without = window.view(f"{name}, hidden")[:-NOTICE].astype(int)
    window.run(hide, hidden=False)
    picture = window.view(name)[:-NOTICE].astype(int)
    return picture, np.abs(picture - without).max(-1) > SEEN


def test_an_opened_file_shows_its_splats_by_itself(window: BlenderWindow) -> None:
    assert not window.session("session.is_connected")
    picture, ball = seen(window, "1 opened without a backend")
    rows = np.nonzero(ball.any(1))[0]
    middle = (rows[0] + rows[-1]) // 2
    above, below = picture[:middle][ball[:middle]].mean(0), picture[middle:][ball[middle:]].mean(0)
    assert above[0] > above[2] + 60 and below[2] > below[0] + 60
    notice = f"next(iter({_LOCAL}._views)).notice()"
    assert window.ask(notice) == "Drawn by Blender: 4,000 splats."


def test_they_follow_their_object_while_it_moves(window: BlenderWindow) -> None:
    _, before = seen(window, "2 before the move")
    window.run("bpy.data.objects['Ball'].location.z = 1")
    _, after = seen(window, "2 moved up")
    window.run("bpy.data.objects['Ball'].location.z = 0")
    moved = np.nonzero(before)[0].mean() - np.nonzero(after)[0].mean()
    assert moved == pytest.approx(np.ptp(np.nonzero(before)[0]) / 2, rel=0.15)  # its radius


@pytest.mark.parametrize("shading", ["SOLID", "MATERIAL"])
@pytest.mark.parametrize("overlays", [True, False])
def test_a_mesh_in_front_hides_them(window: BlenderWindow, shading: str, overlays: bool) -> None:
    window.run(_SHADING, shading=shading, overlays=overlays)
    name = f"3 {shading.lower()}{'' if overlays else ' without overlays'}"
    _, free = seen(window, name)
    window.run("bpy.ops.mesh.primitive_cube_add(size=1, location=(0, -3, 0))")
    window.run("bpy.context.object.select_set(False)")
    _, cut = seen(window, f"{name}, a cube in front")
    window.run("bpy.ops.object.select_all(action='DESELECT'); bpy.data.objects.remove(bpy.data.objects['Cube'])")
    assert 0.2 < cut.sum() / free.sum() < 0.9
    assert (cut & ~free).sum() < 0.03 * free.sum()  # EEVEE never draws edges twice the same


_SHADING = """
area = next(area for area in bpy.context.window_manager.windows[0].screen.areas if area.type == "VIEW_3D")
area.spaces.active.shading.type, area.spaces.active.overlay.show_overlays = shading, overlays
"""


def test_a_damaged_copy_is_said_in_the_view(window: BlenderWindow) -> None:
    copy = Path(window.folder, "alone.splats", "ball-1.ply")
    whole = copy.read_bytes()
    copy.write_bytes(whole[:-1000])
    window.run("bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)")
    window.wait(f"any('is damaged' in view.notice() for view in {_LOCAL}._views)")
    window.run("bpy.context.view_layer.objects.active = bpy.data.objects['Ball']")
    window.look("4 damaged")
    copy.write_bytes(whole)
    window.run("bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)")
    window.wait(f"{_LOCAL}.is_drawing()")
    window.run("bpy.context.view_layer.objects.active = bpy.data.objects['Ball']")
    window.look("5 whole again")
