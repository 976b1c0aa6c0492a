"""What you see is what you render: one scene and one camera, by every way that there is to a picture.

Compared is what each way adds to its own picture of the meshes alone, because those are lit differently in a viewport
and in a render. Only pixels with splats count.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import golden
import numpy as np
import pytest
import splat_scene

Room = Callable[[str], ModuleType]
REPOSITORY = Path(__file__).resolve().parents[2]
ALIKE_DB = 40.0
ALIKE_WITHOUT_BACKEND_DB = 35.0
SEEN = 0.02  # alpha from which on a pixel has splats
ENGINES = {"Cycles": "CYCLES", "EEVEE": "BLENDER_EEVEE" if bpy.app.version >= (5, 0) else "BLENDER_EEVEE_NEXT"}


@pytest.fixture
def scene(connected: ModuleType, room: Room, tmp_path: Path) -> Any:
    """Two clouds inside each other, one of them scaled unevenly; half a cube in them, and a plane through them."""
    ball = splat_scene.make(tmp_path)
    second = ball.copy()
    bpy.context.collection.objects.link(second)
    second.location, second.rotation_euler, second.scale = (0.5, 0.5, 0.4), (0.4, 0.3, 0.8), (1.2, 0.5, 0.8)
    bpy.data.objects["Cube"].location = (0.7, -0.5, 0.2)
    golden.viewport(room, splat_scene.WIDTH, splat_scene.HEIGHT)
    bpy.context.view_layer.update()
    return bpy.context.scene


def of_backend(connected: ModuleType, room: Room) -> np.ndarray:
    """The truth: [H, W, 4] premultiplied sRGB, of what lies in front of the meshes."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    surface = room("host.meshes").surface_of_scene(depsgraph)
    messages = room("protocol").messages
    request = messages.Render(
        objects=room("host.objects").scene_objects(depsgraph, for_render=False),
        camera=room("host.cameras").view_camera_of_scene(bpy.context.scene, bpy.context.scene.camera, depsgraph),
        pixels="float32",
        depth=False,
        surface_vertices=surface.vertices,
        surface_faces=surface.faces,
    )
    return connected.link().request(request, messages.Picture, 60).color


def hide(hidden: bool) -> None:
    for item in bpy.data.objects:
        if item.splatwright.asset:  # type: ignore[attr-defined]
            item.hide_viewport = item.hide_render = hidden


def added(draw: Callable[[], np.ndarray], splats: np.ndarray) -> np.ndarray:
    """What this way's picture has of splats, [H, W, 3], if it lays them over its meshes as they say."""
    whole = draw()[..., :3]
    hide(True)
    plain = draw()[..., :3]
    hide(False)
    return whole - (1 - splats[..., 3:]) * plain


def f12(engine: str, path: Path) -> Callable[[], np.ndarray]:
    def draw() -> np.ndarray:
        scene: Any = bpy.context.scene
        scene.render.engine = engine
        scene.eevee.taa_render_samples = 4
        return splat_scene.rendered(path)

    return draw


def overlay(room: Room, *, by_blender: bool = False) -> Callable[[], np.ndarray]:
    """Through the scene's camera, in flat colours, and without a window."""
    offscreen, size = room("host.offscreen"), (splat_scene.WIDTH, splat_scene.HEIGHT)
    return lambda: offscreen.draw_camera(bpy.context.scene.camera, *size, by_blender=by_blender) / 255


def alike(one: np.ndarray, other: np.ndarray, splats: np.ndarray) -> float:
    """In dB."""
    seen = splats[..., 3] > SEEN
    assert 0.05 < seen.mean() < 0.9
    return splat_scene.decibels(one[seen], other[seen])


def compared(ways: dict[str, np.ndarray], splats: np.ndarray, at_least: float) -> None:
    found = {f"{a} and {b}": alike(ways[a], ways[b], splats) for a, b in itertools.combinations(ways, 2)}
    print(", ".join(f"{pair}: {decibels:.1f} dB" for pair, decibels in found.items()))
    assert min(found.values()) >= at_least, found


@pytest.mark.slow
@pytest.mark.skipif(bpy.app.version < (5, 1), reason="EEVEE takes half a minute to start without a GPU; once is enough")
def test_backend_overlay_and_both_renderers_make_the_same_picture(
    scene: Any, connected: ModuleType, room: Room, tmp_path: Path
) -> None:
    splats = of_backend(connected, room)
    ways = {"backend": splats[..., :3], "overlay": added(overlay(room), splats)}
    golden.compare(overlay(room)(), "same_picture.png")
    bpy.ops.splatwright.setup_render()
    for name, engine in ENGINES.items():
        ways[name] = added(f12(engine, tmp_path / f"{name}.png"), splats)
    compared(ways, splats, ALIKE_DB)


def test_backend_overlay_and_cycles_make_the_same_picture(
    scene: Any, connected: ModuleType, room: Room, tmp_path: Path
) -> None:
    """Also where EEVEE would take too long to start, and with a lens that is shifted."""
    scene.camera.data.shift_x, scene.camera.data.shift_y = 0.06, -0.04
    splats = of_backend(connected, room)
    ways = {"backend": splats[..., :3], "overlay": added(overlay(room), splats)}
    bpy.ops.splatwright.setup_render()
    ways["Cycles"] = added(f12("CYCLES", tmp_path / "cycles.png"), splats)
    compared(ways, splats, ALIKE_DB)


def test_blender_alone_draws_nearly_the_same_picture(
    scene: Any, connected: ModuleType, room: Room, tmp_path: Path
) -> None:
    """From the copies beside the file, without asking the backend."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.splatwright.keep_copy()
    splats = of_backend(connected, room)
    ways = {"backend": splats[..., :3], "Blender alone": added(overlay(room, by_blender=True), splats)}
    compared(ways, splats, ALIKE_WITHOUT_BACKEND_DB)


def test_the_command_draws_the_same_picture_of_a_file(
    connected: ModuleType, room: Room, served_backend: Any, tmp_path: Path
) -> None:
    """`splatwright render` knows no scene: one object, where its file has it."""
    ball = splat_scene.make(tmp_path)
    for item in [item for item in bpy.data.objects if item.type == "MESH" and item != ball]:
        bpy.data.objects.remove(item)
    bpy.context.view_layer.update()
    splats = of_backend(connected, room)
    camera = room("host.cameras").view_camera_of_scene(
        bpy.context.scene, bpy.context.scene.camera, bpy.context.evaluated_depsgraph_get()
    )
    matrix = np.reshape(camera.camera_from_world, (4, 4)).tolist()
    names = ("fx", "fy", "cx", "cy", "width", "height")
    (tmp_path / "camera.json").write_text(
        json.dumps({"camera_from_world": matrix, **{name: getattr(camera, name) for name in names}})
    )
    command = ["render", "ball.ply", "-o", "ball.png", "--camera", "camera.json", "--background", "black"]
    run = [str(served_backend.python), "-m", "backend", *command]
    subprocess.run(run, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=True)
    drawn = splat_scene.read(tmp_path / "ball.png")[..., :3]
    compared({"backend": splats[..., :3], "command": drawn}, splats, ALIKE_DB)
