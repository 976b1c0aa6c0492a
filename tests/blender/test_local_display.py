"""Splats that Blender draws itself, against the backend's pictures of the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import bpy
import golden
import numpy as np
import pytest
import splat_scene
from made_splats import write_shining

WIDTH, HEIGHT = 320, 240
ALIKE = 35  # dB that the two pictures must reach where there are splats
Room = Callable[[str], ModuleType]
Draw = Callable[..., np.ndarray]


@pytest.fixture
def scene(connected: ModuleType, tmp_path: Path) -> Iterator[Path]:
    """A ball, shining splats that are turned and scaled unevenly, and their mirrored twin; a plane and a cube between.

    It is saved, so that the copies lie beside it. Returns where.
    """
    ball = splat_scene.make(tmp_path)
    write_shining(tmp_path / "shining.ply")
    bpy.ops.splatwright.import_splats(filepath=str(tmp_path / "shining.ply"))
    shining = bpy.context.view_layer.objects.active
    shining.location, shining.rotation_euler, shining.scale = (0.7, 0.4, 0.2), (0.3, 0.8, 0.4), (1.2, 0.5, 0.8)
    twin = shining.copy()
    twin.location, twin.scale = (-1.0, 0.9, 0.6), (-0.5, 0.5, 0.9)
    bpy.context.collection.objects.link(twin)
    ball.scale = (0.9, 0.9, 0.9)
    bpy.context.view_layer.update()
    path = tmp_path / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    assert all(Path(bpy.path.abspath(item.splatwright.file)).is_file() for item in (ball, shining, twin))
    yield path


@pytest.fixture
def drawn(room: Room) -> Draw:
    """drawn(by_blender=...) is the viewport's picture, [H, W, 4] 0..1."""
    golden.viewport(room, WIDTH, HEIGHT)
    offscreen = room("host.offscreen")
    return lambda **how: offscreen.draw_camera(bpy.context.scene.camera, WIDTH, HEIGHT, **how) / 255


def hide_splats(hidden: bool) -> None:
    for item in bpy.data.objects:
        if item.splatwright.asset:
            item.hide_set(hidden)


def compare(drawn: Draw) -> None:
    """Both pictures, where either of them shows splats."""
    hide_splats(True)
    without = drawn(by_blender=True)
    hide_splats(False)
    of_backend, of_blender = drawn(), drawn(by_blender=True)
    seen = np.maximum(np.abs(of_backend - without), np.abs(of_blender - without)).max(-1) > 1 / 255
    assert 0.05 < seen.mean() < 0.9
    assert splat_scene.decibels(of_blender[seen], of_backend[seen]) >= ALIKE


def test_in_perspective(scene: Path, drawn: Draw) -> None:
    compare(drawn)


def test_with_parallel_rays(scene: Path, drawn: Draw) -> None:
    camera = bpy.context.scene.camera.data
    camera.type, camera.ortho_scale = "ORTHO", 5.0
    compare(drawn)
