"""Cameras of the backend against what Blender itself projects and renders."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Matrix, Vector

RADIUS = 0.06  # of a marker
PLACES = np.array(list(itertools.product((-1.2, 0.0, 1.2), (-1.2, 0.0, 1.2), (-0.8, 0.8))))
CROP = {"use_border": True, "use_crop_to_border": True, "border_min_x": 0.21, "border_max_x": 0.83}
CROP |= {"border_min_y": 0.133, "border_max_y": 0.9}
CASES: dict[str, dict[str, Any]] = {
    "landscape": {},
    "shift": {"shift_x": 0.1, "shift_y": -0.05},
    "fit by height, shift": {"sensor_fit": "VERTICAL", "shift_x": 0.1, "shift_y": -0.05},
    "portrait, shift": {"resolution_x": 200, "resolution_y": 320, "shift_x": 0.1, "shift_y": 0.1},
    "portrait, fit by width": {"resolution_x": 200, "resolution_y": 320, "sensor_fit": "HORIZONTAL"},
    "tall pixels, shift": {"pixel_aspect_y": 1.5, "shift_y": 0.1},
    "wide pixels, fit by height": {"pixel_aspect_x": 2.0, "shift_y": 0.1, "sensor_fit": "VERTICAL"},
    "border that does not crop": {"use_border": True, "border_min_x": 0.02, "border_max_y": 0.98},
    "cropped": CROP,
    "cropped, 77 %, tall pixels": {**CROP, "resolution_percentage": 77, "pixel_aspect_y": 1.3},
    "orthographic": {"type": "ORTHO", "ortho_scale": 7.0, "shift_x": 0.1, "pixel_aspect_y": 1.5},
}


@pytest.fixture
def scene(empty_file: None) -> Any:
    """A camera that looks at the origin aslant, and its scene."""
    scene: Any = bpy.context.scene
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.matrix_world = Matrix.LocRotScale(
        Vector((5.3, -4.6, 3.6)), Vector((5.3, -4.6, 3.6)).to_track_quat("Z", "Y"), None
    )
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y = 320, 200
    return scene


def set_up(scene: Any, case: dict[str, Any]) -> None:
    for name, value in case.items():
        owner = scene.camera.data if hasattr(scene.camera.data, name) else scene.render
        setattr(owner, name, value)


def seen_by(room: Callable[[str], ModuleType], scene: Any, **options: Any) -> Any:
    depsgraph = bpy.context.evaluated_depsgraph_get()
    return room("host.cameras").view_camera_of_scene(scene, scene.camera, depsgraph, **options)


def projected(camera: Any, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [N, 2] and depths [N]."""
    matrix = np.reshape(camera.camera_from_world, (4, 4))
    inside = points @ matrix[:3, :3].T + matrix[:3, 3]
    depth = np.ones((len(points), 1)) if camera.orthographic else inside[:, 2:]
    return inside[:, :2] / depth * (camera.fx, camera.fy) + (camera.cx, camera.cy), inside[:, 2]


# ---- against Blender's own projections


def every_setting() -> Iterator[dict[str, Any]]:
    fits, sizes = ("AUTO", "HORIZONTAL", "VERTICAL"), ((320, 200), (200, 320), (200, 200))
    for fit, size, aspect, kind, shift in itertools.product(
        fits, sizes, ((1, 1), (1.5, 1), (1, 2)), ("PERSP", "ORTHO"), ((0, 0), (0.2, -0.3))
    ):
        yield {
            **{"sensor_fit": fit, "type": kind, "lens": 35, "sensor_height": 20},
            **dict(zip(("resolution_x", "resolution_y"), size, strict=True)),
            **dict(zip(("pixel_aspect_x", "pixel_aspect_y"), aspect, strict=True)),
            **dict(zip(("shift_x", "shift_y"), shift, strict=True)),
        }


def test_projections_are_blenders(scene: Any, room: Callable[[str], ModuleType]) -> None:
    cameras = room("core.camera")
    scene.camera.scale = (1, 2, 3)  # does not count
    points = np.random.default_rng(0).uniform(-1, 1, (20, 3))
    for case in every_setting():
        set_up(scene, case)
        bpy.context.view_layer.update()
        depsgraph = bpy.context.evaluated_depsgraph_get()
        seen = seen_by(room, scene)
        size = (seen.width, seen.height)
        pixels, depths = projected(seen, points)
        shares = np.array([world_to_camera_view(scene, scene.camera, Vector(point)) for point in points])
        np.testing.assert_allclose(pixels, (shares[:, :2] * (1, -1) + (0, 1)) * size, atol=1e-3, err_msg=str(case))
        np.testing.assert_allclose(depths, shares[:, 2], atol=1e-5)
        aspect = {"scale_x": case["pixel_aspect_x"], "scale_y": case["pixel_aspect_y"]}
        window = np.array(scene.camera.calc_matrix_camera(depsgraph, x=size[0], y=size[1], **aspect), np.float64)
        view = np.array(scene.camera.matrix_world.normalized().inverted(), np.float64)
        of_window, _ = projected(cameras.view_camera_of_window(window, view, *size), points)
        np.testing.assert_allclose(pixels, of_window, atol=1e-3, err_msg=str(case))


def test_the_percentage_can_be_left_out(scene: Any, room: Callable[[str], ModuleType]) -> None:
    scene.render.resolution_percentage = 37
    small, whole = seen_by(room, scene), seen_by(room, scene, percentage=False)
    assert (small.width, small.height) == (118, 74) and (whole.width, whole.height) == (320, 200)


def test_the_animated_camera_counts_as_it_is_evaluated(scene: Any, room: Callable[[str], ModuleType]) -> None:
    data = scene.camera.data
    for frame, lens in ((1, 30.0), (11, 60.0)):
        data.lens = lens
        data.keyframe_insert("lens", frame=frame)
    scene.frame_set(11)
    late = seen_by(room, scene).fx
    scene.frame_set(1)
    assert late == pytest.approx(2 * seen_by(room, scene).fx)


def test_what_splats_cannot_be_seen_through_is_refused(scene: Any, room: Callable[[str], ModuleType]) -> None:
    refusal = room("protocol").errors.UserError
    scene.camera.data.type = "PANO"
    with pytest.raises(refusal, match="'Camera' is of the type 'PANO'"):
        seen_by(room, scene)
    empty = bpy.data.objects.new("Empty", None)
    with pytest.raises(refusal, match="'Empty' is no camera"):
        room("host.cameras").lens_of_object(empty)


def test_a_view_can_be_seen_on_a_coarser_grid(scene: Any, room: Callable[[str], ModuleType]) -> None:
    depsgraph = bpy.context.evaluated_depsgraph_get()
    region = SimpleNamespace(width=320, height=200)
    matrices = SimpleNamespace(
        window_matrix=scene.camera.calc_matrix_camera(depsgraph, x=320, y=200),
        view_matrix=scene.camera.matrix_world.inverted(),
    )
    points = np.random.default_rng(0).uniform(-1, 1, (20, 3))
    view = room("host.cameras").view_camera_of_region
    fine, coarse = view(region, matrices), view(region, matrices, 80, 50)
    np.testing.assert_allclose(projected(coarse, points)[0] * 4, projected(fine, points)[0], atol=1e-3)
    np.testing.assert_allclose(projected(fine, points)[0], projected(seen_by(room, scene), points)[0], atol=1e-3)


# ---- against pictures


@pytest.fixture
def markers(scene: Any) -> Any:
    """Small balls of light in the dark, and settings that do not blur them."""
    world = bpy.data.worlds.new("Dark")
    world.color = (0, 0, 0)
    scene.world = world
    bpy.ops.mesh.primitive_uv_sphere_add(segments=16, ring_count=8, radius=RADIUS)
    ball: Any = bpy.context.object
    material = bpy.data.materials.new("Light")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    light, output = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
    links.new(light.outputs[0], output.inputs[0])
    ball.data.materials.append(material)
    for place in PLACES:
        marker = bpy.data.objects.new("Marker", ball.data)
        marker.location = place
        scene.collection.objects.link(marker)
    bpy.data.objects.remove(ball)
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 16, False
    scene.cycles.use_adaptive_sampling, scene.cycles.pixel_filter_type = False, "BOX"
    scene.render.dither_intensity, scene.view_settings.view_transform = 0, "Raw"
    return scene


def rendered(scene: Any, path: Path) -> np.ndarray:
    """[H, W] red, first row on top."""
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path), check_existing=False)
    image.colorspace_settings.name = "Non-Color"
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(height, width, 4)[::-1, :, 0]


def alone(pixels: np.ndarray, size: np.ndarray, width: int, height: int) -> list[int]:
    """The markers that lie whole in the picture, `size` around them, without another one near."""
    inside = ((pixels > size) & (pixels < (width, height) - size)).all(axis=1)
    apart = np.linalg.norm((pixels[:, None] - pixels[None]) / size, axis=-1) + 9 * np.eye(len(pixels))
    return np.flatnonzero(inside & (apart.min(axis=1) > 2)).tolist()


@pytest.mark.parametrize("case", list(CASES))
def test_markers_are_rendered_where_they_are_projected(
    case: str, markers: Any, room: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    set_up(markers, CASES[case])
    bpy.context.view_layer.update()
    seen = seen_by(room, markers)
    picture = rendered(markers, tmp_path / "markers.png")
    assert picture.shape == (seen.height, seen.width)
    pixels, depths = projected(seen, PLACES)
    nearest = 1.0 if seen.orthographic else float(depths.min())
    size = 1.6 * RADIUS * np.array([seen.fx, seen.fy]) / nearest + 2
    rows, columns = np.indices(picture.shape) + 0.5
    places = np.stack([columns, rows], axis=-1)
    chosen = alone(pixels, size, seen.width, seen.height)
    assert len(chosen) >= 8
    for marker in chosen:
        light = picture * (np.linalg.norm((places - pixels[marker]) / size, axis=-1) < 1)
        middle = (light[..., None] * places).sum(axis=(0, 1)) / light.sum()
        assert np.linalg.norm(middle - pixels[marker]) < 0.1, f"{case}, marker {marker}"
