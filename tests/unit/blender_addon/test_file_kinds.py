"""What a file is by its name and its first bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.methods.registry import catalog
from backend.splats.io.formats import write_cloud
from blender_addon.core import file_kinds
from shared_protocol.errors import UserError
from tests.made_splats import sphere

SUFFIXES = catalog().reads


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.ply", ".ply"),
        ("A.Compressed.PLY", ".compressed.ply"),
        ("meta.json", ".meta.json"),
        ("fox.meta.json", ".meta.json"),
        ("other.json", ""),
        ("ply", ".ply"),
        ("", ""),
    ],
)
def test_the_longest_suffix_counts(name: str, suffix: str) -> None:
    assert file_kinds.suffix_of(Path(name), SUFFIXES) == suffix


def test_the_format_of_a_name_is_one_that_can_be_written_where_there_are_two() -> None:
    formats = catalog().formats
    found = [file_kinds.format_of(Path(name), formats) for name in ("a.ply", "a.ksplat", "a.spz", "a.png")]
    assert [form and form.name for form in found] == ["ply", "ksplat", "spz", None]


def test_a_ply_is_told_by_its_header(tmp_path: Path) -> None:
    write_cloud(tmp_path / "splats.ply", sphere(count=5))
    write_cloud(tmp_path / "small.compressed.ply", sphere(count=5))
    header = "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
    faces = "element face {}\nproperty list uchar int vertex_indices\n"
    texts = {
        "points": header + "end_header\n0 0 0\n",
        "mesh": header + faces.format(1) + "end_header\n0 0 0\n3 0 0 0\n",
        "no_faces": header + faces.format(0) + "end_header\n0 0 0\n",
        "cut": header,
        "heights": "ply\nformat ascii 1.0\nelement vertex 1\nproperty float z\nend_header\n0\n",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.ply").write_text(text)
    (tmp_path / "noise.ply").write_bytes(np.arange(256, dtype=np.uint8).tobytes())
    kinds = {path.stem: file_kinds.ply_kind(path) for path in tmp_path.iterdir()}
    assert kinds == {
        **{"splats": "splats", "small.compressed": "splats", "points": "points", "mesh": "mesh"},
        **{"no_faces": "points", "cut": "unknown", "heights": "unknown", "noise": "unknown"},
    }
    assert file_kinds.ply_kind(tmp_path / "none.ply") == "unknown"


def test_only_one_file_goes_to_another_machine() -> None:
    file_kinds.refuse_far_parts(Path("a.sog"), ".sog")
    with pytest.raises(UserError, match=r"'meta\.json' has further files beside it"):
        file_kinds.refuse_far_parts(Path("meta.json"), ".meta.json")
