"""Independent programs that our readers and writers are compared with; a test of one that is not here is skipped.

`python3 build.py test` installs it (building/oracles.py); test_conformance.py has more of them.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from backend.splats.cloud import SplatCloud
from building.oracles import FOLDER


def splat_transform(*arguments: Path | str) -> None:
    """Runs PlayCanvas's converter, or skips the test."""
    program = FOLDER / "node_modules" / ".bin" / "splat-transform"
    if not program.exists() or shutil.which("node") is None:
        pytest.skip("needs Node 20 and the packages of tests/oracles/node: python3 build.py setup")
    done = subprocess.run(
        [str(program), "-w", *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def as_splat_transform_reads(path: Path, folder: Path) -> SplatCloud:
    """What the converter finds in a file, as plain numbers."""
    splat_transform(path, folder / "oracle.csv")
    return cloud_of_csv(folder / "oracle.csv")


def cloud_of_csv(path: Path) -> SplatCloud:
    """Columns named as those of a 3DGS PLY."""
    with path.open() as stream:
        names = stream.readline().strip().split(",")
    columns = dict(zip(names, np.loadtxt(path, np.float64, delimiter=",", skiprows=1, ndmin=2).T, strict=True))

    def side_by_side(*chosen: str) -> np.ndarray:
        return np.stack([columns[name] for name in chosen], axis=1).astype(np.float32)

    rest = sum(name.startswith("f_rest_") for name in names) // 3
    order = ["f_dc_0", "f_dc_1", "f_dc_2", *(f"f_rest_{c * rest + k}" for k in range(rest) for c in range(3))]
    return SplatCloud(
        side_by_side("x", "y", "z"),
        side_by_side("rot_0", "rot_1", "rot_2", "rot_3"),
        side_by_side("scale_0", "scale_1", "scale_2"),
        columns["opacity"].astype(np.float32),
        side_by_side(*order).reshape(-1, rest + 1, 3),
    )
