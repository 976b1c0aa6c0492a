"""A mesh is made of splats, made again and taken back in a real window, by the buttons of the Mesh panel."""

from __future__ import annotations

import numpy as np
import pytest

from backend.splats.io import write_cloud
from tests.made_splats import sphere

from .blender_window import BlenderWindow

pytestmark = pytest.mark.window

SPLATS = 4000


@pytest.fixture(scope="module")
def window(opened: BlenderWindow) -> BlenderWindow:
    """A ball of splats seen from the front, and a sidebar with the Mesh panel alone, open."""
    file = opened.folder / "ball.ply"
    write_cloud(file, sphere(1.0, SPLATS))
    opened.push(".backend_start(")
    opened.wait_for_session("session.is_connected")
    opened.run("bpy.ops.splatwright.import_splats(filepath=path, frame='z_up')", path=str(file))
    opened.wait("any(o.splatwright.version for o in bpy.data.objects)")
    opened.run(_PREPARE)
    opened.enter_viewport()
    opened.press("NUMPAD_1")
    opened.press("NUMPAD_PERIOD")
    opened.settle()
    opened.look("the sidebar")
    x, y, width, height = opened.region("UI")
    opened.click(x + 0.4 * width, y + height - 12)  # the panel's header
    opened.look("the Mesh panel")
    return opened


_PREPARE = """
for name in dir(bpy.types):
    panel = getattr(bpy.types, name)
    if name.startswith("SPLATWRIGHT_PT_") and name != "SPLATWRIGHT_PT_mesh":
        bpy.utils.unregister_class(panel)
settings = bpy.context.scene.splatwright.methods.tsdf
settings.views, settings.resolution_automatic, settings.resolution, settings.texture = 12, False, 32, 256
settings.faces = 400
"""
_MESHES = "sorted((o.name, len(o.data.polygons)) for o in bpy.data.objects if o.splatwright.texture)"


def meshes(window: BlenderWindow) -> dict[str, int]:
    """Name and number of faces of each mesh that was extracted."""
    return dict(window.ask(_MESHES))


def jobs(window: BlenderWindow) -> int:
    return len(window.session("[job.state.job for job in session.jobs.values() if job.is_over]"))


def extract(window: BlenderWindow, button: str) -> None:
    before, there = jobs(window), window.ask(_MESHES)
    window.push(button)
    window.wait_for_session(f"sum(job.is_over for job in session.jobs.values()) == {before + 1}")
    window.wait(f"{_MESHES} != {there!r}")
    window.settle()


def test_a_mesh_is_made_and_made_again_into_the_same_object_and_one_undo_takes_that_back(
    window: BlenderWindow,
) -> None:
    extract(window, ".extract_mesh()")
    ((name, faces),) = meshes(window).items()
    assert 200 < faces <= 400
    window.look("made")
    window.run("bpy.data.objects[name].modifiers.new('Smooth', 'SMOOTH'); answer = None", name=name)
    window.run("bpy.context.scene.splatwright.methods.tsdf.faces = 150; bpy.ops.ed.undo_push(message='fewer')")
    extract(window, ".extract_mesh()")
    assert list(meshes(window)) == [name] and meshes(window)[name] <= 150
    assert window.ask("bpy.data.objects[name].modifiers.keys()", name=name) == ["Smooth"]
    window.look("made again")
    extract(window, "new_object=True")
    assert len(meshes(window)) == 2
    window.run("bpy.context.scene.splatwright.methods.tsdf.faces = 300; bpy.ops.ed.undo_push(message='more')")
    extract(window, ".extract_mesh()")
    both = meshes(window)
    assert len(both) == 2 and sorted(count > 150 for count in both.values()) == [False, True], "only one was updated"
    window.enter_viewport()
    window.press("Z", ctrl=True)
    window.wait(f"dict({_MESHES}) == before", before={one: min(count, 150) for one, count in both.items()})


def test_the_surface_is_seen_as_normals_and_as_depth(window: BlenderWindow) -> None:
    window.run("[setattr(o, 'hide_viewport', True) for o in bpy.data.objects if o.splatwright.texture]; answer = None")
    pictures = {}
    for colors in ("NORMALS", "DEPTH"):
        window.run("next(o for o in bpy.data.objects if o.splatwright.asset).splatwright.colors = c", c=colors)
        pictures[colors] = window.view(colors.lower()).astype(int)
    x, y, z = (pictures["NORMALS"][..., axis] for axis in range(3))  # x to the right, y away, z up
    ball = np.ptp(pictures["NORMALS"], axis=-1) > 100
    rows, columns = np.nonzero(ball)
    assert ball.sum() > 2000 and y[ball].mean() < 60, "towards the camera"
    assert np.corrcoef(columns, x[ball])[0, 1] > 0.9 and np.corrcoef(-rows, z[ball])[0, 1] > 0.9
    depth = pictures["DEPTH"][ball]
    assert (np.ptp(depth, axis=1) <= 4).mean() > 0.99, "grey, but for Blender's own lines"
    away = np.hypot(rows - rows.mean(), columns - columns.mean())
    assert np.corrcoef(away, depth.mean(axis=1))[0, 1] < -0.8 and np.ptp(depth) > 60, "the nearest is the brightest"
