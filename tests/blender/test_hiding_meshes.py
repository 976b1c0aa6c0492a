"""The meshes that hide splats in a viewport: read again only where they changed, and drawn as far away as they are."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import bpy
import numpy as np
import pytest

Room = Callable[[str], ModuleType]


@pytest.fixture
def space(empty_file: None) -> Any:
    return next(a for a in bpy.context.window.screen.areas if a.type == "VIEW_3D").spaces.active


@pytest.fixture
def hiding(room: Room, empty_file: None) -> Any:
    module = room("host.hiding_meshes")
    module.forget()
    return module


@pytest.fixture
def reads(room: Room, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The objects whose triangles were read since the list was cleared."""
    meshes, names = room("host.meshes"), list[str]()
    original = meshes.mesh_of_shown

    def noted(shown: Any) -> Any:
        names.append(shown.original.name)
        return original(shown)

    monkeypatch.setattr(meshes, "mesh_of_shown", noted)
    return names


@pytest.fixture
def looked(hiding: Any, space: Any, reads: list[str]) -> Callable[[], tuple[Any, list[str]]]:
    """What hides splats now, all of it read, and what had to be read for that."""

    def look() -> tuple[Any, list[str]]:
        depsgraph = bpy.context.evaluated_depsgraph_get()
        reads.clear()
        hiders = hiding.look(depsgraph, space)
        hiding.read(hiders, depsgraph, space)
        assert hiders.is_up_to_date
        return hiders, sorted(reads)

    return look


def cube(name: str, x: float) -> Any:
    bpy.ops.mesh.primitive_cube_add(location=(x, 0, 0))
    bpy.context.object.name = name
    return bpy.context.object


def top(hiders: Any) -> float:
    """The largest z of all that hides splats."""
    return max(
        float((part[0].mesh.vertices @ place[:3, :3].T + place[:3, 3])[:, 2].max())
        for part, place in zip(hiders.parts, hiders.places, strict=True)
    )


def test_only_what_has_changed_is_read_again(looked: Callable[[], tuple[Any, list[str]]]) -> None:
    first, second = cube("first", 0), cube("second", 5)
    hiders, read = looked()
    assert read == ["first", "second"]
    first.select_set(not first.select_get())
    again, read = looked()
    assert read == [] and again.signature == hiders.signature
    first.location.z = 2
    moved, read = looked()
    assert read == [] and moved.signature != hiders.signature and top(moved) == 3
    second.data.vertices[0].co.z = 9
    second.data.update()
    edited, read = looked()
    assert read == ["second"] and edited.signature != moved.signature and top(edited) == 9
    first.modifiers.new("Array", "ARRAY").count = 3
    modified, read = looked()
    assert read == ["first"] and modified.signature != edited.signature
    second.hide_set(True)
    hidden, read = looked()
    assert read == [] and len(hidden.parts) == 1
    second.data.vertices[0].co.z = 20
    second.data.update()
    bpy.context.view_layer.update()
    second.hide_set(False)
    shown, _ = looked()
    assert top(shown) == 20
    bpy.data.objects.remove(first)
    left, read = looked()
    assert read == [] and len(left.parts) == 1


def test_a_new_mesh_is_not_taken_for_one_that_was_there_before(looked: Callable[[], tuple[Any, list[str]]]) -> None:
    for number in range(8):  # memory of the old one may be the new one's
        made = cube(f"number {number}", 0)
        made.data.vertices[0].co.z = 10 + number
        hiders, read = looked()
        assert read == [made.name] and top(hiders) == 10 + number
        bpy.data.meshes.remove(made.data)


def test_linked_duplicates_and_instances_share_what_was_read(looked: Callable[[], tuple[Any, list[str]]]) -> None:
    first = cube("first", 0)
    collection = bpy.data.collections.new("Instanced")
    collection.objects.link(first)
    bpy.context.collection.objects.unlink(first)
    bpy.context.scene.collection.children.link(collection)
    for x in (3, 6):
        linked = first.copy()
        linked.location.x, linked.scale = x, (1, 2, 0.5)
        bpy.context.collection.objects.link(linked)
        instance = bpy.data.objects.new("Instance", None)
        instance.instance_type, instance.instance_collection, instance.location.z = "COLLECTION", collection, x
        instance.scale.z = -2
        bpy.context.collection.objects.link(instance)
    hiders, read = looked()
    assert read == ["first"] and len(hiders.parts) == 5 and top(hiders) == 8
    assert sorted(place[1, 1] * place[2, 2] for place in hiders.places) == [-2, -2, 1, 1, 1]


def test_each_frame_is_read_of_what_moves_by_itself(looked: Callable[[], tuple[Any, list[str]]]) -> None:
    still, moving = cube("still", 0), cube("moving", 5)
    moving.shape_key_add(name="Basis")
    key = moving.shape_key_add(name="High")
    key.data[0].co.z = 7
    for frame, value in ((1, 0.0), (11, 1.0)):
        key.value = value
        key.keyframe_insert("value", frame=frame)
    still.keyframe_insert("location", frame=1)
    bpy.context.scene.frame_set(1)
    assert top(looked()[0]) == 1
    bpy.context.scene.frame_set(11)
    hiders, read = looked()
    assert read == ["moving"] and top(hiders) == 7


def test_undo_brings_back_what_hid_splats(looked: Callable[[], tuple[Any, list[str]]]) -> None:
    made = cube("first", 0)
    bpy.ops.ed.undo_push(message="before")
    assert top(looked()[0]) == 1
    made.data.vertices[0].co.z = 9
    made.data.update()
    bpy.ops.ed.undo_push(message="edited")
    assert top(looked()[0]) == 9
    bpy.ops.ed.undo()
    assert top(looked()[0]) == 1


def test_reading_goes_in_small_parts(hiding: Any, space: Any, reads: list[str]) -> None:
    for number in range(4):
        cube(f"number {number}", number)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    hiders = hiding.look(depsgraph, space)
    for number in range(1, 5):
        assert not hiders.is_up_to_date
        hiding.read(hiders, depsgraph, space, 0.0)
        assert len(reads) == number
    assert hiders.is_up_to_date


def test_what_is_no_mesh_and_what_has_no_faces_in_the_view(looked: Callable[[], tuple[Any, list[str]]]) -> None:
    made = cube("first", 0)
    made.display_type = "WIRE"
    assert looked()[0].parts == []
    made.display_type = "TEXTURED"
    assert not looked()[0].has_others
    made.modifiers.new("Hair", "PARTICLE_SYSTEM").particle_system.settings.type = "HAIR"
    assert looked()[0].has_others


# ---- drawn


def camera(room: Room, *, orthographic: bool = False) -> Any:
    """From 6 above the origin straight down, x to the right."""
    focal = 20.0 if orthographic else 60.0
    return room("protocol").things.ViewCamera(
        camera_from_world=(1, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, 6, 0, 0, 0, 1), fx=focal, fy=focal, cx=31, cy=24,
        width=60, height=50, near=0.1, far=100, orthographic=orthographic,
    )  # fmt: skip


@pytest.mark.parametrize("orthographic", [False, True])
@pytest.mark.parametrize("is_fine", [False, True])
def test_the_distance_of_a_slope_is_exact_in_each_place_of_a_pixel(
    looked: Callable[[], tuple[Any, list[str]]], room: Room, orthographic: bool, is_fine: bool
) -> None:
    bpy.ops.mesh.primitive_plane_add(size=2)
    slope = bpy.context.object
    slope.rotation_euler.y, slope.scale = (
        -np.arctan(0.5),
        (np.sqrt(1.25) * 1.0, 0.8, 3),
    )  # z = x / 2, |x| < 1, |y| < 0.8
    bpy.context.view_layer.update()
    room("host.offscreen")._start_graphics()
    view = camera(room, orthographic=orthographic)
    found = room("host.mesh_depth").distances(looked()[0], view, is_fine=is_fine)
    assert found.shape == ((50, 60, 4) if is_fine else (50, 60)) and found.dtype == np.float32
    found = found.reshape(50, 60, -1)
    offsets = ((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)) if is_fine else ((0.0, 0.0),)
    rows, columns = np.mgrid[0:50, 0:60] + 0.5
    for number, (right, down) in enumerate(offsets):
        x, y = (columns + right - view.cx) / view.fx, (rows + down - view.cy) / view.fy
        expected = 6 - x / 2 if orthographic else 6 / (1 + x / 2)
        reach = 1.0 if orthographic else expected
        inside = (np.abs(x * reach) < 0.98) & (np.abs(y * reach) < 0.78)
        outside = (np.abs(x * reach) > 1.02) | (np.abs(y * reach) > 0.82)
        assert inside.sum() > 200 and outside.sum() > 200
        np.testing.assert_allclose(found[..., number][inside], expected[inside], rtol=1e-5)
        assert np.isinf(found[..., number][outside]).all()
