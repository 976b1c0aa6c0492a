"""What a splat object is made of: a box to be framed, and points to be snapped to, that are never drawn or rendered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import numpy as np
import pytest
from made_splats import write_ball

Room = Callable[[str], ModuleType]


@pytest.fixture
def ball(connected: ModuleType, tmp_path: Path) -> Any:
    """Nine thousand splats of which one is far away."""
    write_ball(tmp_path / "ball.ply", count=9000)
    content = bytearray((tmp_path / "ball.ply").read_bytes())
    start = content.index(b"end_header\n") + 11
    content[start : start + 4] = np.float32(500).tobytes()
    (tmp_path / "ball.ply").write_bytes(content)
    bpy.ops.splatwright.import_splats(filepath=str(tmp_path / "ball.ply"), frame="z_up")
    return bpy.context.view_layer.objects.active


def vertices(item: Any) -> np.ndarray:
    values = np.empty(3 * len(item.data.vertices), np.float32)
    item.data.vertices.foreach_get("co", values)
    return values.reshape(-1, 3)


def test_the_mesh_holds_a_sample_of_the_splats_within_their_box(ball: Any) -> None:
    found = vertices(ball)
    assert 3900 < len(found) <= 4008 and len(ball.data.edges) == 12 and not len(ball.data.polygons)
    np.testing.assert_allclose(np.linalg.norm(found[8:], axis=1), 1, atol=1e-5)
    assert max(ball.dimensions) < 3, "a stray splat must not make the object larger"


def test_view_selected_frames_the_box(ball: Any) -> None:
    area = next(area for area in bpy.context.window.screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    ball.location.x = 30
    with bpy.context.temp_override(area=area, region=region):
        bpy.ops.view3d.view_selected()
    view = area.spaces.active.region_3d
    assert view.view_location.x == pytest.approx(30, abs=0.5) and view.view_distance < 10


def test_a_new_version_brings_a_new_sample_and_undo_does_not_lose_it(ball: Any, connected: ModuleType) -> None:
    bpy.ops.ed.undo_push(message="before")
    region = bpy.data.objects.new("Region", None)
    bpy.context.collection.objects.link(region)
    region.location.z = 1
    bpy.context.view_layer.update()
    name = ball.name
    bpy.ops.splatwright.run_method(method="crop", object=name, box="Region")
    assert connected.wait_until(lambda: vertices(bpy.data.objects[name])[8:, 2].min() >= 0, 30)
    cropped = vertices(bpy.data.objects[name])
    bpy.ops.ed.undo()
    bpy.ops.ed.redo()
    np.testing.assert_array_equal(vertices(bpy.data.objects[name]), cropped)


def test_what_somebody_made_of_the_mesh_stays(ball: Any, room: Room) -> None:
    ball.data.clear_geometry()
    ball.data.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    info = room("host.current").session().assets[ball.splatwright.asset]
    room("host.objects").update_bounds(info)
    assert len(ball.data.vertices) == 3


def test_duplicates_linked_or_not_and_deletion_are_blenders_own(ball: Any, connected: ModuleType) -> None:
    asset = ball.splatwright.asset
    for linked in (False, True):
        bpy.ops.object.select_all(action="DESELECT")
        ball.select_set(True)
        bpy.context.view_layer.objects.active = ball
        bpy.ops.object.duplicate(linked=linked)
        twin = bpy.context.view_layer.objects.active
        assert twin != ball and twin.splatwright.asset == asset and (twin.data == ball.data) == linked
        assert len(twin.data.vertices) == len(ball.data.vertices)
        bpy.ops.object.delete()
    assert asset in connected.session().assets and ball.name in bpy.data.objects


@pytest.mark.parametrize("engine", ["CYCLES", "BLENDER_WORKBENCH"])
def test_neither_box_nor_points_are_rendered(ball: Any, engine: str, tmp_path: Path) -> None:
    import splat_scene

    scene: Any = bpy.context.scene
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    camera.location.z, scene.camera, scene.render.engine = 6, camera, engine
    scene.render.resolution_x = scene.render.resolution_y = 60
    scene.render.film_transparent = True
    if engine == "CYCLES":
        scene.cycles.samples = 1
    assert splat_scene.rendered(tmp_path / "picture.png")[..., 3].max() == 0
