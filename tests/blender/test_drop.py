"""Files that are dropped onto the viewport, and those that Blender's own importer reads better."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import pytest
from made_splats import write_ball

CUBE_CORNER = (
    "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    "element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"
)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        write_ball(tmp_path / f"{name}.ply", count=100)
    (tmp_path / "corner.ply").write_text(CUBE_CORNER)
    points = CUBE_CORNER.replace("element face 1\nproperty list uchar int vertex_indices\n", "").replace(
        "3 0 1 2\n", ""
    )
    (tmp_path / "points.ply").write_text(points)
    return tmp_path


@contextmanager
def viewport() -> Iterator[None]:
    area = next(area for area in bpy.context.window.screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(area=area, region=region):
        yield


def test_a_dropped_file_becomes_splats(connected: ModuleType, files: Path) -> None:

    write_ball(files / "x.ply", count=50)
    bpy.ops.splatwright.import_splats(filepath=str(files / "x.ply"))
    bpy.ops.splatwright.export_splats(filepath=str(files / "dropped.spz"))  # no other handler takes this kind
    before = set(bpy.data.objects)
    with viewport():
        assert bpy.ops.wm.drop_import_file(directory=str(files), files=[{"name": "dropped.spz"}]) == {"FINISHED"}
    (made,) = set(bpy.data.objects) - before
    assert connected.session().assets[made.splatwright.asset].splats == 50


def test_a_mesh_is_left_to_blender_and_the_splats_beside_it_are_not(connected: ModuleType, files: Path) -> None:
    names = [{"name": f"{name}.ply"} for name in ("corner", "one", "two")]
    assert bpy.ops.splatwright.import_splats(directory=str(files), files=names) == {"FINISHED"}
    kinds = {item.name: bool(item.splatwright.asset) for item in bpy.data.objects}
    assert kinds == {"corner": False, "one": True, "two": True}
    assert len(bpy.data.objects["corner"].data.polygons) == 1


def test_a_mesh_needs_no_backend_that_could_read_it(extension: Any, empty_file: None, files: Path, room: Any) -> None:
    assert bpy.ops.splatwright.import_splats(filepath=str(files / "corner.ply")) == {"FINISHED"}
    assert bpy.ops.splatwright.import_splats(filepath=str(files / "points.ply"), points="MESH") == {"FINISHED"}
    assert {item.name: len(item.data.vertices) for item in bpy.data.objects} == {"corner": 3, "points": 3}


def test_points_without_faces_become_small_splats_unless_told_otherwise(connected: ModuleType, files: Path) -> None:
    assert bpy.ops.splatwright.import_splats(filepath=str(files / "points.ply")) == {"FINISHED"}
    made = bpy.context.view_layer.objects.active
    info = connected.session().assets[made.splatwright.asset]
    assert info.splats == 3 and any("points without shape" in note for note in info.notes)


def test_the_drop_is_taken_by_a_viewport_in_object_mode(extension: Any, empty_file: None) -> None:
    handler = bpy.types.FileHandler.bl_rna_get_subclass_py("SPLATWRIGHT_FH_splats")
    with viewport():
        assert handler.poll_drop(bpy.context)
    assert not handler.poll_drop(bpy.context)


def test_a_backend_on_another_machine_sends_one_file_and_takes_one(
    connected: ModuleType, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(connected.link().backend), "is_local", property(lambda _: False))
    assert bpy.ops.splatwright.import_splats(filepath=str(files / "one.ply")) == {"FINISHED"}
    assert bpy.ops.splatwright.export_splats(filepath=str(files / "far.sog")) == {"FINISHED"}
    assert (files / "far.sog").read_bytes()[:2] == b"PK"
    with pytest.raises(RuntimeError, match=r"'far\.meta\.json' has further files beside it"):
        bpy.ops.splatwright.export_splats(filepath=str(files / "far.meta.json"))
    (files / "meta.json").write_text("{}")
    with pytest.raises(RuntimeError, match=r"'meta\.json' has further files beside it"):
        bpy.ops.splatwright.import_splats(filepath=str(files / "meta.json"))
    bpy.ops.splatwright.write_attributes()
    before = connected.session().assets
    bpy.ops.splatwright.read_attributes()
    assert connected.session().assets.keys() == before.keys(), "a version, and not another asset"
