"""Splats as points for geometry nodes, and what the nodes leave of them as a new version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest
from made_splats import write_ball

Room = Callable[[str], ModuleType]


@pytest.fixture
def ball(connected: ModuleType, tmp_path: Path) -> Any:
    write_ball(tmp_path / "ball.ply", count=300)
    bpy.ops.splatwright.import_splats(filepath=str(tmp_path / "ball.ply"), frame="z_up")
    return bpy.context.view_layer.objects.active


@pytest.fixture
def points(ball: Any) -> Any:
    ball.location.x = 4
    bpy.context.view_layer.update()
    assert bpy.ops.splatwright.write_attributes() == {"FINISHED"}
    return bpy.context.view_layer.objects.active


def delete_where_below(points: Any, height: float) -> None:
    """A modifier that deletes the points below a height, in the object's frame."""
    tree: Any = bpy.data.node_groups.new("Upper half", "GeometryNodeTree")
    for in_out in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=in_out, socket_type="NodeSocketGeometry")
    enters, leaves = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
    delete, position = tree.nodes.new("GeometryNodeDeleteGeometry"), tree.nodes.new("GeometryNodeInputPosition")
    split, compare = tree.nodes.new("ShaderNodeSeparateXYZ"), tree.nodes.new("FunctionNodeCompare")
    compare.operation, compare.inputs[1].default_value = "LESS_THAN", height
    tree.links.new(enters.outputs[0], delete.inputs["Geometry"])
    tree.links.new(position.outputs[0], split.inputs[0])
    tree.links.new(split.outputs["Z"], compare.inputs[0])
    tree.links.new(compare.outputs[0], delete.inputs["Selection"])
    tree.links.new(delete.outputs[0], leaves.inputs[0])
    points.modifiers.new("Upper half", "NODES").node_group = tree


def test_the_points_are_the_splats_with_the_attributes_of_blenders_own(
    points: Any, ball: Any, connected: ModuleType
) -> None:
    kind = "POINTCLOUD" if bpy.app.version >= (5, 2) else "MESH"
    assert points.type == kind and points.matrix_world == ball.matrix_world and points.hide_render
    attributes = points.data.attributes
    assert attributes["scale"].data_type == "FLOAT_VECTOR" and attributes["rotation"].data_type == "QUATERNION"
    assert attributes["radiance:base"].data_type == ("FLOAT4" if bpy.app.version >= (5, 2) else "FLOAT_COLOR")
    splats = connected.link().backend.splats(ball.splatwright.asset)
    values = np.empty(900, np.float32)
    attributes["position"].data.foreach_get("vector", values)
    np.testing.assert_array_equal(values.reshape(300, 3), splats.means)
    attributes["scale"].data.foreach_get("vector", values)
    np.testing.assert_allclose(values.reshape(300, 3), np.exp(splats.log_scales), rtol=1e-5)


def test_what_the_modifiers_leave_becomes_a_version_in_one_undo_step(
    points: Any, ball: Any, connected: ModuleType, room: Room
) -> None:
    delete_where_below(points, 0.0)
    name, before = ball.name, ball.splatwright.version
    bpy.ops.ed.undo_push(message="before")
    assert bpy.ops.splatwright.read_attributes(object=points.name) == {"FINISHED"}
    after = ball.splatwright.version
    assert after != before
    ours = connected.link().backend.splats(ball.splatwright.asset, before)
    theirs = connected.link().backend.splats(ball.splatwright.asset, after)
    upper = ours.means[:, 2] >= 0
    np.testing.assert_array_equal(theirs.means, ours.means[upper])
    np.testing.assert_allclose(theirs.opacity_logits, ours.opacity_logits[upper], atol=1e-4)
    np.testing.assert_array_equal(theirs.sh, ours.sh[upper])
    bpy.ops.ed.undo()
    assert bpy.data.objects[name].splatwright.version == before
    bpy.ops.ed.redo()
    assert bpy.data.objects[name].splatwright.version == after


def test_points_of_no_asset_become_splats_of_their_own(points: Any, connected: ModuleType) -> None:
    points.splatwright.attributes_of = ""
    points.location.z = 7
    bpy.context.view_layer.update()
    assert bpy.ops.splatwright.read_attributes(object=points.name) == {"FINISHED"}
    made = bpy.context.view_layer.objects.active
    assert connected.session().assets[made.splatwright.asset].splats == 300
    bpy.context.view_layer.update()
    assert made.matrix_world == points.matrix_world
    assert points.splatwright.attributes_of == made.splatwright.asset


def test_what_cannot_be_read_is_said_in_a_sentence(points: Any, ball: Any) -> None:
    with pytest.raises(RuntimeError, match="The points have no attribute 'scale'"):
        bpy.ops.splatwright.read_attributes(object=ball.name)
    empty = bpy.data.objects.new("Empty", None)
    bpy.context.collection.objects.link(empty)
    with pytest.raises(RuntimeError, match="'Empty' has no points"):
        bpy.ops.splatwright.read_attributes(object="Empty")
    points.data.attributes.remove(points.data.attributes["scale"])
    points.data.attributes.new("scale", "QUATERNION", "POINT")
    with pytest.raises(RuntimeError, match=r"attribute 'scale' of '.*' has 4 numbers a point, not 3"):
        bpy.ops.splatwright.read_attributes(object=points.name)
    with pytest.raises(RuntimeError, match="No splat object is chosen"):
        bpy.ops.splatwright.write_attributes(object=points.name)


def test_a_native_type_is_found_by_what_blender_offers(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    module = room("host.point_attributes")

    class Cloud:
        """What a Blender with splats of its own has."""

        bl_rna = SimpleNamespace(properties={"type": SimpleNamespace(enum_items={"POINTS": 0, "GAUSSIAN_SPLAT": 1})})
        type = "POINTS"

        def resize(self, count: int) -> None:
            self.count = count

    assert not module.is_native() or bpy.app.version >= (5, 3)
    clouds = SimpleNamespace(new=lambda name: Cloud())
    data, types = SimpleNamespace(pointclouds=clouds), SimpleNamespace(PointCloud=Cloud)
    monkeypatch.setattr(module, "bpy", SimpleNamespace(data=data, types=types))
    made = module._points("ball", 5)
    assert module.is_native() and made.type == "GAUSSIAN_SPLAT" and made.count == 5


def test_selected_splats_named_sets_and_labels_are_attributes_too(ball: Any, connected: ModuleType) -> None:
    above = {"attribute": "distance", "low": 0.0, "high": 1e9}
    bpy.ops.splatwright.select_range(**above)
    bpy.ops.splatwright.name_selection(name="whole")
    bpy.ops.splatwright.select_color(color=(0, 0, 0), tolerance=0.0)
    bpy.ops.splatwright.select_all(action="INVERT")
    assert bpy.ops.splatwright.write_attributes() == {"FINISHED"}
    points = bpy.context.view_layer.objects.active
    attributes = points.data.attributes
    assert attributes["set:whole"].data_type == "FLOAT" and "label" not in attributes
    for name in ("set:whole", "selection"):
        values = np.empty(300, np.float32)
        attributes[name].data.foreach_get("value", values)
        assert set(values) == {1.0}
    assert bpy.ops.splatwright.read_attributes() == {"FINISHED"}, "they do not stand in the way"
