"""`splatwright convert` and `info`: formats, frames, places, several files into one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from backend.cli.command import run
from backend.splats.io import SplatContent, read_splats, write_splats
from backend.splats.io.content import turned
from tests.unit.splats_io.made_clouds import assert_within, made_cloud

CLOUD = made_cloud(300, 2)
EXACT = {"means": 2e-6, "log_scales": 2e-6, "opacity": 1e-6, "rotation": 1e-3, "color": 1e-6, "sh": 2e-6}


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    extra = {"label": np.arange(300, dtype=np.uint8)}
    write_splats(tmp_path / "scene.ply", SplatContent(CLOUD, antialiased=True, extra=extra))
    return tmp_path / "scene.ply"


def test_a_file_becomes_another_format_and_back(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spz, back = tmp_path / "scene.spz", tmp_path / "back.ply"
    assert run(["convert", str(scene), str(spz), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["format"], told["splats"], told["sh_degree"], told["bytes"]) == ("spz", 300, 2, spz.stat().st_size)
    assert told["frame"] == "y_up" == read_splats(spz).frame
    assert run(["convert", str(spz), str(back)]) == 0
    content = read_splats(back)
    order = [int(np.abs(content.cloud.means - mean).sum(axis=1).argmin()) for mean in CLOUD.means]
    assert np.abs(content.cloud.means[order] - CLOUD.means).max() < 1e-3 and content.antialiased


def test_frames_are_asked_for_and_overruled(scene: Path, tmp_path: Path) -> None:
    upright, claimed = tmp_path / "upright.ply", tmp_path / "claimed.ply"
    assert run(["convert", str(scene), str(upright), "--frame", "z_up"]) == 0
    assert_within(read_splats(upright).cloud, turned(SplatContent(CLOUD), "z_up").cloud, EXACT)
    assert run(["convert", str(upright), str(claimed), "--from-frame", "RFU"]) == 0
    assert_within(read_splats(claimed).cloud, CLOUD, EXACT)
    assert read_splats(claimed).extra["label"].tolist() == list(np.arange(300, dtype=np.uint8))


def test_several_files_become_one_with_the_highest_degree(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, both = made_cloud(50, 3, seed=4), tmp_path / "both.ply"
    write_splats(tmp_path / "other.ply", SplatContent(other))
    assert run(["convert", str(scene), str(tmp_path / "other.ply"), str(both)]) == 0
    read = read_splats(both)
    assert len(read) == 350 and read.cloud.sh_degree == 3 and read.extra == {} and read.antialiased is None
    np.testing.assert_array_equal(read.cloud.sh[:300, :9], CLOUD.sh)
    assert not read.cloud.sh[:300, 9:].any()
    np.testing.assert_array_equal(read.cloud.means[300:], other.means)
    said = capsys.readouterr().err
    assert "Left out what not all files have: label." in said and "do not agree on antialiasing" in said


def test_what_is_transformed_is_then_cropped(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.ply"
    rows = "2 0 0 10  0 2 0 0  0 0 2 0  0 0 0 1"
    command = ["convert", str(scene), str(out), "--transform", rows, "--crop", "10 -9 -9  19 9 9", "--sh-degree", "1"]
    assert run(command) == 0
    kept = CLOUD.select(CLOUD.means[:, 0] >= 0)
    read = read_splats(out)
    np.testing.assert_allclose(read.cloud.means, kept.means * 2 + [10, 0, 0], atol=1e-5)
    np.testing.assert_allclose(read.cloud.log_scales, kept.log_scales + np.log(2), atol=1e-5)
    assert read.cloud.sh_degree == 1 and len(read.extra["label"]) == len(kept)
    assert "cut from degree 2 to 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("SCENE", 2, "at least one file"),
        ("SCENE OUT.xyz", 1, "no suffix of a format"),
        ("SCENE OUT.ply --frame sideways", 1, "no frame called 'sideways'"),
        ("SCENE missing.ply OUT.ply", 1, "no file 'missing.ply'"),
        ("SCENE OUT.ply --crop 1,2,3", 2, "6 or 16 numbers"),
        ("SCENE OUT.ply --transform 1,2,3", 2, "16 numbers"),
        ("SCENE OUT.ply --transform 0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1", 1, "flattens"),
        ("SCENE OUT.ply --transform 1,0,0,nan,0,1,0,0,0,0,1,0,0,0,0,1", 1, "finite"),
    ],
)
def test_what_cannot_be_converted_is_said_and_writes_nothing(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: str, code: int, said: str
) -> None:
    words = [word.replace("SCENE", str(scene)).replace("OUT", str(tmp_path / "out")) for word in arguments.split()]
    assert run(["convert", *words]) == code
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["scene.ply"]


def test_info_tells_axes_columns_and_notes(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(scene)]) == 0
    said = capsys.readouterr()
    assert "opencv: x right, y down, z forward" in said.out and "label" in said.out and "yes" in said.out
    assert run(["info", str(scene), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["frame"], told["antialiased"], told["extra"]) == ("opencv", True, ["label"])
