"""Methods that are no trainings, meshes, poses and the views of captures, over real sockets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared_protocol.errors import UserError
from shared_protocol.messages import Render, RunMethod
from shared_protocol.remote import Backend
from shared_protocol.things import IDENTITY, FolderCapture, Message, SceneObject

from .conftest import Serving
from .test_conversation import view

CORNERS = np.eye(3, dtype=np.float32)
TRIANGLE = np.array([[0, 1, 2]], np.int32)
WEIGHTS = np.ones(3, np.float32)


class _Unchecked(Message, frozen=True, tag="RunMethod"):
    """What a client could say that does not check itself."""

    asset: str
    method: str = "bind"
    box: Any = None
    vertices: Any = None
    faces: Any = None
    weights: Any = None


@pytest.fixture
def asset(backend: Backend, tmp_path: Path) -> str:
    (tmp_path / "statue.ply").write_bytes(b"ply")
    return backend.import_file(tmp_path / "statue.ply").asset


def test_a_method_runs_and_says_which_version_it_made(backend: Backend, asset: str) -> None:
    job = backend.run_method("crop", asset, box=IDENTITY, settings={"keep": "inside"}, name="crop")
    state = job.wait(10)
    assert (state.status, state.version, state.category, state.asset) == ("finished", "v2", "editing", asset)


def test_a_mesh_is_fetched_as_arrays(backend: Backend, asset: str) -> None:
    mesh = backend.mesh(backend.run_method("tsdf", asset).id)
    assert np.array_equal(mesh.vertices, CORNERS) and np.array_equal(mesh.faces, TRIANGLE)
    with pytest.raises(UserError, match="no job"):
        backend.mesh("job-99")
    assert len(backend.bound_mesh(asset).vertices) == 3
    with pytest.raises(UserError, match="asset"):
        backend.bound_mesh("asset-99")


def test_many_large_meshes_do_not_use_up_the_credit(backend: Backend, asset: str) -> None:
    job = backend.run_method("tsdf", asset).id
    assert all(len(backend.mesh(job).vertices) == 3 for _ in range(10))


def test_a_pose_is_told_and_named_by_a_picture(backend: Backend, serving: Serving, asset: str) -> None:
    vertices = np.random.default_rng(0).normal(size=(200_000, 3)).astype(np.float32)  # more than control may carry
    backend.pose("arm", asset, vertices)
    assert np.array_equal(serving.desk.posed["arm"].vertices, vertices)
    request = Render(
        objects=(SceneObject(asset=asset, pose="arm"),),
        camera=view(),
        surface_vertices=CORNERS,
        surface_faces=TRIANGLE,
    )
    assert backend.render(request) is not None
    drawn = serving.desk.drawn[-1]
    assert drawn.objects[0].pose == "arm" and np.array_equal(drawn.surface_faces, TRIANGLE)


def test_all_views_of_a_capture_come_page_by_page(backend: Backend, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    assert [found.name for found in backend.views(folder)] == ["1.png", "2.png", "3.png"]


def test_views_are_measured_and_their_figures_and_photos_come(
    backend: Backend, serving: Serving, asset: str, tmp_path: Path
) -> None:
    assert backend.measure_views(asset, "v1", tmp_path).wait(10).category == "evaluation"
    assert serving.desk.measured[-1].capture == FolderCapture(path=str(tmp_path))
    assert [view.name for view in backend.figures(asset)] == ["1.png", "2.png", "3.png"]
    photos = [backend.photo(asset, "1.png", longer_side=size) for size in (4, 5, 6, 8)]  # more than there is credit for
    assert [photo.color.shape for photo in photos] == [(4, size, 4) for size in (4, 5, 6, 8)]
    with pytest.raises(UserError, match="no asset"):
        backend.photo("asset-99", "1.png")


@pytest.mark.parametrize(
    "mesh",
    [
        {"vertices": CORNERS},
        {"faces": TRIANGLE},
        {"vertices": CORNERS, "faces": TRIANGLE + 1},
        {"vertices": CORNERS, "faces": TRIANGLE - 1},
        {"vertices": CORNERS.astype(np.float64), "faces": TRIANGLE},
        {"vertices": CORNERS, "faces": TRIANGLE.ravel()},
        {"box": (float("nan"), *IDENTITY[1:])},
        {"weights": WEIGHTS},
        {"vertices": CORNERS, "faces": TRIANGLE, "weights": WEIGHTS[:2]},
        {"vertices": CORNERS, "faces": TRIANGLE, "weights": 2 * WEIGHTS},
        {"vertices": CORNERS, "faces": TRIANGLE, "weights": WEIGHTS * np.float32(np.nan)},
    ],
    ids=["no faces", "no vertices", "too high", "too low", "doubles", "flat", "box", "of what", "few", "heavy", "nan"],
)
def test_what_is_no_mesh_or_box_is_refused(backend: Backend, asset: str, mesh: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="could not be read"):
        backend.ask(_Unchecked(asset=asset, **mesh)).result(10)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"faces|vertices|box|weights"):
        RunMethod(method="bind", asset=asset, **mesh)
