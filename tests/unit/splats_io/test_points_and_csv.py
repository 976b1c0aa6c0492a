"""Point clouds that become splats, and splats that become plain numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import plyfile
import pytest

from backend.splats.io import SplatContent, read_splats, sniff_format, write_splats
from backend.splats.sh_basis import C0
from shared_protocol.errors import UserError
from tests.unit.splats_io.made_clouds import made_cloud, worst_errors
from tests.unit.splats_io.oracles import cloud_of_csv, splat_transform

GRID = np.stack(np.meshgrid(*[np.arange(5.0)] * 3), -1).reshape(-1, 3).astype(np.float32) * 0.1


def write_points(path: Path, colors: tuple[str, ...], kind: str, values: np.ndarray, *, text: bool = False) -> None:
    points = np.empty(len(GRID), [("x", "f4"), ("y", "f4"), ("z", "f4"), *((name, kind) for name in colors)])
    for axis, name in enumerate("xyz"):
        points[name] = GRID[:, axis]
    for column, name in enumerate(colors):
        points[name] = values[:, column]
    plyfile.PlyData([plyfile.PlyElement.describe(points, "vertex")], text=text).write(str(path))


@pytest.mark.parametrize(
    ("colors", "kind", "most"),
    [(("red", "green", "blue"), "u1", 255), (("diffuse_red", "diffuse_green", "diffuse_blue"), "f4", 1)],
)
@pytest.mark.parametrize("text", [False, True])
def test_points_become_round_splats_as_wide_as_their_neighbours_are_far(
    tmp_path: Path, colors: tuple[str, ...], kind: str, most: float, text: bool
) -> None:
    values = np.random.default_rng(0).integers(0, 256, (len(GRID), 3)) * (most / 255)
    write_points(tmp_path / "points.ply", colors, kind, values, text=text)
    content = read_splats(tmp_path / "points.ply")
    assert sniff_format(tmp_path / "points.ply").name == "points" and "points" in content.notes[0]
    np.testing.assert_allclose(content.cloud.means, GRID, atol=1e-6)
    np.testing.assert_allclose(np.exp(content.cloud.log_scales), 0.1, rtol=1e-5)
    np.testing.assert_allclose(content.cloud.sh[:, 0] * C0 + 0.5, values / most, atol=1e-6)
    np.testing.assert_array_equal(content.cloud.quats, [[1, 0, 0, 0]] * len(GRID))


def test_a_lonely_point_is_bounded_and_one_point_is_enough(tmp_path: Path) -> None:
    write_points(tmp_path / "points.ply", (), "u1", np.zeros((0, 0)))
    content = (tmp_path / "points.ply").read_bytes()
    head, body = content.split(b"end_header\n")
    far = head.replace(b"vertex 125", b"vertex 126") + b"end_header\n" + body + np.float32([1e6, 0, 0]).tobytes()
    (tmp_path / "far.ply").write_bytes(far)
    cloud = read_splats(tmp_path / "far.ply").cloud
    assert np.exp(cloud.log_scales[-1, 0]) == pytest.approx(1.0, rel=1e-4)  # ten times the usual distance
    assert np.allclose(cloud.sh * C0, 0)  # grey
    (tmp_path / "one.ply").write_bytes(head.replace(b"vertex 125", b"vertex 1") + b"end_header\n" + body[:12])
    assert read_splats(tmp_path / "one.ply").cloud.log_scales.tolist() == [[0, 0, 0]]


def test_a_mesh_is_no_cloud_of_points(tmp_path: Path) -> None:
    points = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [("x", "f4"), ("y", "f4"), ("z", "f4")])
    faces = np.array([([0, 1, 2],)], [("vertex_indices", "i4", (3,))])
    elements = [plyfile.PlyElement.describe(points, "vertex"), plyfile.PlyElement.describe(faces, "face")]
    plyfile.PlyData(elements).write(str(tmp_path / "mesh.ply"))
    with pytest.raises(UserError, match="holds a mesh"):
        read_splats(tmp_path / "mesh.ply")


@pytest.mark.parametrize("degree", [0, 3])
def test_a_csv_holds_every_number_exactly(tmp_path: Path, degree: int) -> None:
    cloud = made_cloud(4100, degree)
    write_splats(tmp_path / "a.csv", SplatContent(cloud, extra={"label": np.arange(4100)}))
    assert set(worst_errors(cloud_of_csv(tmp_path / "a.csv"), cloud).values()) <= {0.0}
    with (tmp_path / "a.csv").open() as stream:
        assert stream.readline().strip().endswith(",label")
        assert stream.readline().strip().endswith(",0")
    with pytest.raises(UserError, match="can only be written"):
        read_splats(tmp_path / "a.csv")


def test_a_csv_has_the_columns_that_others_write(tmp_path: Path) -> None:
    cloud = made_cloud(3, 2)
    write_splats(tmp_path / "ours.csv", SplatContent(cloud))
    write_splats(tmp_path / "a.ply", SplatContent(cloud))
    splat_transform(tmp_path / "a.ply", tmp_path / "theirs.csv")
    ours, theirs = ((tmp_path / name).read_text().splitlines()[0].split(",") for name in ("ours.csv", "theirs.csv"))
    assert set(ours) <= set(theirs)
