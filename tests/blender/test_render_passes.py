"""The float EXR beside each picture: scene, splats and depth as light, before any view transform."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import exr_layers
import numpy as np
import pytest
import splat_scene

Room = Callable[[str], ModuleType]


@pytest.fixture
def ball(connected: ModuleType, tmp_path: Path) -> Any:
    return splat_scene.make(tmp_path)


def light_of(srgb: np.ndarray) -> np.ndarray:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0) + 0.055) / 1.055) ** 2.4)


def layer(channels: dict[str, np.ndarray], name: str) -> np.ndarray:
    """[H, W, 4]."""
    return np.stack([channels[f"{name}.{letter}"] for letter in "RGBA"], -1)


@pytest.mark.parametrize("color", ["MATCH", "VIEW"])
def test_the_passes_are_light_and_laid_over_each_other_give_the_picture(
    ball: Any, connected: ModuleType, room: Room, tmp_path: Path, color: str
) -> None:
    scene: Any = bpy.context.scene
    scene.view_settings.view_transform, scene.view_settings.exposure = "AgX", 1.0
    scene.splatwright.render.color, scene.splatwright.render.write_passes = color, True
    scene.render.filepath = str(tmp_path / "shot.png")
    bpy.ops.splatwright.setup_render()
    tree = scene.compositing_node_group if hasattr(scene, "compositing_node_group") else scene.node_tree
    writer = next(node for node in tree.nodes if node.label == "Splat Passes")
    writer.format.exr_codec = "NONE"
    scene.frame_set(7)
    splat_scene.rendered(tmp_path / "picture.png")
    (path,) = tmp_path.glob("*.exr")
    assert path.name == "shot_splats_0007.exr"
    channels = exr_layers.read(path)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    surface = room("host.meshes").surface_of_scene(depsgraph)
    messages = room("protocol").messages
    request = messages.Render(
        objects=room("host.objects").scene_objects(depsgraph, for_render=False),
        camera=room("host.cameras").view_camera_of_scene(scene, scene.camera, depsgraph),
        pixels="float32",
        surface_vertices=surface.vertices,
        surface_faces=surface.faces,
    )
    expected = connected.link().request(request, messages.Picture, 60)
    alpha = expected.color[..., 3:]
    light = light_of(expected.color[..., :3] / np.maximum(alpha, 1e-6)) * alpha
    splats = layer(channels, "Splats")
    assert np.abs(splats[..., 3:] - alpha).max() < 1e-5
    assert np.abs(splats[..., :3] - light).max() < 1e-4 and light.max() > 0.3
    depth = next(values for name, values in channels.items() if name in {f"Splats Depth.{letter}" for letter in "RVZ"})
    seen = alpha[..., 0] > 0
    assert np.abs(depth[seen] / expected.depth[seen] - 1).max() < 1e-5 and (depth[~seen] > 9e9).all()
    bpy.ops.splatwright.remove_render_setup()
    scene.view_settings.view_transform, scene.view_settings.exposure = "Standard", 0.0
    plain = splat_scene.rendered(tmp_path / "plain.png")
    image = layer(channels, "Image")
    bright = (plain[..., :3] < 0.99).all(-1)
    assert np.abs(image[..., :3] - light_of(plain[..., :3]))[bright].max() < 1e-3, "the scene before splats and view"


@pytest.mark.parametrize(
    ("picture", "beside"),
    [
        ("//out/", "//out/splats_####"),
        ("/a/shot_", "/a/shot_splats_####"),
        ("/a/still.png", "/a/still_splats_####"),
        ("", "splats_####"),
    ],
)
def test_the_file_lies_beside_the_picture(room: Room, picture: str, beside: str) -> None:
    assert room("host.render_passes").path_beside(picture) == beside
