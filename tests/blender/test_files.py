"""Splat files in and out, by operator, menu and drop."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CATALOG = Path(__file__).resolve().parents[2] / "blender_addon" / "catalog.json"
Room = Callable[[str], ModuleType]


@pytest.fixture
def connected(backend: Any, room: Room, empty_file: None) -> Iterator[ModuleType]:
    import bpy

    bpy.ops.splatwright.backend_connect(connection_file=str(backend.connection_file))
    yield room("host.current")
    bpy.ops.splatwright.backend_stop()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    from made_splats import write_ball

    write_ball(tmp_path / "small.ply", count=300)
    write_ball(tmp_path / "large.ply", count=900)
    return [tmp_path / "small.ply", tmp_path / "large.ply"]


def test_several_files_become_objects_in_one_undo_step(connected: ModuleType, files: list[Path]) -> None:
    import bpy

    bpy.ops.ed.undo_push(message="before")
    names = [{"name": path.name} for path in files]
    assert bpy.ops.splatwright.import_splats(directory=str(files[0].parent), files=names) == {"FINISHED"}
    shown = {object.name: connected.session().assets[object.splatwright.asset] for object in bpy.data.objects}
    assert {name: asset.splats for name, asset in shown.items()} == {"small": 300, "large": 900}
    assert all(object.splatwright.version == shown[object.name].head for object in bpy.data.objects)
    bpy.ops.ed.undo()
    assert not [object for object in bpy.data.objects if object.splatwright.asset]


def test_what_is_exported_is_what_was_imported(connected: ModuleType, files: list[Path], tmp_path: Path) -> None:
    import bpy

    bpy.ops.splatwright.import_splats(filepath=str(files[1]))
    target = tmp_path / "again.ply"
    assert bpy.ops.splatwright.export_splats(filepath=str(target), as_placed=False) == {"FINISHED"}
    bpy.ops.splatwright.import_splats(filepath=str(target))
    first, second = (bpy.data.objects[name].splatwright for name in ("large", "again"))
    backend = connected.link().backend
    ours, theirs = (backend.splats(shown.asset, shown.version) for shown in (first, second))
    assert (ours.means == theirs.means).all() and (ours.sh == theirs.sh).all()


def test_whatever_the_backend_writes_is_exported_and_read_again(
    connected: ModuleType, files: list[Path], tmp_path: Path
) -> None:
    import bpy

    bpy.ops.splatwright.import_splats(filepath=str(files[0]))
    writes = connected.session().writes
    reads = connected.session().reads
    assert {".ply", ".spz", ".safetensors"} <= set(writes) & set(reads)
    for suffix in set(writes) - {".bound"}:  # which is a folder of bound splats, see test_animation_files
        target = tmp_path / suffix.removeprefix(".") / f"again{suffix}"
        target.parent.mkdir()
        assert bpy.ops.splatwright.export_splats(filepath=str(target), object="small") == {"FINISHED"}
        if suffix not in reads:
            assert target.stat().st_size > 300
            continue
        bpy.ops.splatwright.import_splats(filepath=str(target))
        again = bpy.context.view_layer.objects.active.splatwright
        assert connected.session().assets[again.asset].splats == 300


def test_the_version_that_is_shown_is_chosen_from_a_menu_and_written(
    connected: ModuleType, room: Room, files: list[Path], tmp_path: Path, draw: Callable[..., Any]
) -> None:
    import bpy

    bpy.ops.splatwright.import_splats(filepath=str(files[0]))
    splats = bpy.context.view_layer.objects.active
    whole = splats.splatwright.version
    empty = bpy.data.objects.new("Region", None)
    bpy.context.scene.collection.objects.link(empty)
    empty.location = (0, 0, 1)
    bpy.context.view_layer.update()
    bpy.ops.splatwright.run_method(method="crop", object=splats.name, box=empty.name)
    assert connected.wait_until(lambda: len(room("host.versions").of(splats.splatwright.asset)) == 2, 30)
    cropped = splats.splatwright.version
    shown = [call.result.version for call in draw("SPLATWRIGHT_MT_versions").called("operator")]
    assert shown == [cropped, whole]
    bpy.ops.splatwright.show_version(version=whole)
    bpy.ops.splatwright.export_splats(filepath=str(tmp_path / "whole.ply"))
    assert (tmp_path / "whole.ply").stat().st_size > 0
    header = (tmp_path / "whole.ply").read_bytes()[:400].decode(errors="replace")
    assert "element vertex 300" in header


def test_splats_that_the_backend_has_are_added_from_a_menu_and_their_versions_get_known(
    connected: ModuleType, room: Room, files: list[Path], draw: Callable[..., Any]
) -> None:
    import bpy

    bpy.ops.splatwright.import_splats(filepath=str(files[0]))
    asset = bpy.context.view_layer.objects.active.splatwright.asset
    bpy.ops.wm.read_homefile(use_empty=True)
    room("host.versions")._versions.clear()  # as in a new session, in which nothing of it was heard
    items = {item.result.asset: item for item in draw("SPLATWRIGHT_MT_assets").called("operator")}
    bpy.ops.splatwright.add_splats(asset=items[asset].result.asset)
    draw("SPLATWRIGHT_PT_splats")
    assert connected.wait_until(lambda: len(room("host.versions").of(asset)) == 1, 30)
    label = room("host.versions").of(asset)[0].label
    assert label and label in draw("SPLATWRIGHT_PT_splats").texts


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("there_is_none.ply", None, "there_is_none.ply"),
        ("broken.ply", b"ply\nformat binary_little_endian 1.0\nelement vertex 5\n", "broken.ply"),
        ("picture.png", b"no splats", "'picture.png' is not a splat file of a known kind"),
    ],
)
def test_what_cannot_be_read_is_said_and_leaves_no_object(
    connected: ModuleType, tmp_path: Path, name: str, content: bytes | None, sentence: str
) -> None:
    import bpy

    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.splatwright.import_splats(filepath=str(tmp_path / name))
    assert not bpy.data.objects


def test_only_splats_are_written_and_only_to_files_that_can_be(
    connected: ModuleType, files: list[Path], tmp_path: Path
) -> None:
    import bpy

    with pytest.raises(RuntimeError, match="No splat object is chosen"):
        bpy.ops.splatwright.export_splats(filepath=str(tmp_path / "nothing.ply"))
    bpy.ops.splatwright.import_splats(filepath=str(files[0]))
    with pytest.raises(RuntimeError, match=r"'splats.obj' does not end in .ply"):
        bpy.ops.splatwright.export_splats(filepath=str(tmp_path / "splats.obj"), check_existing=False)
    assert not (tmp_path / "splats.obj").exists()


def test_the_menus_and_the_drop_know_the_files(extension: ModuleType, draw: Callable[..., Any]) -> None:
    import bpy

    for menu, operator in (
        (bpy.types.TOPBAR_MT_file_import, "splatwright.import_splats"),
        (bpy.types.TOPBAR_MT_file_export, "splatwright.export_splats"),
    ):
        assert operator in drawn_by_extensions(menu).operators
    handler = bpy.types.FileHandler.bl_rna_get_subclass_py("SPLATWRIGHT_FH_splats")
    assert handler.bl_import_operator == "splatwright.import_splats"
    reads = json.loads(CATALOG.read_text(encoding="utf-8"))["reads"]
    assert handler.bl_file_extensions.split(";") == list(dict.fromkeys(f".{name.split('.')[-1]}" for name in reads))
    assert handler.bl_label == "Gaussian Splats"  # beside Blender's own reader of .ply in the menu of a drop


def drawn_by_extensions(menu: Any) -> Any:
    """Only what was appended to a menu of Blender's own."""
    from types import SimpleNamespace

    import bpy
    from recording_layout import RecordingLayout

    layout = RecordingLayout()
    for function in menu._dyn_ui_initialize():
        if function.__module__.startswith("bl_ext."):
            function(SimpleNamespace(layout=layout), bpy.context)
    return layout


def test_what_is_known_of_splats_is_said_in_their_data_tab(
    connected: ModuleType, room: Room, files: list[Path], draw: Callable[..., Any]
) -> None:
    import bpy

    bpy.ops.splatwright.import_splats(filepath=str(files[0]))
    asset = bpy.context.view_layer.objects.active.splatwright.asset
    draw("SPLATWRIGHT_PT_statistics")
    assert connected.wait_until(lambda: len(room("host.versions").of(asset)) == 1, 30)
    texts = draw("SPLATWRIGHT_PT_statistics").texts
    assert {"300", "Degree 0", "Imported from small.ply", "3D Gaussian Splatting PLY", "COLMAP, PLY (Y Down)"} <= set(
        texts
    )
    assert any(text.startswith("0.12 to 0.95") for text in texts), texts
    assert "Packed" not in texts
    bpy.ops.splatwright.pack_splats()
    assert "Packed" in draw("SPLATWRIGHT_PT_statistics").texts
    assert "splatwright.unpack_splats" in draw("SPLATWRIGHT_PT_splats").operators
    bpy.ops.splatwright.write_attributes()
    assert draw("SPLATWRIGHT_PT_statistics") is None
    assert "splatwright.read_attributes" in draw("SPLATWRIGHT_PT_splats").operators


def test_paths_may_be_relative_to_the_blend(connected: ModuleType, files: list[Path], tmp_path: Path) -> None:
    import bpy

    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.splatwright.import_splats(filepath="//small.ply")
    made = bpy.context.view_layer.objects.active
    assert connected.session().assets[made.splatwright.asset].splats == 300
    bpy.ops.splatwright.import_splats(directory="//", files=[{"name": "large.ply"}])
    assert bpy.ops.splatwright.export_splats(filepath="//again.ply") == {"FINISHED"}
    assert (tmp_path / "again.ply").is_file()


def test_in_a_window_blender_goes_on_while_splats_are_written_and_packed(
    connected: ModuleType, room: Room, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import bpy

    bpy.ops.splatwright.import_splats(filepath=str(files[0]))
    splats = bpy.context.view_layer.objects.active
    name, version = splats.name, splats.splatwright.version
    monkeypatch.setattr(connected, "is_interactive", lambda: True)
    bpy.ops.splatwright.pack_splats(object=name)
    assert splats.splatwright.packed is None
    assert connected.wait_until(lambda: bpy.data.objects[name].splatwright.packed is not None, 30)
    bpy.ops.splatwright.write_attributes(object=name)
    assert connected.wait_until(lambda: f"{name} points" in bpy.data.objects, 30)
    bpy.ops.splatwright.read_attributes(object=f"{name} points")
    assert connected.wait_until(lambda: bpy.data.objects[name].splatwright.version != version, 30)
    bpy.context.view_layer.objects.active = bpy.data.objects[name]
    target = files[0].with_name("again.spz")
    bpy.ops.splatwright.export_splats(filepath=str(target), object=name)
    assert connected.wait_until(target.is_file, 30)


def test_splats_that_a_job_is_at_work_on_are_not_taken_apart(
    connected: ModuleType, room: Room, files: list[Path], tmp_path: Path
) -> None:
    import bpy

    things, events, messages = room("protocol").things, room("core.events"), room("protocol").messages
    bpy.ops.splatwright.import_splats(filepath=str(files[0]))
    splats = bpy.context.view_layer.objects.active
    bpy.ops.splatwright.write_attributes()
    points = bpy.context.view_layer.objects.active
    asset = splats.splatwright.asset
    state = things.JobState(job="7", name="Small", method="mcmc", status="running", asset=asset)
    connected.dispatch(events.Heard(messages.JobChanged(job=state), 0.0))
    with pytest.raises(RuntimeError, match="still being worked on"):
        bpy.ops.splatwright.read_attributes(object=points.name)
    with pytest.raises(RuntimeError, match="or still being worked on"):
        bpy.ops.splatwright.pack_splats()
    splats.splatwright.version = ""
    with pytest.raises(RuntimeError, match="still being worked on"):
        bpy.ops.splatwright.write_attributes(object=splats.name)
