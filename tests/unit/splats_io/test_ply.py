"""PLY files of splats, against files that the plyfile library writes and against files of other tools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import plyfile
import pytest

from backend.splats.cloud import SplatCloud
from backend.splats.io import (
    SplatContent,
    describe_file,
    read_cloud,
    read_splats,
    sniff_format,
    write_cloud,
    write_splats,
)
from shared_protocol.errors import UserError

FIELDS = ("means", "quats", "log_scales", "opacity_logits", "sh")


def random_cloud(n: int, coefficients: int, seed: int = 0) -> SplatCloud:
    random = np.random.default_rng(seed)
    shapes = ((n, 3), (n, 4), (n, 3), (n,), (n, coefficients, 3))
    return SplatCloud(*(random.normal(size=shape).astype(np.float32) for shape in shapes))


def columns_of(cloud: SplatCloud) -> dict[str, np.ndarray]:
    """The file's properties written down independently of the writer: f_rest runs over coefficients, then colours."""
    columns = {f"{axis}": cloud.means[:, i] for i, axis in enumerate("xyz")}
    columns |= {f"f_dc_{c}": cloud.sh[:, 0, c] for c in range(3)}
    rest = cloud.sh.shape[1] - 1
    columns |= {f"f_rest_{c * rest + k}": cloud.sh[:, 1 + k, c] for c in range(3) for k in range(rest)}
    columns["opacity"] = cloud.opacity_logits
    columns |= {f"scale_{i}": cloud.log_scales[:, i] for i in range(3)}
    columns |= {f"rot_{i}": cloud.quats[:, i] for i in range(4)}
    return columns


def write_columns(
    path: Path, columns: dict[str, np.ndarray], *, kind: str = "f4", text: bool = False, order: str = "<"
):
    vertices = np.empty(len(next(iter(columns.values()))), [(name, kind) for name in columns])
    for name, column in columns.items():
        vertices[name] = column
    plyfile.PlyData([plyfile.PlyElement.describe(vertices, "vertex")], text=text, byte_order=order).write(str(path))


def assert_same(a: SplatCloud, b: SplatCloud) -> None:
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field), err_msg=field)


@pytest.mark.parametrize("coefficients", [1, 4, 9, 16, 25])
@pytest.mark.parametrize("n", [0, 1, 7])
def test_what_is_written_is_read_back_bit_by_bit(tmp_path: Path, n: int, coefficients: int) -> None:
    cloud = random_cloud(n, coefficients)
    write_cloud(tmp_path / "a.ply", cloud)
    assert_same(read_cloud(tmp_path / "a.ply"), cloud)


def test_the_writer_uses_the_layout_of_the_reference_trainer(tmp_path: Path) -> None:
    cloud = random_cloud(5, 16)
    write_cloud(tmp_path / "a.ply", cloud)
    vertices = plyfile.PlyData.read(str(tmp_path / "a.ply"))["vertex"].data
    names = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", *(f"f_rest_{i}" for i in range(45))]
    names += ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    assert list(vertices.dtype.names) == names
    for name, column in columns_of(cloud).items():
        np.testing.assert_array_equal(vertices[name], column, err_msg=name)
    assert not any(vertices[name].any() for name in ("nx", "ny", "nz"))


def test_writing_twice_gives_the_same_bytes_and_leaves_nothing_else(tmp_path: Path) -> None:
    cloud = random_cloud(11, 4)
    write_cloud(tmp_path / "a.ply", cloud)
    first = (tmp_path / "a.ply").read_bytes()
    write_cloud(tmp_path / "a.ply", cloud)
    assert (tmp_path / "a.ply").read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == ["a.ply"]


@pytest.mark.parametrize(
    "kind, text, order", [("f4", False, "<"), ("f4", False, ">"), ("f4", True, "="), ("f8", False, "<")]
)
def test_any_property_order_encoding_and_extra_property_is_read(
    tmp_path: Path, kind: str, text: bool, order: str
) -> None:
    cloud = random_cloud(9, 9)
    columns = columns_of(cloud) | {"segment": np.arange(9), "nx": np.ones(9)}
    names = list(columns)
    np.random.default_rng(3).shuffle(names)
    write_columns(tmp_path / "a.ply", {name: columns[name] for name in names}, kind=kind, text=text, order=order)
    read = read_cloud(tmp_path / "a.ply")
    for field in FIELDS:
        np.testing.assert_allclose(getattr(read, field), getattr(cloud, field), rtol=1e-6, err_msg=field)


def test_properties_of_mixed_types_are_read(tmp_path: Path) -> None:
    cloud = random_cloud(4, 1)
    columns = columns_of(cloud)
    vertices = np.empty(4, [("label", "u1"), *((name, "f4") for name in columns)])
    vertices["label"] = 7
    for name, column in columns.items():
        vertices[name] = column
    plyfile.PlyData([plyfile.PlyElement.describe(vertices, "vertex")], byte_order="<").write(str(tmp_path / "a.ply"))
    assert_same(read_cloud(tmp_path / "a.ply"), cloud)


def test_discs_of_2d_gaussian_splatting_get_a_thin_third_scale(tmp_path: Path) -> None:
    cloud = random_cloud(6, 1)
    columns = columns_of(cloud)
    del columns["scale_2"]
    write_columns(tmp_path / "a.ply", columns)
    read = read_cloud(tmp_path / "a.ply")
    np.testing.assert_array_equal(read.log_scales[:, :2], cloud.log_scales[:, :2])
    thickness = np.exp(read.log_scales[:, 2]) / np.exp(cloud.log_scales[:, :2].min(axis=1))
    np.testing.assert_allclose(thickness, 1e-4, rtol=1e-4)


def test_broken_splats_are_left_out_and_counted(tmp_path: Path) -> None:
    cloud = random_cloud(10, 4)
    cloud.means[2, 1] = np.nan
    cloud.sh[5, 2, 0] = np.inf
    write_cloud(tmp_path / "a.ply", cloud)
    content = read_splats(tmp_path / "a.ply")
    assert_same(content.cloud, cloud.select(np.array([i not in (2, 5) for i in range(10)])))
    assert content.notes == ("Left out 2 of 10 splats that hold NaN or Inf.",)


def test_infinite_opacity_and_zero_thickness_are_kept_as_finite_numbers(tmp_path: Path) -> None:
    cloud = random_cloud(3, 1)
    cloud.opacity_logits[:2] = (np.inf, -np.inf)
    cloud.log_scales[1, 2] = -np.inf
    cloud.quats[2] = 0.0
    write_cloud(tmp_path / "a.ply", cloud)
    read = read_cloud(tmp_path / "a.ply")
    assert len(read) == 3 and read.finite().all()
    opacity = 1 / (1 + np.exp(-read.opacity_logits))
    assert opacity[0] == 1 and opacity[1] < 1e-8
    assert np.exp(read.log_scales[1, 2]) < 1e-12
    assert read.quats[2].tolist() == [1, 0, 0, 0]


def test_further_numbers_of_each_splat_are_kept_in_their_type(tmp_path: Path) -> None:
    cloud = random_cloud(9000, 4)  # more than one block
    extra = {
        "label": np.arange(9000, dtype=np.uint16),
        "confidence": np.linspace(0, 1, 9000, dtype=np.float32),
        "time": np.linspace(0, 1, 9000),
        "nz": np.ones(9000, np.float32),
    }
    write_splats(tmp_path / "a.ply", SplatContent(cloud, extra=extra))
    content = read_splats(tmp_path / "a.ply")
    assert_same(content.cloud, cloud)
    assert content.extra.keys() == {*extra, "nx", "ny"}
    for name, column in extra.items():
        assert content.extra[name].dtype == column.dtype
        np.testing.assert_array_equal(content.extra[name], column)
    names = plyfile.PlyData.read(str(tmp_path / "a.ply"))["vertex"].data.dtype.names
    assert names is not None and names[:6] == ("x", "y", "z", "nx", "ny", "nz") and names[-3:] == tuple(extra)[:3]


def test_types_that_ply_lacks_become_others_and_names_that_cannot_be_written_are_left_out(tmp_path: Path) -> None:
    extra = {"picked": np.array([True, False]), "big": np.array([2**40, 1]), "two words": np.zeros(2)}
    write_splats(tmp_path / "a.ply", SplatContent(random_cloud(2, 1), extra=extra))
    content = read_splats(tmp_path / "a.ply")
    assert {name: column.tolist() for name, column in content.extra.items()} == {"picked": [1, 0], "big": [2**40, 1]}


def test_extra_numbers_of_broken_splats_go_with_them(tmp_path: Path) -> None:
    cloud = random_cloud(4, 1)
    cloud.means[1] = np.nan
    write_splats(tmp_path / "a.ply", SplatContent(cloud, extra={"label": np.arange(4, dtype=np.int32)}))
    assert read_splats(tmp_path / "a.ply").extra["label"].tolist() == [0, 2, 3]


@pytest.mark.parametrize(
    ("comment", "antialiased"),
    [
        ("SplatRenderMode: mip", True),
        ("SplatRenderMode: default", False),
        ("antialiased 1", True),
        ("antialiased 0", False),
        ("made by hand", None),
    ],
)
def test_comments_say_whether_splats_were_trained_antialiased(
    tmp_path: Path, comment: str, antialiased: bool | None
) -> None:
    write_cloud(tmp_path / "a.ply", random_cloud(1, 1))
    content = (tmp_path / "a.ply").read_bytes().replace(b"element", f"comment {comment}\nelement".encode(), 1)
    (tmp_path / "a.ply").write_bytes(content)
    assert read_splats(tmp_path / "a.ply").antialiased is antialiased
    write_splats(tmp_path / "b.ply", read_splats(tmp_path / "a.ply"))
    assert read_splats(tmp_path / "b.ply").antialiased is (antialiased or None)


def test_rows_after_rows_of_varying_length_are_found(tmp_path: Path) -> None:
    cloud = random_cloud(3, 1)
    write_columns(tmp_path / "a.ply", columns_of(cloud))
    vertices = plyfile.PlyData.read(str(tmp_path / "a.ply"))["vertex"].data
    lists = np.array([([1, 2],), ([3, 4, 5],)], dtype=[("sizes", object)])
    elements = [plyfile.PlyElement.describe(lists, "before"), plyfile.PlyElement.describe(vertices, "vertex")]
    plyfile.PlyData(elements, byte_order="<").write(str(tmp_path / "b.ply"))
    assert_same(read_cloud(tmp_path / "b.ply"), cloud)


def damaged(content: bytes) -> dict[str, bytes]:
    return {
        "cut short": content[:-5],
        "cut in the header": content[:60],
        "claims more": content.replace(b"vertex 20", b"vertex 20000000"),
        "claims an absurd number": content.replace(b"vertex 20", b"vertex 99999999999999999999"),
        "negative": content.replace(b"vertex 20", b"vertex -4"),
        "no opacity": content.replace(b"float opacity", b"float opacitx"),
        "odd f_rest": content.replace(b"f_rest_7", b"g_rest_7"),
        "twice the same name": content.replace(b"float y\n", b"float x\n"),
        "not text": content.replace(b"float x", b"float \xff"),
    }


@pytest.mark.parametrize("damage", list(damaged(b"")))
def test_a_damaged_file_is_one_sentence_that_names_it(tmp_path: Path, damage: str) -> None:
    write_cloud(tmp_path / "a.ply", random_cloud(20, 4))
    (tmp_path / "b.ply").write_bytes(damaged((tmp_path / "a.ply").read_bytes())[damage])
    with pytest.raises(UserError) as caught:
        read_cloud(tmp_path / "b.ply")
    assert "b.ply" in caught.value.message and "\n" not in str(caught.value)


def test_an_ascii_file_with_words_for_numbers_is_one_sentence(tmp_path: Path) -> None:
    write_columns(tmp_path / "a.ply", columns_of(random_cloud(2, 1)), text=True)
    lines = (tmp_path / "a.ply").read_text().splitlines()
    (tmp_path / "a.ply").write_text("\n".join([*lines[:-1], lines[-1].replace(lines[-1].split()[0], "much", 1)]) + "\n")
    with pytest.raises(UserError, match=r"a\.ply' is damaged"):
        read_cloud(tmp_path / "a.ply")


def test_what_is_no_splat_file_is_named_for_what_it_is(tmp_path: Path) -> None:
    columns = columns_of(random_cloud(3, 1))
    del columns["rot_3"]
    write_columns(tmp_path / "half.ply", columns)
    with pytest.raises(UserError, match="not one of splats: it has no property 'rot_3'"):
        read_cloud(tmp_path / "half.ply")
    (tmp_path / "words.ply").write_text("hello")
    with pytest.raises(UserError, match=r"words\.ply.*known format"):
        read_cloud(tmp_path / "words.ply")
    with pytest.raises(UserError, match="no file"):
        read_cloud(tmp_path / "absent.ply")
    with pytest.raises(UserError, match="not a file"):
        read_cloud(tmp_path)


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    cloud = random_cloud(3, 1)
    write_cloud(tmp_path / "scene.ply", cloud)
    (tmp_path / "scene.ply").rename(tmp_path / "scene.splat")
    assert sniff_format(tmp_path / "scene.splat").name == "ply"
    assert_same(read_cloud(tmp_path / "scene.splat"), cloud)


def test_only_names_that_say_a_writable_format_are_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\.ply"):
        write_cloud(tmp_path / "scene.obj", random_cloud(1, 1))
    assert not list(tmp_path.iterdir())


def test_describe_says_count_degree_and_bounds(tmp_path: Path) -> None:
    cloud = random_cloud(12, 9)
    write_cloud(tmp_path / "a.ply", cloud)
    described = describe_file(tmp_path / "a.ply")
    assert (described.count, described.sh_degree, described.format) == (12, 2, "ply")
    assert described.bounds is not None
    np.testing.assert_array_equal(described.bounds, [cloud.means.min(axis=0), cloud.means.max(axis=0)])
    assert described.bytes == (tmp_path / "a.ply").stat().st_size


def test_describe_an_empty_file(tmp_path: Path) -> None:
    write_cloud(tmp_path / "a.ply", random_cloud(0, 4))
    assert describe_file(tmp_path / "a.ply").bounds is None


def test_files_of_other_tools_agree(sample_data) -> None:
    folder = sample_data("splats")
    train = read_cloud(folder / "train-1000.ply")
    assert (len(train), train.sh_degree) == (1000, 3)
    vertices = plyfile.PlyData.read(str(folder / "train-1000.ply"))["vertex"].data
    np.testing.assert_array_equal(train.sh[:, 1, 0], vertices["f_rest_0"])
    np.testing.assert_array_equal(train.sh[:, 2, 0], vertices["f_rest_1"])
    np.testing.assert_array_equal(train.sh[:, 1, 1], vertices["f_rest_15"])
    cat = read_cloud(folder / "derived" / "toycat.ply")
    assert (len(cat), cat.sh_degree) == (23261, 3)


def test_the_numbers_mean_what_they_mean_in_the_splat_format(sample_data) -> None:
    folder = sample_data("splats") / "tiny"
    cloud = read_cloud(folder / "test-splat.3-points-from-train.ply")
    packed = np.fromfile(
        folder / "test-splat.3-points-from-train.splat",
        [("position", "<f4", 3), ("scale", "<f4", 3), ("color", "u1", 4), ("rotation", "u1", 4)],
    )
    packed = packed[[np.abs(packed["position"] - mean).sum(axis=1).argmin() for mean in cloud.means]]
    np.testing.assert_allclose(packed["position"], cloud.means, rtol=1e-6)
    np.testing.assert_allclose(packed["scale"], np.exp(cloud.log_scales), rtol=1e-5)
    colors = np.clip(0.5 + 0.28209479 * cloud.sh[:, 0], 0, 1)
    np.testing.assert_allclose(packed["color"][:, :3] / 255, colors, atol=0.5 / 127)
    np.testing.assert_allclose(packed["color"][:, 3] / 255, 1 / (1 + np.exp(-cloud.opacity_logits)), atol=0.5 / 127)
    quats = cloud.quats / np.linalg.norm(cloud.quats, axis=1, keepdims=True)
    stored = (packed["rotation"].astype(float) - 128) / 128
    assert (np.abs((quats * stored).sum(axis=1)) > 0.99).all()
