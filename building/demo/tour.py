"""Runs inside Blender: installs the built zip and goes through the extension's operators as an artist would.

Says what it made, and how long each step took, in tour.json; `figures.py` measures and draws strips from that.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import math
import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import bpy
from mathutils import Vector

sys.path.insert(0, str(Path(__file__).resolve().parent))
import creature

NAME = "bl_ext.user_default.splatwright"
SIDE = 320  # pixels of every picture
PHOTO_SIDE = 640  # pixels of the longer side, where pictures have the shape of photos
LENS = 50.0  # millimetres on a sensor of 36
CENTRE, DISTANCE = Vector((0.0, 0.0, 0.82)), 4.4  # metres
CAPTURE = {"count": 44, "samples": 12, "lowest": math.radians(-6), "highest": math.radians(80)}
TRAINING = {"steps": 1400, "max_splats": 40_000}
LOOKS = ((-70, 12), (-20, 30), (40, 8), (110, 25), (170, 15), (235, 40))  # degrees: cameras that no training saw
POSES = (0.25, 0.5, 0.75, 1.0)  # how far the creature waves
TURNS = 8  # pictures of the turntable


class Tour:
    """What was made so far, and when."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pictures = folder / "pictures"
        self.pictures.mkdir(parents=True, exist_ok=True)
        self.made: dict[str, Any] = {"blender": bpy.app.version_string, "seconds": {}}

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        print(f"-- {name}", flush=True)
        begun = time.monotonic()
        yield
        self.made["seconds"][name] = round(time.monotonic() - begun, 1)

    def picture(self, name: str) -> str:
        return str(self.pictures / f"{name}.png")

    def write(self) -> None:
        (self.folder / "tour.json").write_text(json.dumps(self.made, indent=1), encoding="utf-8")


# ---- steps


def install(path: Path) -> None:
    bpy.ops.extensions.package_install_files(filepath=str(path), repo="user_default", enable_on_install=True)
    if NAME not in bpy.context.preferences.addons:
        raise RuntimeError(f"Blender did not install {path}")


def room(name: str) -> Any:
    """A module of the installed extension."""
    return importlib.import_module(f"{NAME}.{name}")


def choose(*chosen: bpy.types.Object) -> None:
    for item in bpy.context.view_layer.objects:
        item.select_set(item in chosen)
    bpy.context.view_layer.objects.active = chosen[0]


def only_render(*shown: bpy.types.Object) -> None:
    """Of all meshes these alone are in the next pictures. A light stays."""
    for item in bpy.context.scene.objects:
        if item.type == "MESH":
            item.hide_render = item not in shown


def set_look(scene: bpy.types.Scene) -> None:
    render: Any = scene.render
    render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 24, True
    render.film_transparent, render.use_persistent_data = True, True
    render.resolution_x = render.resolution_y = SIDE
    render.resolution_percentage = 100
    render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGBA"
    scene.view_settings.view_transform = "Standard"


def camera_at(name: str, turn: float, rise: float, centre: Vector = CENTRE, distance: float = DISTANCE) -> Any:
    """A camera that looks at the middle. turn, rise: degrees."""
    data = bpy.data.cameras.new(name)
    data.lens = LENS
    camera = bpy.data.objects.new(name, data)
    a, e = math.radians(turn), math.radians(rise)
    camera.location = centre + distance * Vector((math.cos(a) * math.cos(e), math.sin(a) * math.cos(e), math.sin(e)))
    camera.rotation_euler = (centre - camera.location).to_track_quat("-Z", "Y").to_euler()
    bpy.context.scene.collection.objects.link(camera)
    return camera


def photograph(camera: bpy.types.Object, path: str) -> None:
    """F12, as it stands."""
    scene = bpy.context.scene
    scene.camera, scene.render.filepath = camera, path
    bpy.ops.render.render(write_still=True)


def draw_overlay(camera: bpy.types.Object, path: str) -> None:
    """The viewport as this camera sees it, with the splats' picture laid over by depth as in a window."""
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    area.spaces.active.overlay.show_overlays = False
    seen = room("host.offscreen").draw_camera(camera, SIDE, SIDE)  # [H, W, 4] uint8
    image = bpy.data.images.new("Overlay", SIDE, SIDE)
    image.pixels.foreach_set((seen[::-1] / 255.0).astype("float32").ravel())
    image.filepath_raw, image.file_format = path, "PNG"
    image.save()
    bpy.data.images.remove(image)


def add_pillar(name: str, camera: bpy.types.Object, away: float, aside: float) -> Any:
    """A dark box, so many metres before (or behind, when negative) the middle as the camera sees it."""
    bpy.ops.mesh.primitive_cube_add(size=1)
    pillar: Any = bpy.context.active_object
    pillar.name = name
    forward = (CENTRE - camera.location).normalized()
    side = forward.cross(Vector((0, 0, 1))).normalized()
    pillar.location = CENTRE - forward * away + side * aside
    pillar.location.z = 0.9
    pillar.dimensions = (0.14, 0.14, 2.0)
    return pillar


# ---- tours


def tour_of_creature(tour: Tour) -> None:
    """From an empty file to a posed, rendered creature of splats."""
    with tour.step("building the scene"):
        body, rig, plinth = creature.build()
        set_look(bpy.context.scene)
    looks = [camera_at(f"Look {i}", *look) for i, look in enumerate(LOOKS)]
    splats = train_creature(tour, body, plinth, looks)
    with tour.step("drawing the viewport"):
        draw_between_pillars(looks[0], (body, plinth), tour.picture("overlay"))
    extract_mesh(tour, splats, looks[0])
    pose_creature(tour, body, rig, plinth, splats, looks[0])
    with tour.step("turning the table"):
        for i in range(TURNS):
            photograph(camera_at(f"Turn {i}", -70 + 360 * i / TURNS, 15), tour.picture(f"turn_{i}"))
    finish(tour, splats)


def train_creature(tour: Tour, body: Any, plinth: Any, looks: Sequence[Any]) -> Any:
    """Captures the scene, trains it, and renders both from cameras that no training saw. Returns the splat object."""
    scene: Any = bpy.context.scene
    with tour.step("capturing"):
        chosen = scene.splatwright.capture
        chosen.engine, chosen.width, chosen.height, chosen.lens = "CYCLES", SIDE, SIDE, LENS
        for name, value in CAPTURE.items():
            setattr(chosen, name, value)
        choose(body, plinth)
        bpy.ops.splatwright.capture_scene(folder=str(tour.folder / "capture"), existing="REPLACE")
    with tour.step("rendering what no training sees"):
        for i, look in enumerate(looks):
            photograph(look, tour.picture(f"look_{i}_truth"))
    splats = train(tour, name="Creature", **TRAINING)
    with tour.step("rendering splats"):
        bpy.ops.splatwright.setup_render()
        only_render(splats)
        for i, look in enumerate(looks):
            photograph(look, tour.picture(f"look_{i}_splats"))
    return splats


def draw_between_pillars(look: Any, hidden: Sequence[Any], path: str) -> None:
    """The overlay with one mesh in front of the splats and one behind."""
    pillars = [add_pillar("In Front", look, 0.9, -0.42), add_pillar("Behind", look, -0.9, 0.42)]
    for item in hidden:
        item.hide_set(True)
    draw_overlay(look, path)
    for item in hidden:
        item.hide_set(False)
    for pillar in pillars:
        bpy.data.objects.remove(pillar)


def pose_creature(tour: Tour, body: Any, rig: Any, plinth: Any, splats: Any, look: Any) -> None:
    """Binds the splats to the mesh on the armature, and renders both in a few poses."""
    scene: Any = bpy.context.scene
    trained = splats.splatwright.version
    with tour.step("binding to the mesh on the armature"):
        choose(splats)
        bpy.ops.splatwright.run_method(method="bind", mesh=body.name)
        bound = splats.splatwright.version
        if bound == trained:
            raise RuntimeError("the splats were not bound")
    with tour.step("posing"):
        scene.frame_start, scene.frame_end = 0, 10 * len(POSES)
        for i, amount in enumerate((0.0, *POSES)):
            creature.pose(rig, amount)
            creature.key(rig, 10 * i)
        for i in range(len(POSES)):
            scene.frame_set(10 * (i + 1))
            only_render(body, plinth)
            photograph(look, tour.picture(f"pose_{i}_truth"))
            only_render(splats)
            photograph(look, tour.picture(f"pose_{i}_bound"))
        splats.splatwright.version = trained
        photograph(look, tour.picture("unbound"))
        splats.splatwright.version = bound


def tour_of_photos(tour: Tour, capture: Path) -> None:
    """Photos that somebody took: trained, looked at through their cameras, meshed."""
    bpy.ops.wm.read_homefile(use_empty=True)
    scene: Any = bpy.context.scene
    set_look(scene)
    creature.light(scene)  # for the mesh; splats have their own
    splats = train(tour, capture=str(capture), name=capture.name)
    with tour.step("importing the capture's cameras"):
        scene.splatwright.capture_kind, scene.splatwright.capture_path = "FOLDER", str(capture)
        bpy.ops.splatwright.import_capture_cameras()
        largest = max(scene.render.resolution_x, scene.render.resolution_y)  # now those of the photos
        scene.render.resolution_percentage = min(100, round(100 * PHOTO_SIDE / largest))
        photographers = [item for item in scene.objects if item.type == "CAMERA"]
    with tour.step("rendering splats"):
        bpy.ops.splatwright.setup_render()
        spread = [photographers[i * len(photographers) // TURNS] for i in range(min(TURNS, len(photographers)))]
        for i, camera in enumerate(spread):
            photograph(camera, tour.picture(f"turn_{i}"))
    extract_mesh(tour, splats, spread[0])
    finish(tour, splats)


def train(tour: Tour, **options: Any) -> Any:
    """Trains and waits. Returns the splat object."""
    with tour.step("training"):
        bpy.ops.splatwright.start_training(wait=True, **options)
        splats: Any = bpy.context.active_object
        if splats is None or not splats.splatwright.version:
            raise RuntimeError("the training did not end well")
        job = next(reversed(room("host.current").session().jobs.values())).state
        tour.made["training"] = {"status": job.status, "steps": job.step, **job.figures}
    return splats


def extract_mesh(tour: Tour, splats: Any, look: Any) -> None:
    scene: Any = bpy.context.scene
    with tour.step("extracting a mesh"):
        before = set(scene.objects)
        choose(splats)
        bpy.ops.splatwright.run_method(method="tsdf")
        (extracted,) = (item for item in scene.objects if item not in before and item.type == "MESH")
        only_render(extracted)
        photograph(look, tour.picture("mesh"))
        only_render(splats)
        extracted.hide_set(True)
        tour.made["mesh"] = {"vertices": len(extracted.data.vertices), "faces": len(extracted.data.polygons)}


def finish(tour: Tour, splats: Any) -> None:
    with tour.step("saving"):
        choose(splats)
        bpy.ops.splatwright.export_splats(filepath=str(tour.folder / "splats.ply"), as_placed=False)  # as the capture
        bpy.ops.wm.save_as_mainfile(filepath=str(tour.folder / "scene.blend"))


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zip", type=Path, required=True)
    parser.add_argument("--command", required=True, help="the program `splatwright`")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--capture", type=Path)
    given = parser.parse_args(arguments)
    tour = Tour(given.folder)
    with tour.step("installing the extension"):
        install(given.zip)
    with tour.step("starting the backend"):
        workspace = str(given.folder / "workspace")
        bpy.ops.splatwright.backend_start(command=given.command, workspace=workspace)
    try:
        if given.capture is None:
            tour_of_creature(tour)
        else:
            tour_of_photos(tour, given.capture)
    finally:
        bpy.ops.splatwright.backend_stop()
    tour.write()


if __name__ == "__main__":
    try:
        main(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:])
    except BaseException:  # noqa: BLE001  whatever it is, the process must end
        traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)  # Blender 4.5 as a module can hang when it ends
