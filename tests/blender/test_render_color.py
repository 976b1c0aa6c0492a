"""A chart of splats in known colours: it keeps them under every view, or goes through the view as light does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import flat_splats
import numpy as np
import pytest
import splat_scene
from delta_e import delta_e, delta_e_of_lab

Room = Callable[[str], ModuleType]
KNOWS_LOOKS = bpy.app.version >= (5, 0)
# The 24 patches of a colour checker, sRGB.
CHART = (
    np.array(
        [
            *[(115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170)],
            *[(214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46)],
            *[(56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149), (8, 133, 161)],
            *[(243, 243, 242), (200, 200, 200), (160, 160, 160), (122, 122, 121), (85, 85, 85), (52, 52, 52)],
        ]
    )
    / 255
)
COLUMNS, ROWS = 6, 4
CELL = 20  # pixels of a patch


def places() -> np.ndarray:
    """[24, 2]: the patches' middles, in cells from the chart's middle, y upward."""
    row, column = np.divmod(np.arange(len(CHART)), COLUMNS)
    return np.stack([column - (COLUMNS - 1) / 2, (ROWS - 1) / 2 - row], 1)


@pytest.fixture
def scene(connected: ModuleType, tmp_path: Path) -> Any:
    """The chart before a light grey wall, seen from straight above by an orthographic camera: a cell is a unit."""
    scene: Any = bpy.context.scene
    means = np.zeros((3 * len(CHART), 3), np.float32)
    means[:, :2] = np.tile(places(), (3, 1))
    means[:, 2] = np.repeat([0.0, 0.01, 0.02], len(CHART))  # three in a row let nothing through
    flat_splats.write(tmp_path / "chart.ply", means, np.tile(CHART, (3, 1)), 0.998, 0.16)
    bpy.ops.splatwright.import_splats(filepath=str(tmp_path / "chart.ply"))
    bpy.context.view_layer.objects.active.matrix_world.identity()
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location.z, camera.data.type, camera.data.ortho_scale = 5, "ORTHO", COLUMNS
    scene.collection.objects.link(camera)
    scene.camera = camera
    bpy.ops.mesh.primitive_plane_add(size=20, location=(0, 0, -1))
    glow(bpy.context.view_layer.objects.active, (0.9, 0.8, 0.7))
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 1, False
    scene.render.resolution_x, scene.render.resolution_y = COLUMNS * CELL, ROWS * CELL
    scene.render.resolution_percentage = 100
    bpy.context.view_layer.update()
    return scene


def glow(item: Any, linear: tuple[float, ...]) -> None:
    material = bpy.data.materials.new("glow")
    material.use_nodes = True
    tree: Any = material.node_tree
    tree.nodes.clear()
    emission, output = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
    emission.inputs["Color"].default_value = (*linear, 1)
    tree.links.new(emission.outputs[0], output.inputs["Surface"])
    item.data.materials.append(material)


def patches(picture: np.ndarray) -> np.ndarray:
    """[24, 3]: the pixels in the patches' middles."""
    middles = ((places() * [1, -1] + [COLUMNS / 2, ROWS / 2]) * CELL).astype(int)
    return np.array([picture[y - 1 : y + 1, x - 1 : x + 1, :3].mean((0, 1)) for x, y in middles])


def test_the_formula_gives_the_published_values() -> None:
    """Pairs 1, 9, 17 and 25 of Sharma's table."""
    one = np.array([[50, 2.6772, -79.7751], [50, 0, 0], [50, 2.5, 0], [60.2574, -34.0099, 36.2677]])
    other = np.array([[50, 0, -82.7485], [50, -1, 2], [73, 25, -18], [60.4626, -34.1751, 39.4387]])
    assert np.allclose(delta_e_of_lab(one, other), [2.0425, 2.3669, 27.1492, 1.2644], atol=1e-4)


VIEWS = [
    ("Standard", "None", 0.0, 1.0),
    ("AgX", "None", 0.0, 1.0),
    ("Filmic", "None", 0.0, 1.0),
    ("AgX", "None", 1.2, 1.3),
]
if KNOWS_LOOKS:
    VIEWS += [("AgX", "AgX - High Contrast", 0.4, 0.9), ("Filmic", "Very High Contrast", 0.0, 1.0)]


@pytest.mark.parametrize(("view", "look", "exposure", "gamma"), VIEWS)
def test_the_chart_keeps_its_colours_and_the_scene_its_view(
    scene: Any, tmp_path: Path, view: str, look: str, exposure: float, gamma: float
) -> None:
    settings = scene.view_settings
    settings.view_transform = view
    settings.look, settings.exposure, settings.gamma = look, exposure, gamma
    plain = splat_scene.rendered(tmp_path / "plain.png")
    bpy.ops.splatwright.setup_render()
    picture = splat_scene.rendered(tmp_path / "chart.png")
    difference = delta_e(patches(picture), CHART)
    print(f"{view}, {look}, {exposure}, {gamma}: worst {difference.max():.3f}, mean {difference.mean():.3f}")
    assert difference.max() < 2
    corner = (slice(0, 2), slice(0, 2))  # out of the patches' reach
    assert np.abs(picture[corner] - plain[corner]).max() < 1e-3
    assert delta_e(plain[corner][..., :3], CHART[18]).min() > 2, "the wall would pass for a patch"


@pytest.mark.parametrize("view", ["Standard", "AgX"])
def test_as_light_the_chart_looks_as_a_glowing_mesh_does(scene: Any, tmp_path: Path, view: str) -> None:
    scene.view_settings.view_transform, scene.view_settings.exposure = view, 0.5
    scene.splatwright.render.color = "VIEW"
    bpy.ops.splatwright.setup_render()
    splats = patches(splat_scene.rendered(tmp_path / "splats.png"))
    bpy.ops.splatwright.remove_render_setup()
    linear = np.where(CHART <= 0.04045, CHART / 12.92, ((CHART + 0.055) / 1.055) ** 2.4)
    for (x, y), color in zip(places(), linear, strict=True):
        bpy.ops.mesh.primitive_plane_add(size=0.9, location=(x, y, 1))
        glow(bpy.context.view_layer.objects.active, tuple(color))
    meshes = patches(splat_scene.rendered(tmp_path / "meshes.png"))
    difference = delta_e(splats, meshes)
    assert difference.max() < 1
    assert delta_e(splats, CHART).max() > 5, "the view changes nothing, so that this shows nothing"
