"""Names of an animation's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from blender_addon.core.frame_paths import path_of_frame


@pytest.mark.parametrize(
    ("name", "suffix", "frame", "expected"),
    [
        ("fox_###.ply", ".ply", 7, "fox_007.ply"),
        ("fox.compressed.ply", ".compressed.ply", 12, "fox_0012.compressed.ply"),
        ("#_of_####_x.spz", ".spz", 3, "#_of_0003_x.spz"),
        ("fox_##.ply", ".ply", 12345, "fox_12345.ply"),
        ("fox_####.ply", ".ply", -5, "fox_-0005.ply"),
    ],
)
def test_a_frames_number_stands_where_the_hashes_are(name: str, suffix: str, frame: int, expected: str) -> None:
    assert path_of_frame(Path("/shots/a#b", name), suffix, frame) == Path("/shots/a#b", expected)
