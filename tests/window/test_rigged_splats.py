"""A bone is turned in a real window, by keys, and the splats that are bound to its mesh go along."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from backend.splats.io import write_cloud
from tests.unit.rigging.bent_tube import captured_tube, tube

from .blender_window import BlenderWindow

pytestmark = pytest.mark.window

SEEN = 24  # of 255, that a pixel differs where there is something
SPLATS = 4000
TURN = 60  # degrees
RIM = 0.15  # metres that splats reach over the mesh: three of their standard deviations


@pytest.fixture(scope="module")
def window(opened: BlenderWindow) -> BlenderWindow:
    """A tube of splats, bound to a mesh with two bones, seen from the front without rounding by perspective."""
    file, mesh = opened.folder / "tube.ply", tube(24, 33)
    write_cloud(file, captured_tube(SPLATS))
    opened.push(".backend_start(")
    opened.wait_for_session("session.is_connected")
    opened.run("bpy.ops.splatwright.import_splats(filepath=path, frame='z_up')", path=str(file))
    opened.wait("any(o.splatwright.version for o in bpy.data.objects)")
    opened.run(_RIG, vertices=mesh.vertices.tolist(), faces=mesh.faces.tolist())
    opened.run("bpy.ops.splatwright.run_method(method='bind', object=splats.name, mesh='Tube'); answer = None")
    opened.wait_for_session("session.jobs and all(job.is_over for job in session.jobs.values())")
    opened.wait(f"{_BINDINGS}.pose_of(splats)")
    opened.enter_viewport()
    opened.press("NUMPAD_1")
    opened.press("NUMPAD_PERIOD")
    opened.run(_NO_BONES)
    opened.settle()
    return opened


_BINDINGS = "__import__('importlib').import_module('bl_ext.user_default.splatwright.host.bindings')"
_RIG = """
splats = next(o for o in bpy.data.objects if o.splatwright.asset)
splats.rotation_euler = (0, 0, 0)
mesh = bpy.data.meshes.new("Tube")
mesh.from_pydata(vertices, [], faces)
tube = bpy.data.objects.new("Tube", mesh)
armature = bpy.data.objects.new("Armature", bpy.data.armatures.new("Armature"))
for object in (tube, armature):
    bpy.context.collection.objects.link(object)
bpy.context.view_layer.objects.active = armature
bpy.ops.object.mode_set(mode="EDIT")
below, above = (armature.data.edit_bones.new(name) for name in ("Below", "Above"))
below.head, below.tail, above.head, above.tail = (0, 0, -2), (0, 0, 0), (0, 0, 0), (0, 0, 2)
above.parent = below
bpy.ops.object.mode_set(mode="OBJECT")
for name, side in (("Below", -1), ("Above", 1)):
    group = tube.vertex_groups.new(name=name)
    for index, (_, _, z) in enumerate(vertices):
        group.add([index], min(max(0.5 + side * z, 0), 1), "REPLACE")
tube.modifiers.new("Armature", "ARMATURE").object = armature
tube.hide_set(True)
bpy.context.view_layer.objects.active = splats
splats.select_set(True)
"""
_NO_BONES = """
for area in bpy.context.window_manager.windows[0].screen.areas:
    if area.type == "VIEW_3D":
        area.spaces.active.overlay.show_bones = False
"""


def seen(window: BlenderWindow, name: str, what: str) -> np.ndarray:
    """Where the largest viewport shows an object, bool [H, W]: where it changes when that is hidden."""
    window.run("bpy.data.objects[what].hide_set(True)", what=what)
    without = window.view(f"{name}, hidden").astype(int)
    window.run("bpy.data.objects[what].hide_set(False)", what=what)
    there = window.view(name).astype(int)
    return np.abs(there - without).max(-1) > SEEN


def place(window: BlenderWindow, point: tuple[float, float, float]) -> tuple[int, int]:
    """The row and column of a point of the world in what `BlenderWindow.view` gives."""
    x, y = window.run(_PLACE, point=point)
    left, _, _, top = window.free()
    return round(top - y), round(x - left)


_PLACE = """
from bpy_extras.view3d_utils import location_3d_to_region_2d
areas = [area for area in bpy.context.window_manager.windows[0].screen.areas if area.type == "VIEW_3D"]
area = max(areas, key=lambda area: area.width * area.height)
region = next(region for region in area.regions if region.type == "WINDOW")
found = location_3d_to_region_2d(region, area.spaces.active.region_3d, point)
answer = found.x + region.x, found.y + region.y
"""


def is_there(mask: np.ndarray, row: int, column: int, size: int = 4) -> bool:
    """Whether splats cover the surroundings of a pixel."""
    return bool(mask[row - size : row + size + 1, column - size : column + size + 1].mean() > 0.9)


def test_a_bone_that_is_turned_by_keys_takes_the_splats_along(window: BlenderWindow) -> None:
    name = window.ask("splats.name")
    before = seen(window, "1 at rest", name)
    above, below = place(window, (0, 0, 1.5)), place(window, (0, 0, -1.5))
    assert is_there(before, *above) and is_there(before, *below)
    window.run(_POSE_MODE)
    window.enter_viewport()
    window.press("R")
    window.press("Y")
    window.type(str(TURN))
    window.press("RET")
    tip = window.ask("list(bpy.data.objects['Armature'].pose.bones['Above'].tail)")
    assert np.linalg.norm(tip) == pytest.approx(2, abs=1e-3) and abs(tip[2] - 2 * np.cos(np.radians(TURN))) < 1e-3
    window.run("bpy.ops.object.mode_set(mode='OBJECT'); bpy.context.view_layer.objects.active = splats; answer = None")
    after = seen(window, "2 the upper bone turned", name)
    turned = place(window, tuple(0.75 * value for value in tip))
    assert is_there(after, *turned) and is_there(after, *below)
    assert not is_there(before, *turned) and not after[above[0] - 4 : above[0] + 5, above[1] - 4 : above[1] + 5].any()
    window.run("splats.hide_set(True)")
    mesh = seen(window, "3 the mesh alone", "Tube")
    window.run("splats.hide_set(False); bpy.data.objects['Tube'].hide_set(True)")
    rim = round(RIM * np.hypot(*np.subtract(place(window, (0, 0, 1)), place(window, (0, 0, 0)))))
    covered, beside = (mesh & after).sum() / mesh.sum(), (after & ~binary_dilation(mesh, iterations=rim)).mean()
    print(f"splats cover {covered:.1%} of the mesh; {beside:.2%} of the view has splats beside it")
    assert covered > 0.97 and beside < 0.002


_POSE_MODE = """
armature = bpy.data.objects["Armature"]
bpy.context.view_layer.objects.active = armature
bpy.ops.object.mode_set(mode="POSE")
for bone in armature.pose.bones:
    owner = bone if hasattr(bone, "select") else bone.bone
    owner.select = bone.name == "Above"
"""


def test_the_colours_of_the_binding_show_where_the_joint_stretches(window: BlenderWindow) -> None:
    own = window.view("4 own colors").astype(int)
    window.run("splats.splatwright.colors = 'BINDING'")
    shown = window.view("5 colors of the binding").astype(int)
    row, column = place(window, (0, 0, -1.5))
    still = shown[row - 4 : row + 5, column - 4 : column + 5].reshape(-1, 3).mean(0)
    assert still[1] > 1.5 * still[0] and still[1] > 1.5 * still[2], f"far from the joint it is green: {still}"
    stretched = (shown[..., 0] > 0.75 * shown[..., 1]) & (shown[..., 1] > 2 * shown[..., 2]) & (shown[..., 0] > 120)
    rows, columns = np.nonzero(stretched)
    joint = place(window, (0, 0, 0))
    assert len(rows) > 200 and columns.mean() < joint[1], "yellow where the joint is stretched, at its outer side"
    assert abs(rows.mean() - joint[0]) < abs(row - joint[0]) / 2
    window.run(_PANEL)
    window.look("6 the Rig panel")
    window.press("ESC")
    window.run("splats.splatwright.colors = 'OWN'")
    assert np.abs(window.view("7 own colors again").astype(int) - own).max(-1).mean() < 2


_PANEL = """
window = bpy.context.window_manager.windows[0]
area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
splats.select_set(True)
bpy.context.scene.splatwright.bind_mesh = bpy.data.objects["Tube"]
with bpy.context.temp_override(window=window, area=area, region=area.regions[-1]):
    bpy.ops.wm.call_panel("INVOKE_DEFAULT", name="SPLATWRIGHT_PT_rig", keep_open=True)
"""


def test_splats_follow_a_stroke_of_a_sculpting_brush(window: BlenderWindow) -> None:
    name = window.ask("splats.name")
    window.run(_SCULPT_MODE)
    window.settle()
    row, column = place(window, (0, 0, -1))
    before = seen(window, "8 before the stroke", name)
    left, _, _, top = window.free()
    window.run(_REMEMBER)
    window.drag(*((left + column + step, top - row) for step in (*range(-60, 61, 10), *range(60, -61, -10))))
    window.settle()
    assert window.run(_MOVED) > 0.03, "the brush has moved the mesh"
    after = seen(window, "9 after the stroke", name)
    assert (after != before).sum() > 300
    window.press("Z", ctrl=True)
    window.settle()
    assert window.run(_MOVED) < 1e-6
    back = seen(window, "10 the stroke undone", name)
    assert (back != before).mean() < 0.001


_SCULPT_MODE = """
tube = bpy.data.objects["Tube"]
splats.select_set(False)
tube.select_set(True)
bpy.context.view_layer.objects.active = tube
tube.hide_set(False)
bpy.ops.object.mode_set(mode="SCULPT")
for area in bpy.context.window_manager.windows[0].screen.areas:
    if area.type == "VIEW_3D":
        area.spaces.active.overlay.show_overlays = False  # else there is no depth to cut splats by in this mode
"""
_REMEMBER = """
tube = bpy.data.objects["Tube"]
rest = [tuple(vertex.co) for vertex in tube.data.vertices]
"""
_MOVED = """
tube = bpy.data.objects["Tube"]
answer = max((vertex.co - type(vertex.co)(old)).length for vertex, old in zip(tube.data.vertices, rest))
"""
