"""glTF: nothing is lost, nodes place splats, and files that are not what they say."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh

from backend.splats.io import gltf, read_splats, write_splats
from backend.splats.io.content import SplatContent
from shared_protocol.errors import UserError
from tests.unit.splats_io.made_clouds import assert_within, made_cloud

# Sizes and opacities go through exp and sigmoid in float32.
FLOATS = {"means": 0, "log_scales": 1e-6, "opacity": 3e-7, "rotation": 1e-4, "color": 0, "sh": 0}


@pytest.mark.parametrize("name", ["a.glb", "a.gltf"])
@pytest.mark.parametrize("degree", range(4))
def test_what_is_written_is_read_back(tmp_path: Path, name: str, degree: int) -> None:
    cloud = made_cloud(300, degree)
    gltf.write(tmp_path / name, SplatContent(cloud, "y_up"))
    read = read_splats(tmp_path / name)
    assert_within(read.cloud, cloud, FLOATS)
    assert read.frame == "y_up" and not read.notes


@pytest.mark.parametrize("name", ["a.glb", "a.gltf"])
def test_an_empty_cloud_is_a_file_too(tmp_path: Path, name: str) -> None:
    gltf.write(tmp_path / name, SplatContent(made_cloud(0, 1), "y_up"))
    assert gltf.read(tmp_path / name).cloud.sh.shape == (0, 4, 3)


def test_the_file_is_written_as_gltf_wants_it_and_with_less_of_sh(tmp_path: Path) -> None:
    write_splats(tmp_path / "a.glb", SplatContent(made_cloud(7, 4), "opencv"))
    content = (tmp_path / "a.glb").read_bytes()
    magic, version, length, text_length = struct.unpack_from("<4sIII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    about = json.loads(content[20 : 20 + text_length])
    extension = about["meshes"][0]["primitives"][0]["extensions"]["KHR_gaussian_splatting"]
    assert (extension["kernel"], extension["colorSpace"]) == ("ellipse", "srgb_rec709_display")
    assert read_splats(tmp_path / "a.glb").cloud.sh_degree == 3


def test_programs_that_know_no_splats_see_coloured_points(tmp_path: Path) -> None:
    cloud = made_cloud(50, 0)
    gltf.write(tmp_path / "a.glb", SplatContent(cloud, "y_up"))
    scene = trimesh.load(tmp_path / "a.glb")
    (points,) = scene.geometry.values()
    np.testing.assert_allclose(points.vertices, cloud.means, rtol=1e-6)
    assert points.colors.shape == (50, 4) and len(np.unique(points.colors, axis=0)) > 10


# ---- files of others


def text_file(path: Path, change: Callable[[dict], None], cloud=None) -> Path:
    gltf.write(path, SplatContent(made_cloud(5, 1) if cloud is None else cloud, "y_up"))
    about = json.loads(path.read_text())
    change(about)
    path.write_text(json.dumps(about))
    return path


def test_nodes_place_their_splats_and_several_are_one_cloud(tmp_path: Path) -> None:
    def place(about: dict) -> None:
        about["nodes"] = [
            {"mesh": 0},
            {"children": [2], "translation": [10, 0, 0], "scale": [2, 2, 2]},
            {"mesh": 0, "rotation": [0, 0.5**0.5, 0, 0.5**0.5]},
            {"mesh": 0, "translation": [99, 99, 99]},  # which the scene does not show
        ]
        about["scenes"] = [{"nodes": [0, 1]}]

    cloud = made_cloud(5, 1)
    read = gltf.read(text_file(tmp_path / "a.gltf", place)).cloud
    assert len(read) == 10
    np.testing.assert_allclose(read.means[:5], cloud.means)
    turned = 2 * cloud.means[:, (2, 1, 0)] * (1, 1, -1) + (10, 0, 0)  # a quarter turn around y
    np.testing.assert_allclose(read.means[5:], turned, atol=1e-5)
    np.testing.assert_allclose(read.log_scales[5:], cloud.log_scales + np.log(2), atol=1e-5)
    # Red along z before is red along x after: the basis of order 1 is -y, z, -x.
    np.testing.assert_allclose(read.sh[5:, 3], -cloud.sh[:, 2], atol=1e-5)


def test_sizes_of_older_drafts_are_logarithms(sample_data) -> None:
    """Made by bevy_gaussian_splatting: floats and integers of every kind that the extension allows."""
    folder = sample_data("splats") / "tiny"
    binary, text = (gltf.read(folder / f"khr_conformance_matrix.{kind}") for kind in ("glb", "gltf"))
    assert any("logarithms" in note for note in binary.notes) and any("lin_rec709" in note for note in binary.notes)
    assert binary.cloud.sh_degree == 3 and len(binary) == 15
    for name in ("means", "quats", "log_scales", "opacity_logits", "sh"):
        np.testing.assert_array_equal(getattr(binary.cloud, name), getattr(text.cloud, name))
    np.testing.assert_allclose(binary.cloud.log_scales[:3], np.tile([0, 0.5, -0.5], (3, 1)), atol=0.01)
    np.testing.assert_allclose(binary.cloud.quats[:3], np.tile([0, 1, 0, 0], (3, 1)), atol=0.01)
    opacity = 1 / (1 + np.exp(-binary.cloud.opacity_logits[8:11]))
    np.testing.assert_allclose(opacity, [0.75, 0.25, 0.25], atol=1 / 255)


def test_unknown_kernels_and_plain_colours_are_taken_with_a_word(sample_data) -> None:
    read = gltf.read(sample_data("splats") / "tiny" / "khr_extensible_fallback.gltf")
    assert len(read) == 1 and len(read.notes) >= 3


# ---- files that are not what they say


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_splats(path)
    assert path.name in caught.value.message and "\n" not in str(caught.value)
    return caught.value.message


def at(*way: str | int, value: object) -> Callable[[dict], None]:
    def change(about: dict) -> None:
        place = about
        for step in way[:-1]:
            place = place[step]  # type: ignore[index]
        place[way[-1]] = value  # type: ignore[index]

    return change


@pytest.mark.parametrize(
    "way, value",
    [
        (("accessors", 0, "count"), 4_000_000_000),
        (("accessors", 0, "count"), 4),
        (("accessors", 0, "count"), -1),
        (("accessors", 0, "byteOffset"), 8),
        (("accessors", 0, "componentType"), 7),
        (("accessors", 0, "type"), "VEC9"),
        (("accessors", 0, "sparse"), {}),
        (("accessors", 0, "bufferView"), None),
        (("accessors", 0, "bufferView"), 99),
        (("accessors", 0), {"count": 1 << 60, "componentType": 5126, "type": "VEC3"}),
        (("bufferViews", 0, "buffer"), 99),
        (("bufferViews", 0, "byteLength"), 1 << 50),
        (("bufferViews", 0, "byteStride"), 4),
        (("bufferViews", 0, "extensions"), {"EXT_meshopt_compression": {}}),
        (("buffers", 0, "byteLength"), 1 << 40),
        (("buffers", 0, "uri"), "data:application/octet-stream;base64,!!"),
        (("buffers", 0, "uri"), "data:text/plain,hello"),
        (("buffers", 0, "uri"), "absent.bin"),
        (("buffers", 0, "uri"), "../a.gltf"),
        (("buffers", 0, "uri"), "%2e%2e/a.gltf"),
        (("buffers", 0, "uri"), "/etc/passwd"),
        (("buffers", 0, "uri"), "file:///etc/passwd"),
        (("nodes", 0, "children"), [0]),
        (("nodes", 0, "children"), [7]),
        (("nodes", 0, "mesh"), 7),
        (("nodes", 0, "scale"), [1, 0, 1]),
        (("nodes", 0, "matrix"), [1, 2]),
        (("meshes", 0, "primitives", 0, "attributes", "POSITION"), 99),
        (("meshes", 0, "primitives", 0, "attributes"), {"POSITION": 0}),
        (("meshes", 0, "primitives", 0, "extensions"), {}),
        (("scenes", 0, "nodes"), []),
    ],
    ids=lambda part: str(part)[:60],
)
def test_a_description_that_does_not_fit_is_one_sentence(tmp_path: Path, way: tuple, value: object) -> None:
    refused(text_file(tmp_path / "a.gltf", at(*way, value=value)))


def test_broken_files_are_one_sentence(tmp_path: Path) -> None:
    gltf.write(tmp_path / "a.glb", SplatContent(made_cloud(40, 1), "y_up"))
    content = (tmp_path / "a.glb").read_bytes()
    bad = tmp_path / "b.glb"
    for length in (4, 13, 200, len(content) // 2, len(content) - 1):
        bad.write_bytes(content[:length])
        refused(bad)
    bad.write_bytes(content[:20] + b"[" + content[21:])
    refused(bad)
    nested = tmp_path / "c.gltf"
    nested.write_text('{"KHR_gaussian_splatting":' + "[" * 100_000)
    refused(nested)


def test_data_beside_the_file_is_read(tmp_path: Path) -> None:
    def move_out(about: dict) -> None:
        data = base64.b64decode(about["buffers"][0]["uri"].partition(",")[2])
        (tmp_path / "the data.bin").write_bytes(data)
        about["buffers"][0]["uri"] = "the%20data.bin"

    read = gltf.read(text_file(tmp_path / "a.gltf", move_out))
    np.testing.assert_array_equal(read.cloud.means, made_cloud(5, 1).means)


def test_other_gltf_files_are_no_splats(tmp_path: Path) -> None:
    trimesh.creation.box().export(tmp_path / "box.glb")
    assert "without splats" in refused(tmp_path / "box.glb")
