"""`blender -b file.blend -a` in a real Blender: splats in every frame, and an error where they are missing."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.splats.io.formats import write_cloud
from blender_addon.core.missing_card import missing_card
from building import window as rigs
from building.process import PYTHON, ROOT
from tests.made_splats import sphere

from .blender_window import BlenderWindow
from .conftest import end_backend

WIDTH, HEIGHT = 160, 120
MAKE = """
import bpy
bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
bpy.ops.splatwright.import_splats(filepath={ply!r})
scene = bpy.context.scene
scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
scene.camera.location.z = 6
scene.collection.objects.link(scene.camera)
scene.render.engine, scene.cycles.samples = "CYCLES", 1
scene.render.resolution_x, scene.render.resolution_y = {size}
scene.render.filepath, scene.frame_end = {frames!r}, 2
bpy.ops.splatwright.setup_render()
bpy.ops.wm.save_as_mainfile(filepath={blend!r})
"""
CHECK = ["--python-exit-code", "4", "--python-expr", "import bpy; bpy.ops.splatwright.check_render()"]


class Batch:
    """A .blend with splats, and a Blender without a window for it."""

    def __init__(self, blender: BlenderWindow) -> None:
        self.blender, self.frames, self.blend = blender, blender.folder / "frames", blender.folder / "scene.blend"

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        command = self.blender.batch_command(["-b", *words])
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300
        )

    def pictures(self) -> list[np.ndarray]:
        """[H, W, 3] of each frame, which are taken away."""
        found = []
        for path in sorted(self.frames.glob("*.png")):
            found.append(np.asarray(Image.open(path).convert("RGB"), np.float32) / 255)
            path.unlink()
        return found


@pytest.fixture(scope="module")
def batch(zip_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batch]:
    folder = tmp_path_factory.mktemp("batch")
    blender = BlenderWindow(rigs.find(), zip_file, folder, folder)
    blender.install()
    made = Batch(blender)
    backend = serve(blender.home)
    try:
        write_cloud(folder / "ball.ply", sphere())
        script = folder / "make.py"
        frames = f"{made.frames}/"
        script.write_text(
            MAKE.format(ply=str(folder / "ball.ply"), size=(WIDTH, HEIGHT), frames=frames, blend=str(made.blend))
        )
        told = made.run("--python-exit-code", "5", "--python", script)
        assert made.blend.is_file(), told.stdout + told.stderr
        yield made
    finally:
        end_backend(blender.home)
        backend.wait(60)


def serve(home: Path) -> subprocess.Popen[bytes]:
    command = [PYTHON, "-m", "backend", "serve", "--workspace", home / "workspace", "--device", "cpu"]
    environment = {**os.environ, "SPLATWRIGHT_HOME": str(home)}
    process = subprocess.Popen([str(word) for word in command], cwd=ROOT, env=environment)
    deadline = time.monotonic() + 120
    while not (home / "backend.json").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    return process


def test_an_animation_has_its_splats_and_ends_well(batch: Batch) -> None:
    told = batch.run(batch.blend, *CHECK, "-a")
    assert told.returncode == 0, told.stdout + told.stderr
    one, other = batch.pictures()
    for picture in (one, other):
        assert picture.std() > 0.05 and np.abs(picture - missing_card(WIDTH, HEIGHT)[..., :3]).mean() > 0.2


def test_without_a_backend_the_check_ends_before_anything_is_rendered_and_a_render_fails(batch: Batch) -> None:
    end_backend(batch.blender.home)
    deadline = time.monotonic() + 60
    while (batch.blender.home / "backend.json").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    told = batch.run(batch.blend, *CHECK, "-a")
    assert told.returncode == 4 and not batch.pictures(), told.stdout + told.stderr
    told = batch.run(batch.blend, "-a")
    assert told.returncode == 3, told.stdout + told.stderr
    assert "Splats are missing" in told.stderr
    for picture in batch.pictures():
        assert np.abs(picture - missing_card(WIDTH, HEIGHT)[..., :3]).max() < 0.01
