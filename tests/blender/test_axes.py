"""Which way the axes of a file's numbers point: chosen on import, said on export, the same splats in the scene."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import bpy
import numpy as np
import pytest
from made_splats import write_ball
from mathutils import Matrix, Vector

TURNS = {  # the file's x, y and z as Blender's
    "opencv": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "z_up": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "y_up": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
}


@pytest.fixture
def ball(tmp_path: Path) -> Path:
    write_ball(tmp_path / "ball.ply", count=200)
    return tmp_path / "ball.ply"


def imported(path: Path, **options: Any) -> Any:
    assert bpy.ops.splatwright.import_splats(filepath=str(path), **options) == {"FINISHED"}
    bpy.context.view_layer.update()
    return bpy.context.view_layer.objects.active


def places(current: ModuleType, splats: Any) -> np.ndarray:
    """Where the splats are in Blender's world, [N, 3], by height."""
    means = current.link().backend.splats(splats.splatwright.asset).means
    matrix = np.array(splats.matrix_world)
    world = means @ matrix[:3, :3].T + matrix[:3, 3]
    return world[np.argsort(world[:, 2])]


@pytest.mark.parametrize("frame", TURNS)
def test_the_chosen_axes_stand_as_they_point(connected: ModuleType, ball: Path, frame: str) -> None:
    splats = imported(ball, frame=frame)
    assert splats.splatwright.frame == frame
    turn = splats.matrix_world.to_3x3()
    for axis, stands in zip(np.eye(3), TURNS[frame], strict=True):
        assert (turn @ Vector(axis))[:] == pytest.approx(stands, abs=1e-6)


def test_the_file_decides_unless_the_user_does_and_letters_name_any_axes(connected: ModuleType, ball: Path) -> None:
    assert imported(ball).splatwright.frame == "opencv"
    assert imported(ball, frame="OTHER", axes="RUB").splatwright.frame == "y_up"
    with pytest.raises(RuntimeError, match="There is no frame called 'RRR'"):
        imported(ball, frame="OTHER", axes="RRR")


@pytest.mark.parametrize("suffix", [".ply", ".spz", ".safetensors"])
@pytest.mark.parametrize("frame", ["FORMAT", "z_up", "y_up"])
def test_what_leaves_and_comes_back_stands_where_it_stood(
    connected: ModuleType, ball: Path, tmp_path: Path, suffix: str, frame: str
) -> None:
    splats = imported(ball, frame="z_up")
    splats.matrix_world = Matrix.LocRotScale((3, -2, 1), Matrix.Rotation(0.7, 3, "Y").to_quaternion(), (2, 2, 2))
    target = tmp_path / f"placed{suffix}"
    assert bpy.ops.splatwright.export_splats(filepath=str(target), object=splats.name, frame=frame) == {"FINISHED"}
    again = imported(target, frame="FILE" if frame == "FORMAT" else frame)
    np.testing.assert_allclose(places(connected, again), places(connected, splats), atol=2e-3)  # SPZ rounds


def test_as_stored_leaves_the_numbers_where_they_are_and_fewer_harmonics_are_written(
    connected: ModuleType, ball: Path, tmp_path: Path
) -> None:
    splats = imported(ball)
    splats.location.x = 5
    bpy.ops.splatwright.export_splats(filepath=str(tmp_path / "stored.ply"), as_placed=False, harmonics=0)
    again = imported(tmp_path / "stored.ply")
    ours, theirs = (connected.link().backend.splats(item.splatwright.asset) for item in (splats, again))
    np.testing.assert_array_equal(ours.means, theirs.means)
    assert theirs.sh.shape[1] == 1


def test_the_chosen_format_names_the_file_and_the_browser_says_what_is_assumed(
    connected: ModuleType, ball: Path, room: Any
) -> None:
    from types import SimpleNamespace

    export = room("ui.operators_export").SPLATWRIGHT_OT_export_splats
    writes = room("host.file_formats").writes()
    assert {item[0] for item in room("ui.operators_export")._formats(None, None)} == {"NAME", *writes}
    named = SimpleNamespace(filepath="/tmp/a.ply", format=".spz", filename_ext=".ply")
    assert export.check(named, bpy.context) and named.filepath == "/tmp/a.spz"
    assert not export.check(named, bpy.context)
    load = room("ui.operators_import").SPLATWRIGHT_OT_import_splats
    chosen = SimpleNamespace(frame="FILE", _paths=lambda: [Path("a.spz"), Path("b.spz")])
    assert load._about(chosen, bpy.context) == ["SPZ: SPZ, glTF (Y Up), unless the file says otherwise."]


class Drawn:
    """An operator as its options are drawn: its properties, and what its class can."""

    def __init__(self, operator: type[Any], layout: Any, **options: Any) -> None:
        self._operator, self.layout = operator, layout
        self._properties = bpy.context.window_manager.operator_properties_last(operator.bl_idname)
        for name, value in options.items():
            setattr(self._properties, name, value)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._operator, name, None)
        return found.__get__(self) if name.startswith("_") and found else getattr(self._properties, name)


def test_the_options_are_drawn_and_say_what_a_format_holds(
    connected: ModuleType, room: Any, recording_layout: Any
) -> None:
    load = room("ui.operators_import").SPLATWRIGHT_OT_import_splats
    drawn = Drawn(load, recording_layout, filepath="/tmp/a.spz", frame="OTHER")
    load.draw(drawn, bpy.context)
    assert recording_layout.properties == ["frame", "axes", "points"]
    drawn.layout = type(recording_layout)()
    drawn._properties.frame = "FILE"
    load.draw(drawn, bpy.context)
    assert " ".join(drawn.layout.texts).startswith("SPZ: SPZ, glTF (Y Up)")
    export = room("ui.operators_export").SPLATWRIGHT_OT_export_splats
    drawn = Drawn(export, type(recording_layout)(), filepath="/tmp/a.ply", frame="FORMAT")
    export.draw(drawn, bpy.context)
    assert drawn.layout.properties == ["format", "as_placed", "frame", "harmonics"]
    assert "COLMAP, PLY (Y Down)" in " ".join(drawn.layout.texts)
