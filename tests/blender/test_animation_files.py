"""Animated splats as a file a frame: the object's own motion, the pose of its mesh, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import pytest
import splat_scene

Room = Callable[[str], ModuleType]


@pytest.fixture
def bound(connected: ModuleType, room: Room, tmp_path: Path) -> Any:
    """The ball, bound to a mesh that is 0, 1 and 2 units up in the frames 1 to 3."""
    ball = splat_scene.make(tmp_path)
    bpy.ops.mesh.primitive_uv_sphere_add(radius=1.0, segments=24, ring_count=16)
    mesh = bpy.context.view_layer.objects.active
    mesh.shape_key_add(name="Basis")
    lifted = mesh.shape_key_add(name="Lifted")
    for point in lifted.data:
        point.co.z += 2
    for frame, value in ((1, 0.0), (2, 0.5), (3, 1.0)):
        lifted.value = value
        lifted.keyframe_insert("value", frame=frame)
    bpy.context.scene.frame_set(1)
    bpy.ops.splatwright.run_method(method="bind", object=ball.name, mesh=mesh.name)
    versions = room("host.versions")
    assert connected.wait_until(lambda: len(versions.of(ball.splatwright.asset)) == 2, 30)
    return ball


def height(current: ModuleType, path: Path) -> float:
    """The mean height of the splats in a PLY file, whose y points down."""
    bpy.ops.splatwright.import_splats(filepath=str(path))
    shown = bpy.context.view_layer.objects.active.splatwright
    return -float(current.link().backend.splats(shown.asset, shown.version).means[:, 1].mean())


def export(folder: Path, name: str, object: Any, first: int = 1, last: int = 3, **options: Any) -> set[str]:
    path = str(folder / name)
    return bpy.ops.splatwright.export_animation(filepath=path, object=object.name, first=first, last=last, **options)


def test_each_frame_is_a_file_in_its_pose(connected: ModuleType, bound: Any, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    assert export(folder, "ball_##.ply", bound) == {"FINISHED"}
    assert sorted(path.name for path in folder.iterdir()) == ["ball_01.ply", "ball_02.ply", "ball_03.ply"]
    assert bpy.context.scene.frame_current == 1
    heights = [height(connected, folder / f"ball_0{frame}.ply") for frame in (1, 2, 3)]
    assert heights == pytest.approx([heights[0], heights[0] + 1, heights[0] + 2], abs=1e-3)


def test_one_file_too_holds_the_splats_as_they_are_posed(connected: ModuleType, bound: Any, tmp_path: Path) -> None:
    heights = []
    for frame in (1, 3):
        bpy.context.scene.frame_set(frame)
        path = tmp_path / f"pose_{frame}.ply"
        assert bpy.ops.splatwright.export_splats(filepath=str(path), object=bound.name) == {"FINISHED"}
        heights.append(height(connected, path))
    assert heights[1] - heights[0] == pytest.approx(2, abs=1e-3)
    at_rest = tmp_path / "rest.ply"
    bpy.ops.splatwright.export_splats(filepath=str(at_rest), object=bound.name, as_placed=False, frame="opencv")
    assert height(connected, at_rest) == pytest.approx(heights[0], abs=1e-3)


def test_stretched_splats_are_split_where_that_is_wished(connected: ModuleType, bound: Any, tmp_path: Path) -> None:
    bound.splatwright.mesh.scale.z = 4
    sizes = {}
    for split in (False, True):
        assert export(tmp_path, f"{split}_#.ply", bound, last=1, split=split) == {"FINISHED"}
        sizes[split] = (tmp_path / f"{split}_1.ply").stat().st_size
    assert sizes[True] > 1.5 * sizes[False]


def test_splats_that_follow_no_mesh_move_with_their_object(connected: ModuleType, tmp_path: Path) -> None:
    ball = splat_scene.make(tmp_path)
    for frame, z in ((1, 0.0), (5, 4.0)):
        ball.location.z = z
        ball.keyframe_insert("location", frame=frame)
    assert export(tmp_path / "frames", "ball.spz", ball, 1, 5, step=4, harmonics=0) == {"FINISHED"}
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == ["ball_0001.spz", "ball_0005.spz"]


def test_what_cannot_be_written_is_said_before_anything_is(connected: ModuleType, bound: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="comes before the first"):
        export(tmp_path / "frames", "ball.ply", bound, 3, 1)
    with pytest.raises(RuntimeError, match="does not end in"):
        export(tmp_path / "frames", "ball.obj", bound)
    assert not (tmp_path / "frames").exists()


def test_a_mesh_that_loses_vertices_stops_the_export_and_leaves_the_scene_as_it_was(
    connected: ModuleType, bound: Any, tmp_path: Path
) -> None:
    mesh = bound.splatwright.mesh
    modifier = mesh.modifiers.new("Fewer", "DECIMATE")
    modifier.ratio, modifier.show_viewport = 0.5, False
    modifier.keyframe_insert("show_viewport", frame=1)
    modifier.show_viewport = True
    modifier.keyframe_insert("show_viewport", frame=2)
    with pytest.raises(RuntimeError, match="vertices"):
        export(tmp_path / "frames", "ball_#.ply", bound)
    assert [path.name for path in (tmp_path / "frames").iterdir()] == ["ball_1.ply"]
    assert bpy.context.scene.frame_current == 1


def test_in_a_window_blender_goes_on_while_frames_are_written(
    connected: ModuleType, bound: Any, room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tick is played by the test; the operator itself needs a window for its timer."""
    monkeypatch.setattr(connected, "is_interactive", lambda: True)
    animation = room("ui.operators_animation")
    frames = animation._Frames(bpy.context.scene, bound.name, tmp_path / "ball.ply", [1, 2, 3], 0, None)
    frames.write_next()
    assert not frames.is_over
    assert connected.wait_until(lambda: frames.is_over, 30)
    assert len(list(tmp_path.glob("ball_000?.ply"))) == 3 and bpy.context.scene.frame_current == 1
    stopped = animation._Frames(bpy.context.scene, bound.name, tmp_path / "none.ply", [1, 2, 3], 0, None)
    stopped.write_next()
    stopped.stop()
    assert stopped.is_over and bpy.context.scene.frame_current == 1
    connected.wait_until(lambda: False, 0.5)
    assert len(list(tmp_path.glob("none_*.ply"))) <= 1


@pytest.mark.parametrize("name", ["ball.bound", "ball.safetensors"])
def test_bound_splats_come_back_with_their_mesh_and_follow_it(
    connected: ModuleType, bound: Any, tmp_path: Path, name: str
) -> None:
    bpy.context.scene.frame_set(3)
    assert bpy.ops.splatwright.export_splats(filepath=str(tmp_path / name), object=bound.name) == {"FINISHED"}
    for object in (bound.splatwright.mesh, bound):
        bpy.data.objects.remove(object)
    chosen = tmp_path / name / "bound.json" if name == "ball.bound" else tmp_path / name
    assert bpy.ops.splatwright.import_splats(filepath=str(chosen)) == {"FINISHED"}
    ball = bpy.context.view_layer.objects.active
    mesh = ball.splatwright.mesh
    assert mesh is not None and mesh.display_type == "WIRE" and mesh.hide_render
    before = tmp_path / "before.ply"
    bpy.ops.splatwright.export_splats(filepath=str(before), object=ball.name)
    for vertex in mesh.data.vertices:
        vertex.co.z += 1
    mesh.data.update()
    after = tmp_path / "after.ply"
    bpy.ops.splatwright.export_splats(filepath=str(after), object=ball.name)
    assert height(connected, before) == pytest.approx(2, abs=0.1)  # the pose that was written is the new rest
    assert height(connected, after) - height(connected, before) == pytest.approx(1, abs=1e-2)


def test_a_lost_mesh_is_added_again(connected: ModuleType, bound: Any) -> None:
    count = len(bound.splatwright.mesh.data.vertices)
    bpy.data.objects.remove(bound.splatwright.mesh)
    assert bound.splatwright.mesh is None
    assert bpy.ops.splatwright.add_bound_mesh(object=bound.name) == {"FINISHED"}
    assert len(bound.splatwright.mesh.data.vertices) == count
