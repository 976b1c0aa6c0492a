"""Files that become assets and assets that become files: which way up, where in the world, with what beside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backend.jobs.imports_and_exports import export_version, import_asset
from backend.jobs.splat_files import read_splat_file
from backend.rigging.binding import bind_to_mesh
from backend.splats.cloud import SplatCloud
from backend.splats.io import SplatContent, read_splats, write_splats
from backend.splats.io.content import turned
from backend.splats.io.frames import rotation_between
from backend.splats.moved import moved_cloud
from backend.splats.triangle_mesh import TriangleMesh
from backend.store.assets import AssetStore
from backend.store.workspace import Workspace
from shared_protocol.errors import UserError
from shared_protocol.things import ExportChoices
from tests.made_splats import box, with_shine

CLOUD = with_shine(box(1.0, 4), 2)


@pytest.fixture
def assets(tmp_path: Path) -> Iterator[AssetStore]:
    workspace = Workspace(tmp_path / "workspace")
    yield AssetStore(workspace)
    workspace.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_splats(tmp_path / "box.ply", SplatContent(CLOUD))
    return tmp_path / "box.ply"


def same(a: SplatCloud, b: SplatCloud) -> bool:
    pairs = ((getattr(a, name), getattr(b, name)) for name in ("means", "quats", "log_scales", "opacity_logits", "sh"))
    return all(np.allclose(one, other, atol=1e-5) for one, other in pairs)


@pytest.mark.parametrize(
    ("frame", "up"), [("", (0, -1, 0)), ("opencv", (0, -1, 0)), ("z_up", (0, 0, 1)), ("RUB", (0, 1, 0))]
)
def test_an_asset_keeps_its_files_numbers_and_knows_where_up_is(
    assets: AssetStore, file: Path, frame: str, up: tuple[float, float, float]
) -> None:
    card = assets.asset(import_asset(assets, file, "", frame))
    assert (card.name, card.up) == ("box", up)
    assert card.frame == {"": "opencv", "RUB": "y_up"}.get(frame, frame)
    assert same(assets.read(assets.version(card.id)), CLOUD)


def test_a_mirrored_file_is_turned_so_that_its_object_need_not_be(assets: AssetStore, file: Path) -> None:
    card = assets.asset(import_asset(assets, file, "", "LDF"))
    assert card.frame == "opencv"
    stored = assets.read(assets.version(card.id))
    assert np.array_equal(stored.means, CLOUD.means * np.array([-1, 1, 1], np.float32))
    assert same(stored, turned(SplatContent(CLOUD, "LDF"), "opencv").cloud)


def test_a_frame_that_is_none_is_refused_and_leaves_nothing(assets: AssetStore, file: Path) -> None:
    with pytest.raises(UserError, match="'sideways'"):
        import_asset(assets, file, "", "sideways")
    assert assets.assets() == []


def test_numbers_go_out_as_they_came_in_unless_a_frame_is_asked_for(
    assets: AssetStore, file: Path, tmp_path: Path
) -> None:
    version = assets.version(import_asset(assets, file, "", "y_up"))
    export_version(assets, version, tmp_path / "as_is.ply", ExportChoices())
    assert same(read_splats(tmp_path / "as_is.ply").cloud, CLOUD)
    export_version(assets, version, tmp_path / "turned.ply", ExportChoices(frame="opencv"))
    expected = turned(SplatContent(CLOUD, "y_up"), "opencv").cloud
    assert same(read_splats(tmp_path / "turned.ply").cloud, expected)


def test_an_object_goes_out_where_it_stands_in_the_scene(assets: AssetStore, file: Path, tmp_path: Path) -> None:
    version = assets.version(import_asset(assets, file, "", ""))
    matrix = np.eye(4)
    matrix[:3, :3] = 2 * rotation_between("opencv", "z_up")
    matrix[:3, 3] = (1, 2, 3)
    choices = ExportChoices(frame="z_up", world_from_object=tuple(matrix.ravel().tolist()), sh_degree=1)
    export_version(assets, version, tmp_path / "placed.ply", choices)
    placed = read_splats(tmp_path / "placed.ply").cloud
    expected = moved_cloud(CLOUD, matrix)
    assert placed.sh_degree == 1 and np.allclose(placed.sh, expected.sh[:, :4], atol=1e-5)
    assert np.allclose(placed.means, CLOUD.means[:, [0, 2, 1]] * [2, 2, -2] + [1, 2, 3], atol=1e-5)
    assert np.allclose(placed.log_scales, CLOUD.log_scales + np.log(2), atol=1e-5)
    turned_back = ExportChoices(frame="opencv", world_from_object=choices.world_from_object)
    export_version(assets, version, tmp_path / "usual.ply", turned_back)
    shift = rotation_between("z_up", "opencv") @ (1, 2, 3)
    assert np.allclose(read_splats(tmp_path / "usual.ply").cloud.means, 2 * CLOUD.means + shift, atol=1e-5)


def test_a_bound_version_goes_out_in_a_pose(assets: AssetStore, file: Path, tmp_path: Path) -> None:
    mesh = TriangleMesh(
        np.array([[-2, -2, 0], [2, -2, 0], [2, 2, 0], [-2, 2, 0]], np.float32),
        np.array([[0, 1, 2], [0, 2, 3]], np.int32),
    )
    asset = import_asset(assets, file, "", "")
    binding = bind_to_mesh(CLOUD, mesh, distance=10, keep_thickness=True)
    version = assets.version(assets.add(asset, CLOUD, label="bound", binding=binding.to_arrays()).asset)
    matrix = np.diag([1.0, 3.0, 1.0, 1.0])
    vertices = mesh.vertices * np.array([1, 3, 1], np.float32)
    export_version(assets, version, tmp_path / "posed.ply", ExportChoices(), vertices)
    posed = read_splats(tmp_path / "posed.ply").cloud
    expected = moved_cloud(CLOUD, matrix)
    assert np.allclose(posed.means, expected.means, atol=1e-4)
    assert np.allclose(np.sort(posed.log_scales), np.sort(expected.log_scales), atol=1e-4)
    export_version(assets, version, tmp_path / "posed.safetensors", ExportChoices(), vertices)
    _, moved_binding = read_splat_file(tmp_path / "posed.safetensors")
    assert moved_binding is not None and np.array_equal(moved_binding.mesh.vertices, vertices)
    export_version(assets, version, tmp_path / "split.ply", ExportChoices(split_beyond=2), vertices)
    assert len(read_splats(tmp_path / "split.ply")) > len(CLOUD)
    export_version(assets, version, tmp_path / "rest.ply", ExportChoices())
    assert same(read_splats(tmp_path / "rest.ply").cloud, CLOUD)
    with pytest.raises(UserError, match="3 vertices"):
        export_version(assets, version, tmp_path / "no.ply", ExportChoices(), vertices[:3])
    assert not (tmp_path / "no.ply").exists()


def test_a_copy_with_everything_remembers_its_frame(assets: AssetStore, file: Path, tmp_path: Path) -> None:
    version = assets.version(import_asset(assets, file, "", "y_up"))
    export_version(assets, version, tmp_path / "copy.safetensors", ExportChoices())
    content, binding = read_splat_file(tmp_path / "copy.safetensors")
    assert (content.frame, binding) == ("y_up", None) and same(content.cloud, CLOUD)
