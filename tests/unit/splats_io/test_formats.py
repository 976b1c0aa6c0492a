"""All formats as one: found by content, light to import, named rightly when something is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backend.splats.io import FORMATS, READABLE, WRITABLE, SplatContent, read_splats, sniff_format, write_splats
from backend.splats.io.formats import format_by_name
from backend.splats.io.frames import FRAMES, frame_called, is_mirrored, letters_of, rotation_between, up_in
from shared_protocol.errors import UserError
from tests.unit.splats_io.made_clouds import made_cloud

REPOSITORY = Path(__file__).resolve().parents[3]


def test_reading_and_writing_every_format_needs_neither_torch_nor_numba_nor_blender(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from backend.splats.io import FORMATS, SplatContent, read_splats, write_splats
heavy = {{"torch", "numba", "bpy", "scipy", "plyfile", "pxr", "PIL", "cv2", "zstandard", "isal"}} & set(sys.modules)
assert not heavy, f"imported at the start: {{heavy}}"
from tests.unit.splats_io.made_clouds import made_cloud
for form in FORMATS:
    path = Path({str(tmp_path)!r}) / ("a" + form.suffixes[0])
    if form.can_write:
        write_splats(path, SplatContent(made_cloud(30, form.sh_degree)), frame="y_up")
    if form.can_read and form.can_write:
        assert len(read_splats(path)) == 30
assert not {{"torch", "numba", "bpy"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)


@pytest.mark.parametrize("form", [form for form in FORMATS if form.can_write], ids=lambda form: form.name)
def test_a_written_file_is_found_by_its_name_and_its_content(form, tmp_path: Path) -> None:
    path = tmp_path / f"a{form.suffixes[0]}"
    write_splats(path, SplatContent(made_cloud(40, 1)))
    assert format_by_name(path) is form and sniff_format(path) is form
    assert form.suffixes[0] in WRITABLE and (form.suffixes[0] in READABLE) is form.can_read
    assert [other for other in tmp_path.iterdir() if other.name.startswith(".")] == []


def test_names_are_not_mistaken(tmp_path: Path) -> None:
    assert format_by_name(tmp_path / "a.compressed.ply").name == "compressed.ply"
    assert format_by_name(tmp_path / "A.PLY").name == "ply"
    for name in ("aply", "ply", "a.ply.gz", "a"):
        with pytest.raises(UserError, match="no suffix"):
            format_by_name(tmp_path / name)


def test_an_asked_degree_is_the_highest_that_is_written(tmp_path: Path) -> None:
    cloud = made_cloud(9, 3)
    write_splats(tmp_path / "a.ply", SplatContent(cloud), sh_degree=1)
    np.testing.assert_array_equal(read_splats(tmp_path / "a.ply").cloud.sh, cloud.sh[:, :4])
    write_splats(tmp_path / "b.ply", SplatContent(made_cloud(9, 1)), sh_degree=3)
    assert read_splats(tmp_path / "b.ply").cloud.sh_degree == 1


# ---- frames


def test_there_are_48_frames_and_half_of_them_are_mirrored() -> None:
    assert len({letters_of(frame) for frame in FRAMES}) == len(FRAMES) == 48
    assert sum(is_mirrored(frame) for frame in FRAMES) == 24
    assert not any(map(is_mirrored, ("opencv", "z_up", "y_up")))


def test_the_frames_in_use_are_what_their_names_say() -> None:
    right, up, forward = np.eye(3)  # in a frame of right, up, forward
    for frame, x, y, z in (
        ("opencv", right, -up, forward),
        ("z_up", right, forward, up),
        ("y_up", right, up, -forward),
        ("LDB", -right, -up, -forward),
    ):
        np.testing.assert_array_equal(rotation_between(frame, "RUF"), np.stack([x, y, z], axis=1))
        np.testing.assert_array_equal(rotation_between(frame, "RUF") @ up_in(frame), up)


def test_every_turn_is_undone_by_its_opposite() -> None:
    for source in FRAMES:
        for target in FRAMES:
            matrix = rotation_between(source, target)
            np.testing.assert_array_equal(matrix @ rotation_between(target, source), np.eye(3))
            assert np.linalg.det(matrix) == (1 if is_mirrored(source) == is_mirrored(target) else -1)


def test_frames_are_called_by_name_or_by_letters() -> None:
    assert frame_called("RDF") == frame_called("OpenCV") == "opencv" and frame_called("luf") == "LUF"
    for name in ("RRF", "up", ""):
        with pytest.raises(UserError, match="no frame called"):
            frame_called(name)
