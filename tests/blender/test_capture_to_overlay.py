"""A scene of Blender's is captured, trained and drawn in the viewport, and looks as it did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import golden
import pytest
import splat_scene

SIZE = 160


def glowing(name: str, size: float, place: tuple[float, float, float], color: tuple[float, float, float]) -> Any:
    """A cube that looks the same under every light, so that few samples are enough."""
    bpy.ops.mesh.primitive_cube_add(size=size, location=place, rotation=(0.0, 0.0, 0.4))
    cube: Any = bpy.context.object
    cube.name = name
    material: Any = bpy.data.materials.new(name)
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    emission = nodes.new("ShaderNodeEmission")
    emission.inputs["Color"].default_value = (*color, 1.0)
    output = next(node for node in nodes if node.type == "OUTPUT_MATERIAL")
    links.new(emission.outputs["Emission"], output.inputs["Surface"])
    cube.data.materials.append(material)
    return cube


@pytest.fixture
def tower(connected: ModuleType) -> list[Any]:
    """Three cubes on each other, a camera that looks at them."""
    scene: Any = bpy.context.scene
    colors = ((0.7, 0.1, 0.1), (0.1, 0.5, 0.1), (0.1, 0.2, 0.8))
    cubes = [glowing(f"Cube {i}", 1.6 - 0.4 * i, (0.15 * i, 0.0, 1.0 * i), colors[i]) for i in range(3)]
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    camera.location, camera.rotation_euler = (7.36, -6.93, 4.96), (1.14, 0.0, 0.815)
    camera.data.lens = 70
    scene.camera, scene.view_settings.view_transform = camera, "Standard"
    render = scene.render
    render.engine, render.film_transparent, scene.cycles.samples = "CYCLES", True, 16
    render.resolution_x = render.resolution_y = SIZE
    return cubes


@pytest.mark.slow
def test_what_was_captured_and_trained_is_drawn_between_meshes(
    tower: list[Any], room: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    scene: Any = bpy.context.scene
    for cube in tower:
        cube.select_set(True)
    chosen = scene.splatwright.capture
    chosen.count, chosen.width, chosen.height, chosen.samples, chosen.denoise = 16, 96, 96, 16, False
    chosen.points = 3000
    assert bpy.ops.splatwright.capture_scene(folder=str(tmp_path / "tower")) == {"FINISHED"}
    options = {"quality": "draft", "steps": 300, "max_splats": 3000, "wait": True}
    assert bpy.ops.splatwright.start_training(capture=str(tmp_path / "tower"), **options) == {"FINISHED"}
    splats = bpy.context.view_layer.objects.active
    assert splats.splatwright.version

    drawn = golden.viewport(room, SIZE, SIZE)
    truth = splat_scene.rendered(tmp_path / "truth.png")
    for cube in tower:
        cube.hide_set(True)
    inside = truth[..., 3] > 0.99
    assert splat_scene.decibels(drawn()[inside][:, :3], truth[inside][:, :3]) > 25
    bpy.ops.mesh.primitive_cube_add(size=0.5, location=(0.9, -1.0, 1.4))
    bpy.ops.mesh.primitive_plane_add(size=6, location=(0.0, 0.0, -0.9))
    golden.compare(drawn(), "overlay_trained.png")
