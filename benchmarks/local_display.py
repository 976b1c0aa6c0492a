"""How long Blender takes to draw a frame of splats by itself, without the backend, and what of it costs how much.

Measured in the newest Blender that `build.py test-blender` made, without a window and without a graphics card: its
OpenGL runs on the processor (llvmpipe), which draws far slower than any GPU. What does not draw (reading,
ordering) is as on any machine. Run as `python build.py bench local_display`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from backend import machine
from backend.splats.cloud import SplatCloud
from backend.splats.io import write_cloud
from benchmarks.record import REPOSITORY, record
from building import blender, extension_zips

ORDER_MS = 4.0  # what may be done in Blender's main thread beside handing over and drawing
NAME = "bl_ext.user_default.splatwright"

MEASURE = f"""
import json, os, sys, time
import bpy, gpu
import numpy as np
bpy.ops.extensions.package_install_files(filepath=sys.argv[1], repo="user_default", enable_on_install=True)
import importlib
room = lambda name: importlib.import_module("{NAME}." + name)
stored, order, drawing = room("core.stored_splats"), room("core.splat_order"), room("host.local_drawing")
things, path = room("protocol").things, __import__("pathlib").Path
room("host.offscreen")._start_graphics()
width, height, repeats = (int(word) for word in sys.argv[3:6])
parts = {{}}

def timed(name, call):
    started, worked = time.perf_counter(), time.thread_time()
    result = call()
    parts.setdefault(name, []).append(1e3 * (time.perf_counter() - started))
    parts.setdefault(name + ", processor", []).append(1e3 * (time.thread_time() - worked))
    return result

splats = timed("read", lambda: stored.read(path(sys.argv[2]), 10**6))
textures = timed("textures", lambda: drawing.SplatTextures([splats], [len(splats)]))
placed = [order.Placed(splats.means, 0, np.eye(4))]
entries = order.entries_of(placed)
layer = drawing.Layer(width, height)
target = gpu.types.GPUOffScreen(width, height, format="RGBA8")

def finished(call):
    call()
    gpu.state.active_framebuffer_get().read_color(0, 0, 1, 1, 4, 0, "FLOAT")  # waits for what was drawn

for number in range(repeats + 1):
    angle = 0.3 * number
    turn = np.eye(4)
    turn[:3, :3] = [[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]]
    turn[2, 3] = 4.0
    camera = things.ViewCamera(tuple(turn.ravel().tolist()), fx=width, fy=width, cx=width / 2, cy=height / 2,
                               width=width, height=height, near=0.1, far=100.0)
    if number == 1:  # the first frame makes the shaders
        for name in set(parts) - {{"read", "read, processor", "textures", "textures, processor"}}:
            del parts[name]
    seen = timed("order", lambda: order.seen_by(camera, placed, entries))
    timed("upload", lambda: (drawing.list_texture(seen.order, "RG32F"), drawing.list_texture(seen.rows, "RGBA32F")))
    with target.bind():
        gpu.state.active_framebuffer_get().clear(color=(0, 0, 0, 1), depth=1.0)
        surface = timed("depth", lambda: drawing.surface_depth(width, height))
        timed("draw", lambda: finished(lambda: layer.draw(textures, seen, camera, surface)))
        timed("lay over", lambda: finished(lambda: layer.lay_over(as_light=True)))
print("TOLD " + json.dumps({{"parts": parts, "blender": bpy.app.version_string, "gl": gpu.platform.renderer_get()}}))
sys.stdout.flush()
os._exit(0)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splats", type=int, nargs="+", default=[50_000, 130_000])
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--repeats", type=int, default=7, help="frames, each of another camera; the median counts")
    arguments = parser.parse_args()
    load_before = machine.load_average()
    version = max(blender.VERSIONS)
    python = blender.python_in(blender.ENVIRONMENTS / version)
    if not python.exists():
        sys.exit("No Blender is here as a Python module: python3 build.py test-blender makes it.")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        zip_file = extension_zips.build(Path(folder, "zips"))[-1]
        for count in arguments.splats:
            write_cloud(Path(folder, "splats.ply"), made_cloud(count))
            rows.append(measure(python, zip_file, Path(folder), count, arguments))
    claim = (
        f"ordering splats for a new camera takes at most {ORDER_MS:g} ms of processor time (medians); drawn in software"
    )
    record("local_display", claim, rows, device="cpu", settings=vars(arguments), load_before=load_before)


def made_cloud(count: int) -> SplatCloud:
    """A ball of small splats with harmonics of degree 3, as large as a trained object's."""
    random = np.random.default_rng(0)
    places = random.normal(size=(count, 3))
    places *= random.uniform(0.7, 1.0, (count, 1)) / np.linalg.norm(places, axis=1, keepdims=True)
    size = np.log(2 / np.sqrt(count))
    arrays = (
        places,
        random.normal(size=(count, 4)),
        random.normal(size, 0.5, size=(count, 3)),
        random.normal(0.5, 2.0, size=count),
        random.normal(scale=0.2, size=(count, 16, 3)),
    )
    return SplatCloud(*(array.astype(np.float32) for array in arrays))


def measure(
    python: Path, zip_file: Path, folder: Path, count: int, arguments: argparse.Namespace
) -> dict[str, str | int | float | bool]:
    home = folder / str(count)
    environment = {
        **os.environ,
        "PYTHONNOUSERSITE": "1",
        "BLENDER_USER_RESOURCES": str(home / "blender"),
        "SPLATWRIGHT_HOME": str(home / "splatwright"),  # there is no backend
    }
    sizes = (arguments.width, arguments.height, arguments.repeats)
    command = [str(part) for part in (python, "-c", MEASURE, zip_file, folder / "splats.ply", *sizes)]
    done = subprocess.run(command, env=environment, cwd=REPOSITORY.parent, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("TOLD ")]
    if not lines:
        sys.exit(f"Blender did not draw: {done.stdout}{done.stderr}")
    told = json.loads(lines[0].removeprefix("TOLD "))
    parts = {name: float(np.median(values)) for name, values in told["parts"].items()}
    each_frame = ("order", "upload", "depth", "draw", "lay over")
    return {
        "splats": count,
        "Blender": told["blender"],
        "OpenGL": told["gl"],
        "read once, beside Blender (ms)": parts["read"],
        "textures once (ms)": parts["textures"],
        "order, processor (ms)": parts["order, processor"],
        **{f"{name} (ms)": parts[name] for name in each_frame},
        "frame (ms)": sum(parts[name] for name in each_frame),
        "holds": parts["order, processor"] <= ORDER_MS,
    }


if __name__ == "__main__":
    main()
