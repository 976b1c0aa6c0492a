"""Mesh files: what is written comes back, colours as their formats want them, damage in one sentence."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh

from backend.splats.io.mesh_files import read_mesh, write_mesh
from backend.splats.mesh_texture import MeshTexture
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


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_a_texture_comes_back_with_every_corner_where_it_was(tmp_path: Path, mesh: TriangleMesh, suffix: str) -> None:
    random = np.random.default_rng(1)
    image = random.integers(0, 256, (16, 16, 3), np.uint8)
    whole = random.random((len(mesh.vertices), 2), np.float32)[mesh.faces]
    whole[::3] = random.random((len(whole[::3]), 3, 2), np.float32)  # every third face is a chart of its own
    texture = MeshTexture(whole, image)
    path = tmp_path / f"mesh{suffix}"
    write_mesh(path, mesh, texture)
    found = trimesh.load_mesh(str(path), process=False)
    material = found.visual.material
    picture = material.baseColorTexture if suffix == ".glb" else material.image
    assert np.array_equal(np.asarray(picture.convert("RGB")), image)
    assert np.allclose(found.vertices[found.faces], mesh.corners, atol=1e-6)
    assert np.allclose(found.visual.uv[found.faces], whole, atol=1e-6)


def test_colours_of_a_texture_are_between_those_of_its_pixels() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 1] = 200  # the upper right one
    texture = MeshTexture(np.array([[[0, 0], [1, 0], [1, 1]]], np.float32), image)
    corner = np.array([[0.25, 0, 0.75], [0.5, 0, 0.5]])
    colors = texture.at(np.zeros(2, int), corner) * 255
    assert colors[:, 0] == pytest.approx([200, 50], abs=0.01)
