"""F12 with splats, against the backend's picture laid over Blender's own by hand."""

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

Room = Callable[[str], ModuleType]


@pytest.fixture
def ball(connected: ModuleType, tmp_path: Path) -> Any:
    return splat_scene.make(tmp_path)


def laid_over(plain: np.ndarray, room: Room, connected: ModuleType) -> np.ndarray:
    """The backend's picture over Blender's, in sRGB; [H, W, 4] premultiplied."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    surface = room("host.meshes").surface_of_scene(depsgraph)
    messages = room("protocol").messages
    request = messages.Render(
        objects=room("host.objects").scene_objects(depsgraph, for_render=False),
        camera=room("host.cameras").view_camera_of_scene(bpy.context.scene, bpy.context.scene.camera, depsgraph),
        pixels="float32",
        depth=False,
        surface_vertices=surface.vertices,
        surface_faces=surface.faces,
    )
    splats = connected.link().request(request, messages.Picture, 60).color
    assert 0.05 < (splats[..., 3] > 0.5).mean() < 0.5
    return splats + (1 - splats[..., 3:]) * premultiplied(plain)


def premultiplied(picture: np.ndarray) -> np.ndarray:
    return np.concatenate([picture[..., :3] * picture[..., 3:], picture[..., 3:]], -1)


@pytest.mark.parametrize(
    ("view", "transparent", "exposure"),
    [("Standard", False, 0.0), ("AgX", False, 0.7), ("Filmic", True, 0.0), ("Standard", True, 0.0)],
)
def test_f12_shows_splats_between_its_meshes_in_their_own_colours(
    ball: Any, connected: ModuleType, room: Room, tmp_path: Path, view: str, transparent: bool, exposure: float
) -> None:
    scene: Any = bpy.context.scene
    scene.view_settings.view_transform, scene.view_settings.exposure = view, exposure
    scene.render.film_transparent = transparent
    plain = splat_scene.rendered(tmp_path / "plain.png")  # there are no nodes yet
    bpy.ops.splatwright.setup_render()
    whole = premultiplied(splat_scene.rendered(tmp_path / "whole.png"))
    expected = laid_over(plain, room, connected)
    assert np.abs(whole - expected).max() < 1e-3
    assert splat_scene.decibels(whole, expected) > 80
    ball.hide_render = True
    assert np.abs(splat_scene.rendered(tmp_path / "hidden.png") - plain).max() < 1e-3
    bpy.ops.splatwright.remove_render_setup()
    assert (scene.view_settings.view_transform, scene.view_settings.exposure) == (view, pytest.approx(exposure))
    assert np.abs(splat_scene.rendered(tmp_path / "removed.png") - plain).max() < 1e-3


def test_an_animation_has_every_frames_own_placement(
    ball: Any, connected: ModuleType, room: Room, tmp_path: Path
) -> None:
    scene: Any = bpy.context.scene
    ball.keyframe_insert("location", frame=1)
    ball.location.x = -1.0
    ball.keyframe_insert("location", frame=2)
    bpy.ops.splatwright.setup_render()
    scene.frame_start, scene.frame_end = 1, 2
    scene.render.image_settings.color_depth, scene.render.image_settings.color_mode = "16", "RGBA"
    scene.render.filepath = str(tmp_path / "frame")
    assert bpy.ops.splatwright.render(animation=True) == {"FINISHED"}
    bpy.ops.splatwright.remove_render_setup()
    for frame in (1, 2):
        scene.frame_set(frame)
        ball.hide_render = True
        plain = splat_scene.rendered(tmp_path / "plain.png")
        ball.hide_render = False
        got = premultiplied(splat_scene.read(tmp_path / f"frame{frame:04d}.png"))
        assert splat_scene.decibels(got, laid_over(plain, room, connected)) > 80


@pytest.mark.parametrize("crops", [True, False], ids=["cropped", "whole frame"])
def test_a_border_and_a_percentage_are_where_blender_has_them(
    ball: Any, connected: ModuleType, room: Room, tmp_path: Path, crops: bool
) -> None:
    render: Any = bpy.context.scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = 331, 247, 50
    bpy.ops.splatwright.setup_render()
    whole = premultiplied(splat_scene.rendered(tmp_path / "whole.png"))
    assert whole.shape[:2] == (123, 165)
    render.use_border, render.use_crop_to_border = True, crops
    render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = 0.31, 0.77, 0.22, 0.6
    got = premultiplied(splat_scene.rendered(tmp_path / "border.png"))
    left, right, bottom, top = 51, 127, 27, 73  # as Blender cuts 0.31 * 165 and so on
    rows, columns = slice(123 - top, 123 - bottom), slice(left, right)
    # Cycles samples another picture in a border, so that meshes are as they are there: only the splats are compared.
    splats = whole[..., :3].std(-1) > 0.05
    inside = got if crops else got[rows, columns]
    assert inside.shape == whole[rows, columns].shape
    assert splats[rows, columns].mean() > 0.1
    assert np.abs(inside - whole[rows, columns])[splats[rows, columns]].max() < 0.02
    if not crops:
        outside = np.ones(got.shape[:2], bool)
        outside[rows, columns] = False
        assert got[outside].max() == 0, "nor are there splats outside of it"


def test_eevee_shows_the_same_splats(ball: Any, connected: ModuleType, room: Room, tmp_path: Path) -> None:
    scene: Any = bpy.context.scene
    scene.render.engine = "BLENDER_EEVEE" if bpy.app.version >= (5, 0) else "BLENDER_EEVEE_NEXT"
    scene.eevee.taa_render_samples, scene.render.film_transparent = 4, True
    scene.view_settings.view_transform = "AgX"
    plain = splat_scene.rendered(tmp_path / "plain.png")
    bpy.ops.splatwright.setup_render()
    whole = premultiplied(splat_scene.rendered(tmp_path / "whole.png"))
    assert splat_scene.decibels(whole, laid_over(plain, room, connected)) > 60


def test_a_plane_through_the_middle_of_a_fog_is_the_truth(connected: ModuleType, room: Room, tmp_path: Path) -> None:
    """Against every splat at every pixel before 6x6 places of the plane; the plane itself is not seen."""
    random = np.random.default_rng(3)
    means = random.normal(size=(250, 3)).astype(np.float32) * 0.5
    colors = random.uniform(0.1, 0.9, size=(250, 3))
    splat_scene.make(tmp_path)
    scene: Any = bpy.context.scene
    for item in [item for item in scene.objects if item.type == "MESH"]:
        bpy.data.objects.remove(item)
    flat_splats.write(tmp_path / "fog.ply", means, colors, 0.4, 0.15)
    bpy.ops.splatwright.import_splats(filepath=str(tmp_path / "fog.ply"))
    fog = bpy.context.view_layer.objects.active
    bpy.ops.mesh.primitive_plane_add(size=1.6, location=(0.2, -0.1, 0.05), rotation=(0.4, 0.9, 0.3))
    plane: Any = bpy.context.view_layer.objects.active
    plane.visible_camera = False
    scene.render.film_transparent = True
    bpy.ops.splatwright.setup_render()
    picture = premultiplied(splat_scene.rendered(tmp_path / "fog.png"))
    depsgraph = bpy.context.evaluated_depsgraph_get()
    camera = room("host.cameras").view_camera_of_scene(scene, scene.camera, depsgraph)
    placed = means @ np.array(fog.matrix_world)[:3, :3].T + np.array(fog.matrix_world)[:3, 3]
    surface = distances_of(plane, camera, 6)
    truth = flat_splats.drawn(placed, colors, 0.4, 0.15, camera, surface)
    assert 0.02 < np.isfinite(surface).mean() < 0.5 and truth[..., 3].max() > 0.8
    free = flat_splats.drawn(placed, colors, 0.4, 0.15, camera, np.full((*surface.shape[:2], 1), np.inf))
    assert splat_scene.decibels(picture, free) < 35, "the plane hides nothing, so that this shows nothing"
    assert splat_scene.decibels(picture, truth) > 40
    assert splat_scene.decibels(picture[truth[..., 3] > 0.02], truth[truth[..., 3] > 0.02]) > 40


def distances_of(plane: Any, camera: Any, side: int) -> np.ndarray:
    """How far the plane is along the viewing axis at side x side places of each pixel, [H, W, side^2]."""
    camera_from_plane = np.reshape(camera.camera_from_world, (4, 4)) @ np.array(plane.matrix_world)
    origin, normal = camera_from_plane[:3, 3], camera_from_plane[:3, 2]
    y, x = (np.mgrid[: camera.height * side, : camera.width * side] + 0.5) / side
    rays = np.stack([(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, np.ones_like(x)], -1)
    away = (origin @ normal) / (rays @ normal)
    on_plane = (
        (rays * away[..., None] - origin)
        @ camera_from_plane[:3, :2]
        / (np.linalg.norm(camera_from_plane[:3, :2], axis=0) ** 2)
    )
    away = np.where((away > 0) & (np.abs(on_plane) <= 0.8).all(-1), away, np.inf)
    blocks = away.reshape(camera.height, side, camera.width, side).transpose(0, 2, 1, 3)
    return blocks.reshape(camera.height, camera.width, side * side)
