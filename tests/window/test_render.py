"""F12 and our Render button in a window, where a render goes on beside Blender on a thread of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.splats.io.formats import write_cloud
from tests.made_splats import sphere

from .blender_window import BlenderWindow, wait_for

pytestmark = pytest.mark.window

SCENE = """
import numpy as np
scene = bpy.context.scene
bpy.data.objects.remove(bpy.data.objects["Light"])
camera = scene.camera
camera.location, camera.rotation_euler = (0, 0, 6), (0, 0, 0)
hair = bpy.data.hair_curves.new("Hair")
hair.add_curves([2])
hair.points.foreach_set("position", np.array([-1.5, 0, 2, 1.5, 0, 2], np.float32))
hair.attributes.new("radius", "FLOAT", "POINT").data.foreach_set("value", np.full(2, 0.15, np.float32))
scene.collection.objects.link(bpy.data.objects.new("Hair", hair))
scene.render.engine, scene.cycles.samples, scene.render.film_transparent = "CYCLES", 4, True
scene.render.resolution_x, scene.render.resolution_y = 160, 120
"""
RENDER = "bpy.context.scene.render.filepath = path; bpy.ops.splatwright.render('EXEC_DEFAULT', True, {how})"
SETTINGS = """(lambda scene: [
    scene.render.resolution_x, scene.cycles.samples, scene.render.filter_size, scene.view_layers[0].use_pass_z
])(bpy.context.scene)"""


def rendered(opened: BlenderWindow, path: Path, python: str) -> np.ndarray:
    """[H, W, 4] of the picture that the render has written in the end."""
    opened.run(python, path=str(path))
    wait_for(path.exists, "the picture")
    opened.wait("not bpy.app.is_job_running('RENDER')")
    return np.asarray(Image.open(path).convert("RGBA"), np.float32) / 255


def test_the_depth_comes_before_the_picture_and_leaves_no_trace(opened: BlenderWindow) -> None:
    opened.push(".backend_start(")
    opened.wait_for_session("session.is_connected")
    ball = opened.folder / "ball.ply"
    write_cloud(ball, sphere())
    opened.run("bpy.ops.splatwright.import_splats('EXEC_DEFAULT', filepath=path)", path=str(ball))
    opened.wait("any(o.splatwright.asset for o in bpy.data.objects)")
    opened.run(SCENE)
    before = opened.ask(SETTINGS)
    through = rendered(
        opened, opened.folder / "through.png", RENDER.format(how="write_still=True, depth_first='NEVER'")
    )
    exact = rendered(opened, opened.folder / "exact.png", RENDER.format(how="write_still=True"))
    assert opened.ask(SETTINGS) == before
    strand, ball_alone = exact[60, 80, :3], exact[40, 80, :3]
    assert exact[60, 80, 3] > 0.99 and ball_alone.max() > 0.3 and np.ptp(ball_alone) > 0.3, "the ball is red or blue"
    assert np.ptp(strand) < 0.1, "the strand before it is grey"
    assert np.ptp(through[60, 80, :3]) > 0.3 and np.abs(through - exact)[40].max() < 0.02
    opened.run("bpy.ops.ed.undo(); bpy.ops.ed.redo()")
    assert opened.ask(SETTINGS) == before, "nor in an undo step"
    f12 = "bpy.context.scene.render.filepath = path; bpy.ops.render.render('INVOKE_DEFAULT', write_still=True)"
    again = rendered(opened, opened.folder / "f12.png", f12)
    assert np.abs(again - through).max() < 0.05, "F12 knows meshes alone"
