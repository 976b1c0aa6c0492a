"""Each viewport, pixel by pixel, against the backend's picture laid over Blender's own picture of the meshes alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from .blender_window import EYES, NAME, BlenderWindow, cut, psnr, wait_for

pytestmark = pytest.mark.window

STEPS = 300
FAITHFUL_DB = (
    30.0  # over pixels with splats: Blender blends half-transparent ones in the viewport as light, photos do not
)
SEEN = 0.05  # alpha from which on a pixel has splats


@pytest.fixture(scope="module")
def saved(opened: BlenderWindow, train: Callable[[int], None]) -> Path:
    """A .blend with splats that have been trained, and a viewport that draws nothing but surfaces."""
    train(STEPS)
    opened.wait_for_session("session.jobs and session.active_job is None and list(session.jobs.values())[0].is_over")
    opened.wait("any(o.splatwright.version for o in bpy.data.objects)")
    opened.run(_PLAIN)
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
    opened.run("splats = next(o for o in bpy.data.objects if o.splatwright.asset)")
    opened.settle()
    opened.enter_viewport()
    yield opened


_PLAIN = """
space = next(a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == "VIEW_3D").spaces.active
space.overlay.show_overlays = space.show_gizmo = False
space.shading.light = "FLAT"
"""


def faithful(window: BlenderWindow, name: str, at_least: float = FAITHFUL_DB) -> float:
    """The share of the largest viewport that shows splats, which must look there as the backend and Blender say."""
    window.run(_HIDE, hidden=True)
    window.settle()
    plain = window.look(f"{name}, without splats")
    window.run(_HIDE, hidden=False)
    window.settle()
    shown = window.look(name)
    left, bottom, right, top = window.free()
    height = len(shown)
    error, pixels, area = 0.0, 0, 0
    for x, y, path in window.run(_TRUTH, folder=str(window.folder)):
        splats = np.load(path).astype(float) / 255  # [h, w, 4] premultiplied
        rows, columns = slice(height - y - len(splats), height - y), slice(x, x + splats.shape[1])
        expected = splats[..., :3] + (1 - splats[..., 3:]) * plain[rows, columns] / 255
        looked_at = splats[..., 3] > SEEN
        looked_at[: max(height - round(top) - rows.start, 0)] = False
        looked_at[max(height - round(bottom) - rows.start, 0) :] = False
        looked_at[:, : max(round(left) - x, 0)] = looked_at[:, max(round(right) - x, 0) :] = False
        error += float((((shown[rows, columns] / 255 - expected) ** 2).mean(-1) * looked_at).sum())
        pixels += int(looked_at.sum())
        area += looked_at.size
    decibels = -10 * np.log10(error / max(pixels, 1) + 1e-12)
    print(f"{name}: {decibels:.1f} dB over {pixels} pixels with splats")
    assert pixels and decibels > at_least, f"{decibels:.1f} dB over {pixels} pixels"
    return pixels / area


_HIDE = """
for item in bpy.data.objects:
    if item.splatwright.asset:
        item.hide_viewport = hidden
"""
_TRUTH = f"""
import importlib
import numpy
cameras, meshes, objects, current, protocol = [
    importlib.import_module("{NAME}." + name)
    for name in ("host.cameras", "host.meshes", "host.objects", "host.current", "protocol")
]
window = bpy.context.window_manager.windows[0]
area = max((a for a in window.screen.areas if a.type == "VIEW_3D"), key=lambda a: a.width * a.height)
space, answer = area.spaces.active, []
depsgraph = window.view_layer.depsgraph
surface = meshes.surface_of_scene(depsgraph)
hides = {{"surface_vertices": surface.vertices, "surface_faces": surface.faces}} if len(surface.faces) else {{}}
shown = objects.scene_objects(depsgraph, for_render=False, space=space)
regions = [region for region in area.regions if region.type == "WINDOW"]
for number, region in enumerate(regions):
    region_3d = space.region_quadviews[number] if len(regions) > 1 else space.region_3d
    request = protocol.messages.Render(
        objects=shown, camera=cameras.view_camera_of_region(region, region_3d), depth=False, **hides
    )
    path = f"{{folder}}/truth {{number}}.npy"
    numpy.save(path, current.link().request(request, protocol.messages.Picture, 60).color)
    answer.append((region.x, region.y, path))
"""


def test_a_mesh_half_inside_the_splats_in_orthographic_views(window: BlenderWindow) -> None:
    window.run(_BOX)
    assert faithful(window, "1 from above, a box half inside") > 0.03
    window.press("NUMPAD_1")
    time.sleep(1)  # Blender turns the view smoothly
    assert faithful(window, "2 from the front") > 0.03


_BOX = """
from mathutils import Vector
corners = [splats.matrix_world @ Vector(corner) for corner in splats.bound_box]
middle = sum(corners, Vector()) / 8
size = max((corner - middle).length for corner in corners)
bpy.ops.mesh.primitive_cube_add(size=0.5 * size, location=middle + Vector((0.2, 0.1, 0)) * size)
"""


def test_a_mesh_half_inside_the_splats_in_perspective(window: BlenderWindow) -> None:
    window.run(_BOX)
    for _ in range(3):
        window.press("NUMPAD_2")
        window.press("NUMPAD_4")
    window.run("space_3d().region_3d.view_perspective = 'PERSP'".replace("space_3d()", _SPACE))
    time.sleep(1)
    assert faithful(window, "3 in perspective") > 0.03


_SPACE = "next(a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == 'VIEW_3D').spaces.active"


def test_a_camera_with_a_shifted_lens_and_a_border(window: BlenderWindow) -> None:
    window.run(_BOX)
    window.run(_CAMERA)
    window.press("NUMPAD_0")
    time.sleep(1)
    assert faithful(window, "4 through a camera with a border") > 0.03


_CAMERA = """
camera = bpy.data.objects["Camera"]
camera.data.shift_x, camera.data.shift_y = 0.1, -0.05
camera.location = middle + Vector((1.6, -1.6, 1.2)) * size
camera.rotation_euler = (middle - camera.location).to_track_quat("-Z", "Y").to_euler()
render = bpy.context.scene.render
render.use_border, render.border_min_x, render.border_max_x = True, 0.2, 0.7
render.border_min_y, render.border_max_y = 0.1, 0.9
bpy.context.scene.camera = camera
"""


def test_four_views_at_once(window: BlenderWindow) -> None:
    window.run(_BOX)
    window.press("Q", ctrl=True, alt=True)
    time.sleep(1)
    assert faithful(window, "5 four views") > 0.01


def test_two_objects_inside_each_other_are_one_cloud(window: BlenderWindow) -> None:
    window.run(_SECOND)
    assert faithful(window, "6 two objects inside each other") > 0.05


_SECOND = """
from mathutils import Vector
second = splats.copy()
bpy.context.collection.objects.link(second)
second.location += Vector((0.3, 0.2, 0.1)) * splats.dimensions.length / 4
second.rotation_euler.z += 0.7
second.scale = (1.3, 0.6, 0.9)
"""


def test_hidden_deleted_and_undone(window: BlenderWindow) -> None:
    whole = window.view("7 as it was")
    window.run("bpy.ops.object.select_all(action='DESELECT'); splats.select_set(True)")
    for name, (gone, back) in {"hidden": ("H", {"alt": True}), "deleted": ("X", None)}.items():
        window.press(gone)
        if name == "deleted":
            window.press("RET")  # Blender asks
        window.wait("not [o for o in bpy.context.view_layer.objects if o.splatwright.asset and o.visible_get()]")
        assert differs(whole, window.view(f"8 {name}"))
        if back is not None:
            window.press(gone, **back)
        else:
            window.press("Z", ctrl=True)
        window.wait("[o for o in bpy.context.view_layer.objects if o.splatwright.asset and o.visible_get()]")
        assert not differs(whole, window.view(f"9 not {name} any more"))


def differs(one: np.ndarray, other: np.ndarray) -> bool:
    return bool((np.abs(one.astype(int) - other).max(-1) > 24).mean() > 0.02)


def test_local_view_shows_what_was_selected(window: BlenderWindow) -> None:
    window.run(_BOX)
    window.run("bpy.ops.object.select_all(action='DESELECT')")
    window.run("bpy.data.objects['Cube'].select_set(True)")
    window.press("NUMPAD_SLASH")
    time.sleep(1)
    window.view("10 the box alone")
    assert window.ask(_SHOWN) == []
    window.press("NUMPAD_SLASH")
    time.sleep(1)
    window.view("11 both again")
    assert len(window.ask(_SHOWN)) == 1


_SHOWN = f"[item.asset for eye in {EYES} if eye.view.wish is not None for item in eye.view.wish.objects]"


def test_a_view_that_is_turned_while_it_trains_stays_right(window: BlenderWindow, train: Callable[[int], None]) -> None:
    window.run("splats.hide_viewport = True")
    train(15_000)
    window.wait_for_session("session.active_job.state.step > 100")
    window.run("splats = next(o for o in bpy.data.objects if o.splatwright.asset and not o.splatwright.version)")
    window.enter_viewport()
    for turn in range(3):
        for _ in range(3):
            window.press("NUMPAD_6")
        wait_for(lambda: window.ask(_IS_HERE), "a picture of what the view shows now")
        time.sleep(0.3)
        window.look(f"12 turned while it trains, {turn}")
    window.run("bpy.ops.splatwright.stop_job()")
    window.wait_for_session("session.active_job is None")
    assert faithful(window, "13 when it has ended") > 0.03


_IS_HERE = f"""any(
    ask is not None and ask.wish.camera == eye.camera for eye in {EYES} for ask in (eye.view.exact, eye.view.shown))"""


def test_the_worst_view_is_flown_to_with_its_photo_and_esc_comes_back(window: BlenderWindow, capture: Path) -> None:
    window.run("bpy.ops.object.select_all(action='DESELECT'); splats.select_set(True)")
    window.run("bpy.context.view_layer.objects.active = splats")
    window.run(_CALL.format(call="wm.call_panel('INVOKE_DEFAULT', name='SPLATWRIGHT_PT_views', keep_open=True)"))
    views = window.wait("[(v.path, v.psnr) for v in bpy.context.window_manager.splatwright_views.views]")
    place = [share * size for share, size in zip((0.16, 0.16), window.region()[2:], strict=True)]
    window.move(window.region()[0] + place[0], window.region()[1] + place[1])  # has the list drawn
    window.look("14 the views, worst first")
    window.press("ESC")  # closes the list
    assert len(views) == 4 and [psnr for _, psnr in views] == sorted(psnr for _, psnr in views)
    window.enter_viewport()
    before = window.ask(f"[*{_SPACE}.region_3d.view_location, {_SPACE}.lens]")
    window.run(_CALL.format(call="splatwright.fly_to_view('INVOKE_DEFAULT')"))
    window.wait(f"{_COMPARISON}.shown() is not None and {_FLIGHT}._flight is None")
    window.settle()
    window.look("15 flown there, half photo, half splats")

    left, bottom, right, top = window.run(_QUAD)

    def seen(split: float) -> np.ndarray:
        window.run("bpy.context.window_manager.splatwright_views.split = split", split=split)
        window.settle()
        return cut(window.look(f"16 split at {split}"), left, bottom, right, top)

    whole, none = seen(1.0), seen(0.0)
    white = np.full_like(whole, 255)
    assert psnr(whole, capture / views[0][0], white) > 30
    assert differs(whole, none)
    half, width = seen(0.5), round((right - left) / 2)
    assert np.array_equal(half[:, : width - 3], whole[:, : width - 3])
    assert np.array_equal(half[:, width + 3 :], none[:, width + 3 :])

    window.run(_CALL.format(call="splatwright.wipe_photo('INVOKE_DEFAULT')"))
    window.click(left + 0.25 * (right - left), (bottom + top) / 2)
    assert window.ask("bpy.context.window_manager.splatwright_views.split") == pytest.approx(0.25, abs=0.01)
    window.run("bpy.context.window_manager.splatwright_views.mode = 'DIFFERENCE'")
    window.look("17 the difference")
    window.enter_viewport()
    window.press("ESC")
    window.wait(f"not {_FLIGHT}.has_flown() and {_FLIGHT}._flight is None")
    assert window.ask(f"[*{_SPACE}.region_3d.view_location, {_SPACE}.lens]") == pytest.approx(before, abs=1e-4)
    window.view("18 back")


_COMPARISON = f"__import__('importlib').import_module('{NAME}.host.photo_comparison')"
_FLIGHT = f"__import__('importlib').import_module('{NAME}.host.view_flight')"
_CALL = """
window = bpy.context.window_manager.windows[0]
area = max((a for a in window.screen.areas if a.type == "VIEW_3D"), key=lambda a: a.width * a.height)
region = next(region for region in area.regions if region.type == "WINDOW")
with bpy.context.temp_override(window=window, area=area, region=region):
    bpy.ops.{call}
"""
_QUAD = f"""
import importlib
import numpy
comparison = importlib.import_module("{NAME}.host.photo_comparison")
photo_view = importlib.import_module("{NAME}.core.photo_view")
area = max((a for a in window.screen.areas if a.type == "VIEW_3D"), key=lambda a: a.width * a.height)
region = next(region for region in area.regions if region.type == "WINDOW")
shown = comparison.shown()
corners = photo_view.corners(shown.photo.camera, comparison.world_from_asset(shown), shown.distance)
clip = photo_view.clip_corners(corners, numpy.array(area.spaces.active.region_3d.perspective_matrix))
pixels = (clip[:, :2] / clip[:, 3:] + 1) / 2 * (region.width, region.height) + (region.x, region.y)
answer = [*pixels.min(0).tolist(), *pixels.max(0).tolist()]
"""
