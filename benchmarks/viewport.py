"""How long a viewport waits for its splats: asked for, drawn by the backend, carried over, uploaded, laid over.

Measured in the newest Blender that `build.py test-blender` made, with a real backend, without a window and without a
graphics card: OpenGL runs on the processor (llvmpipe), which uploads and draws far slower than any GPU.
Run as `python build.py bench viewport`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from backend import machine
from backend.captures import make_capture
from backend.splats.io import write_cloud
from benchmarks.local_display import made_cloud
from benchmarks.protocol import served
from benchmarks.record import REPOSITORY, record
from building import blender, extension_zips
from shared_protocol.connection import CONNECTION_FILE

OVERHEAD_MS = 10.0  # of asking, carrying, converting and uploading a picture of 1280x720
COARSE_MS = 120.0  # from the movement to the picture of 30,000 splats in a view of 640x360, on two cores
HELD_MS = 4.0  # that Blender's main thread may be held by us at a time, beside uploading and drawing
NAME = "bl_ext.user_default.splatwright"

# What runs in Blender. `part(name, call)` notes how long the call takes.
BEGIN = f"""
import json, os, sys, time
import bpy, gpu
import numpy as np
bpy.ops.extensions.package_install_files(filepath=sys.argv[1], repo="user_default", enable_on_install=True)
import importlib
room = lambda name: importlib.import_module("{NAME}." + name)
current, eyes, viewport = map(room, ("host.current", "host.eyes", "host.viewport"))
overlay_drawing = room("host.overlay_drawing")
messages, things = room("protocol").messages, room("protocol").things
bpy.ops.wm.read_homefile(use_empty=True)
bpy.ops.splatwright.backend_connect(connection_file=sys.argv[2])
bpy.ops.splatwright.import_splats(filepath=sys.argv[3])
splats = bpy.context.view_layer.objects.active
room("host.offscreen")._start_graphics()
repeats, parts = int(sys.argv[4]), {{}}

def part(name, call, clock=time.perf_counter):
    started = clock()
    result = call()
    parts.setdefault(name, []).append(1e3 * (clock() - started))
    return result

def own(name, call):  # what only computes, whatever else the machine does
    return part(name, call, time.thread_time)

def look(width, height, angle):
    turn = np.eye(4)
    turn[:3, :3] = [[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]]
    turn[2, 3] = 3.0
    return things.ViewCamera(tuple(turn.ravel().tolist()), fx=width, fy=width, cx=width / 2, cy=height / 2,
                             width=width, height=height, near=0.1, far=100.0)

def told():
    where = {{"blender": bpy.app.version_string, "gl": gpu.platform.renderer_get()}}
    print("TOLD " + json.dumps({{"parts": parts, **where}}))
    sys.stdout.flush()
    os._exit(0)
"""

# One picture after another, each of another camera; the first ones warm both sides up.
PICTURES = """
width, height, exact = int(sys.argv[5]), int(sys.argv[6]), sys.argv[7] == "exact"
shown = (things.SceneObject(asset=splats.splatwright.asset, version=splats.splatwright.version),)
target = gpu.types.GPUOffScreen(width, height, format="RGBA8")
surface = np.full((height, width, 4), 3.0, np.float32) if exact else None
for number in range(repeats + 3):
    if number == 3:
        parts.clear()
    camera, started = look(width, height, 0.1 * number), time.perf_counter()
    asked = {"objects": shown, "camera": camera, "depth": not exact, "surface_depth": surface, "stream": "bench"}
    future = part("request", lambda: current.link().ask(messages.Render(**asked)))
    answer = future.result(60)
    waited = 1e3 * (time.perf_counter() - started)
    parts.setdefault("render", []).append(1e3 * answer.seconds)
    parts.setdefault("transport", []).append(waited - parts["request"][-1] - 1e3 * answer.seconds)
    picture = part("conversion", lambda: overlay_drawing.DrawnPicture.of(answer, camera))
    with target.bind():
        gpu.state.active_framebuffer_get().clear(color=(0, 0, 0, 1), depth=1.0)
        gpu.state.active_framebuffer_get().read_color(0, 0, 1, 1, 4, 0, "FLOAT")
        picture.textures = part("upload", lambda: overlay_drawing._textures(picture))
        part("draw", lambda: (overlay_drawing.draw(picture, camera, as_light=True, is_exact=exact),
                              gpu.state.active_framebuffer_get().read_color(0, 0, 1, 1, 4, 0, "FLOAT")))
    ours = ("request", "transport", "conversion", "upload")
    parts.setdefault("overhead", []).append(sum(parts[name][-1] for name in ours))
told()
"""

# A view that turns, as the extension follows it: ticks as Blender makes them, coarse pictures as fine as they may be.
MOVING = """
current.is_interactive = lambda: True
tick = room("tick")
area = next(a for a in bpy.context.window.screen.areas if a.type == "VIEW_3D")
region = next(region for region in area.regions if region.type == "WINDOW")
eye = eyes.by_region[region.as_pointer()] = eyes.Eye()
eyes.mark_stale()

def frame(number):
    eye.camera, started = look(640, 360, 0.02 * number), time.perf_counter()
    while eye.picture is None or eye.picture.made_for != eye.camera:
        time.sleep(tick.tick())
    return 1e3 * (time.perf_counter() - started)

def frames(name):
    for number in range(repeats + 6):
        took = frame(number)
        if number >= 6:
            parts.setdefault(name, []).append(took)
            parts.setdefault(name + ", scale", []).append(eye.view.shown.scale)

frames("idle")
steps = []

def heard(event):
    progress = getattr(event, "message", None)
    if isinstance(progress, messages.JobProgress) and progress.step > 0:
        steps.append((time.perf_counter(), progress.step))

current.listen(heard)
from pathlib import Path
job = current.link().backend.train(Path(sys.argv[5]), steps=100000)
while len(steps) < 3:
    current.drain(0.05)
    time.sleep(0.01)
first = steps[-1]
frames("training")
parts["step"] = [1e3 * (steps[-1][0] - first[0]) / max(steps[-1][1] - first[1], 1)]
job.cancel()
told()
"""

# Many meshes, in processor time: looking at them at each change of the scene, reading them, a little at each tick.
MESHES = """
hiding, depth = room("host.hiding_meshes"), room("host.mesh_depth")
bpy.ops.mesh.primitive_grid_add(x_subdivisions=50, y_subdivisions=50, size=0.4)
first, space = bpy.context.object, next(a for a in bpy.context.window.screen.areas if a.type == "VIEW_3D").spaces.active
for number in range(1, 200):
    other = first.copy()
    other.data, other.location = first.data.copy(), (number % 20 - 10, number // 20 - 5, 0)
    bpy.context.collection.objects.link(other)
depsgraph = bpy.context.evaluated_depsgraph_get()
hiders = hiding.look(depsgraph, space)
while not hiders.is_up_to_date:
    own("a read", lambda: hiding.read(hiders, depsgraph, space, viewport._READ_S))
camera = look(1280, 720, 0.1)
depth.distances(hiders, camera, is_fine=True)
for number in range(repeats):
    first.location.z = number
    bpy.context.view_layer.update()
    hiders = own("look", lambda: hiding.look(depsgraph, space))
    assert hiders.is_up_to_date
    own("objects", lambda: room("host.objects").scene_objects(depsgraph, for_render=False, space=space))
    part("surface", lambda: depth.distances(hiders, camera, is_fine=True))
    first.data.vertices[0].co.z = number
    first.data.update()
    bpy.context.view_layer.update()
    hiders = hiding.look(depsgraph, space)
    own("read one", lambda: hiding.read(hiders, depsgraph, space))
parts["triangles"] = [2 * 50 * 50 * 200]
told()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splats", type=int, default=30_000)
    parser.add_argument("--repeats", type=int, default=40, help="pictures of each kind; the median counts")
    arguments = parser.parse_args()
    load_before = machine.load_average()
    python = blender.python_in(blender.ENVIRONMENTS / max(blender.VERSIONS))
    if not python.exists():
        sys.exit("No Blender is here as a Python module: python3 build.py test-blender makes it.")
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        write_cloud(folder / "splats.ply", made_cloud(arguments.splats))
        capture = make_capture(folder / "capture", views=8, width=240, height=160, points=500)
        serve = ("-m", "backend", "serve", "--workspace", str(folder / "workspace"), "--device", "cpu")
        zip_file = extension_zips.build(folder / "zips")[-1]
        with served(folder, serve):

            def blender_runs(script: str, *words: object) -> dict[str, Any]:
                given = (zip_file, folder / CONNECTION_FILE, folder / "splats.ply", arguments.repeats, *words)
                return run(python, script, folder, given)

            rows = [
                *picture_rows("coarse, with depth", blender_runs(PICTURES, 1280, 720, "coarse")),
                *picture_rows("exact, with a surface", blender_runs(PICTURES, 1280, 720, "exact")),
                *moving_rows(blender_runs(MOVING, capture)),
                *mesh_rows(blender_runs(MESHES)),
            ]
    claim = (
        f"our own part of a picture of 1280x720 takes at most {OVERHEAD_MS:g} ms, a coarse frame of 640x360 at most "
        f"{COARSE_MS:g} ms, and while training one step more (medians); drawn in software"
    )
    record("viewport", claim, rows, device="cpu", settings=vars(arguments), load_before=load_before)


def run(python: Path, script: str, home: Path, given: tuple[object, ...]) -> dict[str, Any]:
    """What the script tells of itself in a fresh Blender."""
    environment = {
        **os.environ,
        "PYTHONNOUSERSITE": "1",
        "BLENDER_USER_RESOURCES": str(home / "blender"),
        "SPLATWRIGHT_HOME": str(home),
    }
    command = [str(part) for part in (python, "-c", BEGIN + script, *given)]
    done = subprocess.run(command, env=environment, cwd=REPOSITORY.parent, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("TOLD ")]
    if not lines:
        sys.exit(f"Blender did not measure: {done.stdout}{done.stderr}")
    return json.loads(lines[0].removeprefix("TOLD "))


def row(what: str, value: float, most: float | None, detail: str = "") -> dict[str, Any]:
    """most: that is claimed; None = nothing is."""
    return {
        "what": what,
        "ms": value,
        "at most": most,
        "holds": None if most is None else value <= most,
        "note": detail,
    }


def picture_rows(kind: str, told: dict[str, Any]) -> list[dict[str, Any]]:
    parts = medians(told)
    names = ("request", "render", "transport", "conversion", "upload", "draw")
    drawn = f"Blender {told['blender']}, {told['gl']}"
    return [
        *(row(f"1280x720, {kind}: {name}", parts[name], None) for name in names),
        row(f"1280x720, {kind}: all but render and draw", parts["overhead"], OVERHEAD_MS, drawn),
    ]


def moving_rows(told: dict[str, Any]) -> list[dict[str, Any]]:
    parts = medians(told)
    claims = {"idle": COARSE_MS, "training": parts["idle"] + parts["step"]}
    details = {name: f"{parts[f'{name}, scale']:.2f} of the view's pixels along a side" for name in claims}
    details["training"] += f"; a step takes {parts['step']:.1f} ms"
    return [
        row(f"640x360, a turning view's coarse frame, {name}", parts[name], most, details[name])
        for name, most in claims.items()
    ]


def mesh_rows(told: dict[str, Any]) -> list[dict[str, Any]]:
    parts, reads = medians(told), told["parts"]["a read"]
    what = f"200 meshes of {parts['triangles'] / 1e6:g} million triangles, processor"
    return [
        row(f"{what}: look where they are", parts["look"], HELD_MS, "at each change of the scene"),
        row(f"{what}: splat objects among them", parts["objects"], HELD_MS, "at each change of the scene"),
        row(f"{what}: read, the longest tick", max(reads), HELD_MS, f"in {len(reads)} ticks, once"),
        row(f"{what}: read one that changed", parts["read one"], HELD_MS),
        row(f"{what}: draw and read back the surface", parts["surface"], None, "1280x720, once at rest"),
    ]


def medians(told: dict[str, Any]) -> dict[str, float]:
    return {name: float(np.median(values)) for name, values in told["parts"].items()}


if __name__ == "__main__":
    main()
