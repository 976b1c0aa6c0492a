"""What a viewport shows, compared with pictures that were looked at."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np
import splat_scene

FOLDER = Path(__file__).resolve().parents[1] / "golden"
WRITES = "SPLATWRIGHT_WRITE_GOLDENS"  # a folder: what is drawn now is written there, for a commit that shows both
Draw = Callable[[], np.ndarray]


def viewport(room: Callable[[str], ModuleType], width: int, height: int) -> Draw:
    """What a viewport in flat colours shows through the scene's camera, [H, W, 4] 0..1."""
    space = next(a for a in bpy.context.window.screen.areas if a.type == "VIEW_3D").spaces.active
    space.overlay.show_overlays = False
    space.shading.type, space.shading.light, space.shading.color_type = "SOLID", "FLAT", "SINGLE"
    space.shading.single_color = (0.2, 0.5, 0.2)
    space.shading.background_type, space.shading.background_color = "VIEWPORT", (0.05, 0.05, 0.05)
    offscreen = room("host.offscreen")
    return lambda: offscreen.draw_camera(bpy.context.scene.camera, width, height) / 255


def compare(picture: np.ndarray, name: str) -> None:
    folder = os.environ.get(WRITES)
    if folder:
        splat_scene.write(Path(folder, name), (picture * 255).round().astype(np.uint8))
    golden = splat_scene.read(FOLDER / name)
    assert np.abs(picture - golden).mean() <= 1 / 255
    assert splat_scene.decibels(picture, golden) >= 40
