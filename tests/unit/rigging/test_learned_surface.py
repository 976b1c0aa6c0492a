"""The surface that a training has learned goes along with the binding, and can be written as a mesh."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.cli.command import run
from backend.jobs.splat_files import read_splat_file, write_splat_file
from backend.rigging.baking import bake_pose
from backend.rigging.binding import Binding, bind_to_mesh
from backend.rigging.moved import moved_binding
from backend.splats.io import SplatContent
from backend.splats.io.mesh_files import read_mesh
from tests.unit.rigging.test_bound import cloud_of, icosphere

CLOUD, MESH = cloud_of(1), icosphere()
LEARNED = (1.1 * MESH.vertices).astype(np.float32)


@pytest.fixture
def binding() -> Binding:
    return replace(bind_to_mesh(CLOUD, MESH), surface=LEARNED)


@pytest.mark.parametrize("name", ["ball.safetensors", "ball.bound"])
def test_it_is_stored_and_written_by_the_command(binding: Binding, tmp_path: Path, name: str) -> None:
    write_splat_file(tmp_path / name, SplatContent(CLOUD), binding)
    _, found = read_splat_file(tmp_path / name)
    assert found is not None and np.allclose(found.surface, LEARNED)
    assert run(["mesh", str(tmp_path / name), "-o", str(tmp_path / "learned.obj"), "--bound", "--quiet"]) == 0
    learned = read_mesh(tmp_path / "learned.obj")
    assert np.allclose(learned.vertices, LEARNED, atol=1e-5) and np.array_equal(learned.faces, MESH.faces)


def test_without_one_the_mesh_itself_is_written_and_without_a_binding_none(
    binding: Binding, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bound, plain, out = (tmp_path / name for name in ("ball.safetensors", "ball.ply", "out.ply"))
    write_splat_file(bound, SplatContent(CLOUD), replace(binding, surface=None))
    write_splat_file(plain, SplatContent(CLOUD))
    assert run(["mesh", str(bound), "-o", str(out), "--bound"]) == 0
    assert np.allclose(read_mesh(out).vertices, MESH.vertices, atol=1e-6)
    out.unlink()
    assert run(["mesh", str(plain), "-o", str(out), "--bound"]) == 1
    assert "not bound to a mesh" in capsys.readouterr().err and not out.exists()


def test_it_moves_with_the_splats_and_goes_when_the_mesh_is_deformed(binding: Binding) -> None:
    matrix = np.diag([2.0, 2, 2, 1])
    matrix[:3, 3] = 1
    moved = moved_binding(binding, matrix, 2 * CLOUD.means + 1)
    assert moved is not None and np.allclose(moved.surface, 2 * LEARNED + 1, atol=1e-5)
    _, posed = bake_pose(CLOUD, binding, MESH.vertices * np.array([1, 1, 1.2], np.float32), split_beyond=None)
    assert posed.surface is None


def test_a_damaged_one_is_no_binding(binding: Binding) -> None:
    for wrong in (LEARNED[1:], LEARNED.astype(np.float64), np.full_like(LEARNED, np.nan)):
        with pytest.raises(ValueError, match="learned surface"):
            Binding.from_arrays(binding.to_arrays() | {"surface": wrong})
