"""Bound splats as a folder: there and back, what others see in it, and what does not fit together."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import trimesh

from backend.jobs.convert import ConvertRequest, convert_files
from backend.jobs.running import RunningJob
from backend.jobs.splat_files import read_splat_file, write_splat_file
from backend.rigging.binding import Binding, bind_to_mesh
from backend.rigging.bound import BoundRepresentation
from backend.splats.io import SplatContent, read_splats
from backend.splats.io.mesh_files import read_mesh, write_mesh
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.errors import UserError
from tests.made_splats import sphere, with_shine

CONTENT = SplatContent(with_shine(sphere(1.0, 400), 3), "y_up", antialiased=True)


def icosphere() -> TriangleMesh:
    made = trimesh.creation.icosphere(subdivisions=2, radius=1.0)
    return TriangleMesh(made.vertices.astype(np.float32), made.faces.astype(np.int32))


@pytest.fixture
def binding() -> Binding:
    return bind_to_mesh(CONTENT.cloud, icosphere(), driver="per_face", stretch_limit=7.0)


@pytest.fixture
def folder(tmp_path: Path, binding: Binding) -> Path:
    write_splat_file(tmp_path / "fox.bound", CONTENT, binding)
    return tmp_path / "fox.bound"


def posed(content: SplatContent, binding: Binding | None) -> np.ndarray:
    assert binding is not None
    vertices = binding.mesh.vertices * np.array([1, 2, 0.5], np.float32)
    return BoundRepresentation(content.cloud, binding, "cpu").posed(vertices).bake().means


@pytest.mark.parametrize("name", ["fox.bound", "fox.bound/bound.json"])
def test_what_is_written_comes_back_and_moves_the_same(
    folder: Path, tmp_path: Path, binding: Binding, name: str
) -> None:
    content, found = read_splat_file(tmp_path / name)
    assert found is not None and (content.frame, content.antialiased) == ("y_up", True)
    assert (found.driver, found.stretch_limit) == ("per_face", 7.0)
    assert np.array_equal(content.cloud.means, CONTENT.cloud.means)
    assert np.allclose(posed(content, found), posed(CONTENT, binding), atol=1e-6)


def test_other_programs_find_splats_and_mesh_in_files_of_theirs(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "binding.safetensors", "bound.json", "mesh.ply", "splats.ply"
    ]  # fmt: skip
    assert len(read_splats(folder / "splats.ply")) == 400
    assert np.array_equal(read_mesh(folder / "mesh.ply").faces, icosphere().faces)


def test_it_takes_the_place_of_an_older_one_and_leaves_nothing_beside(folder: Path, binding: Binding) -> None:
    (folder / "bound.json").touch()
    keep = np.arange(400) < 100
    write_splat_file(folder, CONTENT.select(keep), binding.select(keep))
    assert len(read_splat_file(folder)[0]) == 100
    assert [path.name for path in folder.parent.iterdir()] == ["fox.bound"]


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, binding: Binding) -> None:
    (tmp_path / "mine.bound").mkdir()
    (tmp_path / "mine.bound" / "novel.txt").write_text("precious")
    with pytest.raises(UserError, match="holds no bound splats"):
        write_splat_file(tmp_path / "mine.bound", CONTENT, binding)
    assert (tmp_path / "mine.bound" / "novel.txt").read_text() == "precious"
    with pytest.raises(UserError, match="not bound to a mesh"):
        write_splat_file(tmp_path / "none.bound", CONTENT)
    assert not (tmp_path / "none.bound").exists()


def test_parts_that_do_not_fit_together_are_named(folder: Path) -> None:
    other, cube = folder.with_name("other"), trimesh.creation.box()
    other.mkdir()
    write_mesh(other / "mesh.ply", TriangleMesh(cube.vertices.astype(np.float32), cube.faces.astype(np.int32)))
    write_splat_file(other / "splats.ply", CONTENT.select(np.arange(400) < 9))
    (other / "binding.safetensors").write_bytes(b"no binding")
    card = msgspec.json.decode((folder / "bound.json").read_bytes())
    (other / "bound.json").write_bytes(msgspec.json.encode({**card, "layout": 9}))
    for name, sentence in (
        ("mesh.ply", "8 where the binding was made for 162"),
        ("splats.ply", "9 where the binding was made for 400"),
        ("binding.safetensors", "damaged"),
        ("bound.json", "newer Splatwright"),
    ):
        kept = (folder / name).read_bytes()
        (folder / name).write_bytes((other / name).read_bytes())
        with pytest.raises(UserError, match=sentence):
            read_splat_file(folder)
        (folder / name).write_bytes(kept)
    (folder / "mesh.ply").unlink()
    with pytest.raises(UserError, match=r"no file .*mesh\.ply"):
        read_splat_file(folder)


def test_bound_splats_are_converted_with_what_they_hang_on(folder: Path, tmp_path: Path, binding: Binding) -> None:
    moved = np.eye(4)
    moved[:3, 3] = (5, 0, 0)
    request = ConvertRequest((folder,), tmp_path / "moved.safetensors", frame="z_up", transform=moved)
    assert convert_files(request, RunningJob()).format == "safetensors"
    _, found = read_splat_file(tmp_path / "moved.safetensors")
    assert found is not None and found.mesh.vertices[:, 0].mean() == pytest.approx(5, abs=1e-4)
    back = ConvertRequest(
        (tmp_path / "moved.safetensors",), tmp_path / "back.bound", frame="y_up", transform=-moved + 2 * np.eye(4)
    )
    assert convert_files(back, RunningJob()).splats == 400
    assert np.allclose(posed(*read_splat_file(tmp_path / "back.bound")), posed(CONTENT, binding), atol=1e-5)
    mirrored = ConvertRequest((folder,), tmp_path / "mirrored.safetensors", frame="LUB")
    convert_files(mirrored, RunningJob())
    assert read_splat_file(tmp_path / "mirrored.safetensors")[1] is None
