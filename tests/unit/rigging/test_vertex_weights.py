"""Weights of vertices from files and from the mesh's own properties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.rigging.vertex_weights import read_weights
from shared_protocol.errors import UserError

WEIGHTS = np.array([0, 0.2, 1], np.float32)
PLY = """ply
format ascii 1.0
element vertex 3
property float x
property float y
property float z
property uchar red
property float strength
element face 1
property list uchar int vertex_indices
end_header
0 0 0 0 0
1 0 0 51 0.2
0 1 0 255 1
3 0 1 2
"""


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    path = tmp_path / "triangle.ply"
    path.write_text(PLY)
    np.save(tmp_path / "one.npy", WEIGHTS)
    np.savez(tmp_path / "one.npz", weights=WEIGHTS)
    np.savez(tmp_path / "other.npz", vertices=WEIGHTS)
    np.save(tmp_path / "words.npy", np.array(["a", "b", "c"]))
    np.save(tmp_path / "large.npy", 2 * WEIGHTS)
    np.save(tmp_path / "nan.npy", np.full(3, np.nan))
    (tmp_path / "broken.npy").write_bytes(b"no array")
    return path


@pytest.mark.parametrize("source", ["one.npy", "one.npz", "red", "strength"])
def test_weights_come_from_a_file_or_a_property(mesh: Path, source: str) -> None:
    found = read_weights(str(mesh.parent / source) if "." in source else source, mesh, 3)
    assert found.dtype == np.float32 and np.allclose(found, WEIGHTS)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("gone.npy", "no file"),
        ("broken.npy", "holds no weights"),
        ("other.npz", "holds no weights"),
        ("words.npy", "for 3 vertices"),
        ("large.npy", "not from 0 to 1"),
        ("nan.npy", "not from 0 to 1"),
        ("blue", "no property 'blue'"),
    ],
)
def test_what_holds_none_is_said(mesh: Path, source: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read_weights(str(mesh.parent / source) if "." in source else source, mesh, 3)


def test_others_than_the_mesh_has_are_said(mesh: Path) -> None:
    with pytest.raises(UserError, match="for 4 vertices"):
        read_weights(str(mesh.parent / "one.npy"), mesh, 4)
    with pytest.raises(UserError, match="no PLY file"):
        read_weights("red", mesh.with_suffix(".obj"), 3)
