"""Mesh files: what is written comes back, colours as their formats want them, damage in one sentence."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh

from backend.splats.io.mesh_files import read_mesh, write_mesh
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError


@pytest.fixture
def mesh() -> TriangleMesh:
    made = trimesh.creation.icosphere(subdivisions=2, radius=0.7)
    colors = np.random.default_rng(0).integers(0, 256, (len(made.vertices), 3), np.uint8)
    return TriangleMesh(made.vertices.astype(np.float32), made.faces.astype(np.int32), colors)


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
def test_vertices_and_faces_come_back_in_their_order(tmp_path: Path, mesh: TriangleMesh, suffix: str) -> None:
    path = tmp_path / f"mesh{suffix}"
    write_mesh(path, mesh)
    found = read_mesh(path)
    assert np.allclose(found.vertices, mesh.vertices, atol=1e-6) and np.array_equal(found.faces, mesh.faces)


@pytest.mark.parametrize("suffix", [".obj", ".ply"])
def test_colours_are_srgb_where_the_format_says_nothing(tmp_path: Path, mesh: TriangleMesh, suffix: str) -> None:
    write_mesh(tmp_path / f"mesh{suffix}", mesh)
    loaded = trimesh.load_mesh(str(tmp_path / f"mesh{suffix}"), process=False)
    assert np.array_equal(loaded.visual.vertex_colors[:, :3], mesh.colors)


def test_colours_in_glb_are_linear(tmp_path: Path, mesh: TriangleMesh) -> None:
    write_mesh(tmp_path / "mesh.glb", mesh)
    content = (tmp_path / "mesh.glb").read_bytes()
    length = struct.unpack("<I", content[12:16])[0]
    about = json.loads(content[20 : 20 + length])
    view = about["bufferViews"][about["accessors"][2]["bufferView"]]
    start = 28 + length + view["byteOffset"]
    linear = np.frombuffer(content[start : start + view["byteLength"]], "<u2").reshape(-1, 4) / 65535
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    assert mesh.colors is not None and np.array_equal(np.rint(255 * srgb[:, :3]), mesh.colors)
    assert (linear[:, 3] == 1).all()


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply", ".stl", ".off"])
def test_damaged_files_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"broken{suffix}"
    for content in (b"", b"\x00\xff" * 40, b"glTF\x02\0\0\0\xff\xff\0\0", b"ply\nformat ascii 1.0\nelement vertex 9\n"):
        path.write_bytes(content)
        with pytest.raises(UserError, match="broken"):
            read_mesh(path)


def test_a_file_that_is_cut_off_is_named(tmp_path: Path, mesh: TriangleMesh) -> None:
    for suffix in (".glb", ".ply"):
        path = tmp_path / f"cut{suffix}"
        write_mesh(path, mesh)
        path.write_bytes(path.read_bytes()[:900])
        with pytest.raises(UserError, match="cut"):
            read_mesh(path)


def test_other_names_are_refused(tmp_path: Path, mesh: TriangleMesh) -> None:
    with pytest.raises(UserError, match="fbx"):
        write_mesh(tmp_path / "mesh.fbx", mesh)
    with pytest.raises(UserError, match="no file"):
        read_mesh(tmp_path / "missing.ply")
    (tmp_path / "mesh.txt").write_text("v 0 0 0")
    with pytest.raises(UserError, match="mesh file"):
        read_mesh(tmp_path / "mesh.txt")
