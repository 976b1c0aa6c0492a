"""Starts programs of others for tests, many jobs at once; skips the test, with a reason, where they are not here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import plyfile
import pytest

from backend.splats.cloud import SplatCloud
from building.oracles import FOLDER, PACKAGES, has_node_packages, node_program
from building.process import PYTHON

HERE = Path(__file__).parent
_MOST_SECONDS = 300


def run_node(jobs: list[dict[str, object]], folder: Path) -> None:
    """splat-transform and Adobe's build of Niantic's SPZ library; see convert.mjs."""
    node = node_program("node")
    if node is None or not has_node_packages():
        pytest.skip("needs Node 20 and the packages of tests/oracles/node: python3 build.py setup")
    shutil.copy(HERE / "node" / "convert.mjs", FOLDER)  # Node looks for packages beside the script
    _run([node, str(FOLDER / "convert.mjs")], jobs, folder, dict(os.environ))


def run_python(jobs: list[dict[str, object]], folder: Path) -> None:
    """gsply and usd-convert-gsplat; see python_jobs.py."""
    if not (PACKAGES / "gsply").is_dir():
        pytest.skip("needs the packages of requirements/oracles.txt: python3 build.py setup")
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES)}
    _run([str(PYTHON), str(HERE / "python_jobs.py")], jobs, folder, environment)


def _run(command: list[str], jobs: list[dict[str, object]], folder: Path, environment: dict[str, str]) -> None:
    listed = folder / "jobs.json"
    listed.write_text(json.dumps(jobs, default=str))
    told = subprocess.run(
        [*command, str(listed)], env=environment, capture_output=True, text=True, timeout=_MOST_SECONDS, check=False
    )
    assert told.returncode == 0, told.stderr[-3000:]


def cloud_of_columns(columns: dict[str, np.ndarray]) -> SplatCloud:
    """The columns of a 3DGS PLY, of whatever file, as a cloud: f_rest runs over coefficients, then colours."""
    rest = sum(name.startswith("f_rest_") for name in columns) // 3

    def side_by_side(*names: str) -> np.ndarray:
        return np.stack([columns[name] for name in names], -1).astype(np.float32)

    sh = [side_by_side("f_dc_0", "f_dc_1", "f_dc_2")]
    sh += [side_by_side(*(f"f_rest_{c * rest + k}" for c in range(3))) for k in range(rest)]
    return SplatCloud(
        side_by_side("x", "y", "z"),
        side_by_side("rot_0", "rot_1", "rot_2", "rot_3"),
        side_by_side("scale_0", "scale_1", "scale_2"),
        side_by_side("opacity")[:, 0],
        np.stack(sh, 1),
    )


def cloud_in_csv(path: Path) -> SplatCloud:
    with path.open() as stream:
        names = stream.readline().strip().split(",")
    table = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
    return cloud_of_columns({name: table[:, index] for index, name in enumerate(names)})


def cloud_in_ply(path: Path) -> SplatCloud:
    """Read with plyfile, not with our reader."""
    data = plyfile.PlyData.read(str(path))["vertex"].data
    return cloud_of_columns({name: data[name] for name in data.dtype.names})


def cloud_in_adobe_json(path: Path) -> SplatCloud:
    about = json.loads(path.read_text())
    n = about["numPoints"]
    arrays = {
        name: np.array(about[name], np.float32).reshape(n, -1)
        for name in ("positions", "scales", "rotations", "alphas", "colors")
    }
    sh = np.array(about["sh"], np.float32).reshape(n, -1, 3)
    return SplatCloud(
        arrays["positions"],
        arrays["rotations"][:, (3, 0, 1, 2)],
        arrays["scales"],
        arrays["alphas"][:, 0].clip(-20, 20),
        np.concatenate([arrays["colors"][:, None], sh], axis=1),
    )


def adobe_json_of(cloud: SplatCloud) -> str:
    flat = {
        "positions": cloud.means,
        "scales": cloud.log_scales,
        "rotations": cloud.quats[:, (1, 2, 3, 0)],
        "alphas": cloud.opacity_logits,
        "colors": cloud.sh[:, 0],
        "sh": cloud.sh[:, 1:],
    }
    about = {"numPoints": len(cloud), "shDegree": cloud.sh_degree, "antialiased": False}
    return json.dumps(about | {name: array.ravel().tolist() for name, array in flat.items()})


def cloud_in_npz(path: Path) -> SplatCloud:
    with np.load(path) as found:
        return SplatCloud(
            *(found[name].astype(np.float32) for name in ("means", "quats", "log_scales", "opacity_logits", "sh"))
        )
