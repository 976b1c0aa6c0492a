"""Splats that were trained to be drawn antialiased are drawn so, because their file says it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.captures.made_capture import make_capture
from backend.cli.command import run
from backend.jobs.splat_files import write_splat_file
from backend.splats.io.content import SplatContent
from backend.splats.io.mesh_files import read_mesh
from tests.made_splats import sphere

SMALL = sphere(1.0, 20_000)  # splats much smaller than a pixel
CAMERA = {
    "world_from_camera": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -4], [0, 0, 0, 1]],
    "width": 48,
    "height": 48,
    "fx": 60,
}


@pytest.fixture(params=[".ply", ".spz", ".safetensors"])
def splats(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"small{request.param}"
    write_splat_file(path, SplatContent(SMALL, antialiased=True))
    (tmp_path / "camera.json").write_text(json.dumps(CAMERA), encoding="utf-8")
    return path


def test_a_picture_is_drawn_as_the_file_says_unless_told_otherwise(splats: Path, tmp_path: Path) -> None:
    pictures = {}
    for words in ("", "--antialiased", "--no-antialiased"):
        out = tmp_path / f"picture{words}.png"
        command = ["render", str(splats), "--camera", str(tmp_path / "camera.json"), "-o", str(out), *words.split()]
        assert run(command) == 0
        pictures[words] = np.asarray(Image.open(out)).astype(int)
    assert np.array_equal(pictures[""], pictures["--antialiased"])
    assert np.abs(pictures[""] - pictures["--no-antialiased"]).max() > 20


def test_likeness_is_measured_as_the_file_says(
    splats: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture = make_capture(tmp_path / "capture", views=9, width=48, height=32)
    figures = []
    for words in ("", "--antialiased", "--no-antialiased"):
        assert run(["eval", str(splats), str(capture), "--json", *words.split()]) == 0
        figures.append(json.loads(capsys.readouterr().out)["psnr"])
    assert figures[0] == figures[1] != figures[2]


def test_a_mesh_is_made_of_what_is_drawn(splats: Path, tmp_path: Path) -> None:
    """Fainter splats are seen through, and the surface behind them lies deeper."""
    drawn_larger = tmp_path / "larger.ply"
    write_splat_file(drawn_larger, SplatContent(SMALL, antialiased=False))
    radii = []
    for number, path in enumerate((splats, drawn_larger)):
        out = tmp_path / f"{number}.ply"
        assert run(["mesh", str(path), "-o", str(out), "--set", "resolution=24", "--set", "views=12"]) == 0
        radii.append(np.linalg.norm(read_mesh(out).vertices, axis=1).mean())
    assert radii[0] < radii[1] - 1e-4
