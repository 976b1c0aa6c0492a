"""What has no mesh hides splats, too: by the depth rendered before the picture, or by the Z pass and slices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import numpy as np
import pytest
import splat_scene
from test_final_render import premultiplied

Room = Callable[[str], ModuleType]
ENGINES = ["CYCLES", "BLENDER_EEVEE" if bpy.app.version >= (5, 0) else "BLENDER_EEVEE_NEXT"]


@pytest.fixture
def ball(connected: ModuleType, tmp_path: Path) -> Any:
    ball = splat_scene.make(tmp_path)
    scene: Any = bpy.context.scene
    scene.render.film_transparent, scene.cycles.samples = True, 64
    return ball


@pytest.fixture
def strands(ball: Any) -> Any:
    """Thick hair: some before the ball, some through its middle. There is no mesh beside it."""
    for item in [item for item in bpy.context.scene.objects if item.type == "MESH" and item != ball]:
        bpy.data.objects.remove(item)
    hair: Any = bpy.data.hair_curves.new("Hair")
    hair.add_curves([2] * 7)
    camera = bpy.context.scene.camera
    right, up, back = (camera.matrix_world.to_3x3().col[axis] for axis in range(3))
    ends = []
    for number in range(7):
        middle = right * (0.35 * (number - 3)) + back * (1.6 if number % 2 else 0.0)
        ends += [middle - up * 1.5, middle + up * 1.5]
    hair.points.foreach_set("position", np.array(ends, np.float32).ravel())
    radius = hair.attributes.new("radius", "FLOAT", "POINT")
    radius.data.foreach_set("value", np.full(14, 0.06, np.float32))
    item = bpy.data.objects.new("Hair", hair)
    bpy.context.scene.collection.objects.link(item)
    bpy.context.view_layer.update()
    return item


def rendered_by_us(path: Path, **options: Any) -> np.ndarray:
    settings: Any = bpy.context.scene.render.image_settings
    settings.file_format, settings.color_depth, settings.color_mode = "PNG", "16", "RGBA"
    bpy.context.scene.render.filepath = str(path)
    assert bpy.ops.splatwright.render(write_still=True, **options) == {"FINISHED"}
    return premultiplied(splat_scene.read(path))


def settings_now() -> list[Any]:
    scene: Any = bpy.context.scene
    render, layer = scene.render, scene.view_layers[0]
    return [
        *(render.filepath, render.resolution_x, render.resolution_percentage, render.use_border, render.filter_size),
        *(scene.cycles.samples, scene.cycles.filter_width, scene.cycles.max_bounces, layer.use_pass_z),
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_depth_of_meshes_is_what_meshes_themselves_say(ball: Any, room: Room, tmp_path: Path, engine: str) -> None:
    scene: Any = bpy.context.scene
    scene.render.engine, scene.eevee.taa_render_samples = engine, 4
    scene.render.resolution_x, scene.render.resolution_percentage = 321, 50
    by_meshes = rendered_by_us(tmp_path / "meshes.png", depth_first="NEVER")
    before = settings_now()
    by_depth = rendered_by_us(tmp_path / "depth.png", depth_first="ALWAYS")
    assert settings_now()[1:] == before[1:] and not room("host.depth_pass").is_rendering()
    assert splat_scene.decibels(by_depth, by_meshes) > 45
    for item in scene.objects:
        item.hide_render |= item.type == "MESH" and item != ball
    assert splat_scene.decibels(rendered_by_us(tmp_path / "free.png"), by_meshes) < 30
    assert room("host.depth_pass").of_frame(scene.frame_current) is None, "nothing is left of it"


def test_our_operator_lets_hair_hide_splats(ball: Any, strands: Any, room: Room, tmp_path: Path) -> None:
    assert room("host.not_meshes").found_in(bpy.context.scene) == ("hair",)
    ball.hide_render = True
    hair = premultiplied(splat_scene.rendered(tmp_path / "hair.png"))
    ball.hide_render = False
    through = rendered_by_us(tmp_path / "through.png", depth_first="NEVER")
    exact = rendered_by_us(tmp_path / "exact.png")
    strands.hide_render = True
    without = rendered_by_us(tmp_path / "without.png")
    covered, free = hair[..., 3] > 0.999, hair[..., 3] < 0.001
    before = covered & (np.abs(exact - hair).max(-1) < 2e-3)  # no splat before the hair
    assert before.mean() > 0.02 and (covered & ~before).mean() > 0.01, "some hair is before the ball and some in it"
    assert (without[before][..., 3] > 0.5).any(), "there are splats behind that hair"
    assert np.abs(exact - without)[free].max() < 2e-3
    assert np.abs(through - hair)[before].max() > 0.3


def test_the_slices_let_hair_hide_splats_in_f12(ball: Any, strands: Any, room: Room, tmp_path: Path) -> None:
    exact = rendered_by_us(tmp_path / "exact.png")
    through = rendered_by_us(tmp_path / "through.png", depth_first="NEVER")
    scene: Any = bpy.context.scene
    scene.splatwright.render.depth = "Z_PASS"
    sliced = premultiplied(splat_scene.rendered(tmp_path / "sliced.png"))
    quality, before = splat_scene.decibels(sliced, exact), splat_scene.decibels(through, exact)
    print(f"slices {quality:.1f} dB, meshes alone {before:.1f} dB, against the depth rendered first")
    assert quality > 30 and quality > before + 8
    again = rendered_by_us(tmp_path / "exact again.png")
    assert splat_scene.decibels(again, exact) > 60, "our button is exact whatever the nodes look at"
    strands.hide_render = True
    exact = rendered_by_us(tmp_path / "free.png", depth_first="NEVER")
    scene.splatwright.render.depth = "MESHES"
    assert splat_scene.decibels(rendered_by_us(tmp_path / "again.png"), exact) > 60, "without a surface nothing is cut"


def test_an_animation_has_every_frames_own_depth(ball: Any, strands: Any, room: Room, tmp_path: Path) -> None:
    scene: Any = bpy.context.scene
    scene.cycles.samples = 4
    strands.keyframe_insert("location", frame=2)
    strands.location = (0.4, 0.4, 0.0)
    strands.keyframe_insert("location", frame=4)
    scene.frame_start, scene.frame_end, scene.frame_step = 2, 5, 2
    settings: Any = scene.render.image_settings
    settings.file_format, settings.color_depth, settings.color_mode = "PNG", "16", "RGBA"
    scene.render.filepath = str(tmp_path / "frame")
    assert bpy.ops.splatwright.render(animation=True) == {"FINISHED"}
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["frame0002.png", "frame0004.png"]
    for frame, name in ((2, "frame0002.png"), (4, "frame0004.png")):
        scene.frame_set(frame)
        still = rendered_by_us(tmp_path / "still.png")
        moved = premultiplied(splat_scene.read(tmp_path / name))
        assert splat_scene.decibels(moved, still) > 45


def test_a_surface_hides_splats_where_its_material_displaces_it_to(ball: Any, room: Room, tmp_path: Path) -> None:
    """Only Cycles displaces surfaces truly: what is evaluated of the mesh lies where it was."""
    for item in [item for item in bpy.context.scene.objects if item.type == "MESH" and item != ball]:
        bpy.data.objects.remove(item)
    bpy.context.scene.render.engine = "CYCLES"
    camera = bpy.context.scene.camera.matrix_world
    bpy.ops.mesh.primitive_grid_add(size=3, x_subdivisions=8, y_subdivisions=8, rotation=camera.to_euler())
    plane: Any = bpy.context.object
    toward = camera.to_3x3().col[2]
    plane.location = -3.0 * toward  # behind the ball
    material: Any = bpy.data.materials.new("Displaced")
    material.use_nodes = True
    node = material.node_tree.nodes.new("ShaderNodeDisplacement")
    node.inputs["Height"].default_value, node.inputs["Midlevel"].default_value = 1.0, 0.0
    node.inputs["Scale"].default_value = 0.0
    output = next(node for node in material.node_tree.nodes if node.bl_idname == "ShaderNodeOutputMaterial")
    material.node_tree.links.new(node.outputs[0], output.inputs["Displacement"])
    material.displacement_method = "DISPLACEMENT"
    plane.data.materials.append(material)
    assert room("host.not_meshes").found_in(bpy.context.scene) == ("displacement",)
    free = rendered_by_us(tmp_path / "behind.png")
    node.inputs["Scale"].default_value = 3.0  # into its middle
    displaced = rendered_by_us(tmp_path / "displaced.png")
    node.inputs["Scale"].default_value, plane.location = 0.0, (0, 0, 0)
    moved = rendered_by_us(tmp_path / "moved.png")
    assert splat_scene.decibels(displaced, moved) > 40
    assert splat_scene.decibels(free, moved) < 30
