"""A small scene with splats in it, and pictures of it as arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
from made_splats import write_ball

WIDTH, HEIGHT = 160, 120


def make(folder: Path) -> Any:
    """The ball at the origin, half a cube in front of it, half a plane through its haze, a camera. Returns the ball."""
    write_ball(folder / "ball.ply")
    bpy.ops.splatwright.import_splats(filepath=str(folder / "ball.ply"), frame="z_up")
    ball = bpy.context.view_layer.objects.active
    ball.rotation_euler = (0, 0, 0)  # as its file has it, and not stood up
    bpy.ops.mesh.primitive_cube_add(size=0.8, location=(0.9, -0.9, 0.3))
    bpy.ops.mesh.primitive_plane_add(size=4, location=(0, 0, -0.6))
    add_camera()
    scene: Any = bpy.context.scene
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.rotation_euler = (0.5, 0.3, 0.0)
    scene.collection.objects.link(sun)
    scene.world = bpy.data.worlds.new("World")
    render = scene.render
    render.engine, render.resolution_x, render.resolution_y, render.resolution_percentage = "CYCLES", WIDTH, HEIGHT, 100
    scene.cycles.samples, scene.cycles.use_denoising = 4, False
    scene.view_settings.view_transform = "Standard"
    bpy.context.view_layer.update()
    return ball


def add_camera() -> None:
    """The scene's, which looks down at the origin."""
    scene: Any = bpy.context.scene
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    camera.location, camera.rotation_euler = (7.36, -6.93, 4.96), (1.109, 0.0, 0.815)
    camera.data.lens = 70
    scene.camera = camera
    bpy.context.view_layer.update()


def rendered(path: Path) -> np.ndarray:
    """F12's picture as it is written, [H, W, 4] sRGB 0..1, not premultiplied."""
    scene: Any = bpy.context.scene
    settings = scene.render.image_settings
    settings.file_format, settings.color_depth, settings.color_mode = "PNG", "16", "RGBA"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    return read(path)


def read(path: Path) -> np.ndarray:
    """A PNG's own values, [H, W, 4] 0..1."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name, image.alpha_mode = "Non-Color", "CHANNEL_PACKED"
    values = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(values)
    values = values.reshape(image.size[1], image.size[0], 4)[::-1]
    bpy.data.images.remove(image)
    return values


def write(path: Path, picture: np.ndarray) -> None:
    """picture: [H, W, 4] uint8, written as it is."""
    height, width = picture.shape[:2]
    image = bpy.data.images.new("written", width, height, alpha=True, is_data=True)
    image.alpha_mode = "CHANNEL_PACKED"
    image.pixels.foreach_set((picture[::-1].astype(np.float32) / 255).ravel())
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


def decibels(one: np.ndarray, other: np.ndarray) -> float:
    """PSNR of values 0..1."""
    return float(-10 * np.log10(np.mean((one.astype(np.float64) - other) ** 2) + 1e-12))
