"""Every method, with every setting, can be reached from the command line and by the protocol.

(The panel's half stands with the tests that run inside Blender.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from backend.captures.made_capture import make_capture
from backend.cli.command import run
from backend.jobs.desk import Desk
from backend.methods import registry
from backend.methods.registry import Method
from backend.splats.io import write_cloud
from backend.splats.io.mesh_files import write_mesh
from backend.splats.triangle_mesh import TriangleMesh
from shared_protocol.messages import RunMethod, Train
from shared_protocol.schema import Setting
from shared_protocol.things import ENDED, FolderCapture, JobState, Matrix, PlacedAsset, SettingValue
from tests.made_splats import sphere

METHODS = registry.all_methods()
every_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.id)
BOX: Matrix = (2.0, 0, 0, 0, 0, 2.0, 0, 0, 0, 0, 1.0, 1.0, 0, 0, 0, 1)  # the upper half


class Files:
    """One input of every kind."""

    def __init__(self, folder: Path) -> None:
        self.capture = make_capture(folder / "capture", views=9, width=48, height=32, points=150)
        self.splats, self.mesh, self.bound = folder / "ball.ply", folder / "ball.obj", folder / "bound.safetensors"
        write_cloud(self.splats, sphere(1.0, 1000))
        made = trimesh.creation.icosphere(subdivisions=2, radius=1.0)
        self.shape = TriangleMesh(made.vertices.astype(np.float32), made.faces.astype(np.int32))
        write_mesh(self.mesh, self.shape)
        assert run(["bind", str(self.splats), str(self.mesh), "-o", str(self.bound), "--quiet"]) == 0


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("files"))


def _as_typed(setting: Setting) -> str:
    return (
        "none"
        if setting.default is None
        else str(setting.default).lower()
        if setting.kind == "boolean"
        else str(setting.default)
    )


# A new category of methods needs a line in each of these two tables.
COMMANDS: dict[str, Callable[[str, Files, str], list[str]]] = {
    "training": lambda id, files, out: [
        "train", str(files.capture), "-o", f"{out}.ply", "--method", id, "--steps", "2", "--max-splats", "400",
        *(["--mesh", str(files.mesh)] if registry.find(id).takes_mesh else []),
    ],
    "editing": lambda id, files, out: [
        "edit", id, str(files.splats), "-o", f"{out}.ply", "--box", "-2 -2 0 2 2 2", "--points", "0 0 0 1 0 0 0 1 0",
        "--with", str(files.splats), "--mesh", str(files.mesh),
    ],
    "meshing": lambda id, files, out: ["mesh", str(files.splats), "-o", f"{out}.glb", "--method", id],
    "rigging": lambda id, files, out: ["bind", str(files.bound), str(files.mesh), "-o", f"{out}.ply", "--method", id],
}  # fmt: skip


@every_method
def test_from_the_command_line(method: Method, files: Files, tmp_path: Path) -> None:
    settings = [part for s in method.settings for part in ("--set", f"{s.name}={_as_typed(s)}")]
    command = [*COMMANDS[method.category](method.id, files, str(tmp_path / "out")), *settings, "--quiet"]
    assert run(command) == 0, command
    assert [path.stem for path in tmp_path.iterdir()] == ["out"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(
        tmp_path_factory.mktemp("desk") / "workspace", device="cpu", on_event=lambda _: None, on_fatal=lambda _: None
    )
    yield made
    made.close()


Settings = dict[str, SettingValue]


def _train(desk: Desk, method: Method, files: Files, settings: Settings) -> JobState:
    capture = FolderCapture(path=str(files.capture))
    mesh = {"vertices": files.shape.vertices, "faces": files.shape.faces} if method.takes_mesh else {}
    wish = Train(name="a", capture=capture, method=method.id, settings=settings, steps=2, max_splats=400, **mesh)
    return desk.submit(wish)


def _on_a_version(desk: Desk, method: Method, files: Files, settings: Settings, **more) -> JobState:
    asset = desk.import_file(files.splats).asset
    return desk.run_method(RunMethod(method=method.id, asset=asset, settings=settings, **more))


def _edit(desk: Desk, method: Method, files: Files, settings: Settings) -> JobState:
    others = (PlacedAsset(asset=desk.import_file(files.splats).asset),)
    points = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    more: dict[str, Any] = {"vertices": files.shape.vertices, "faces": files.shape.faces, "others": others}
    return _on_a_version(desk, method, files, settings, box=BOX, points=points, **more)


def _rig(desk: Desk, method: Method, files: Files, settings: Settings) -> JobState:
    asset = desk.import_file(files.splats).asset
    mesh = {"vertices": files.shape.vertices, "faces": files.shape.faces}
    _ended(desk, desk.run_method(RunMethod(method="bind", asset=asset, **mesh)))
    return desk.run_method(RunMethod(method=method.id, asset=asset, settings=settings, **mesh))


REQUESTS: dict[str, Callable[[Desk, Method, Files, Settings], JobState]] = {
    "training": _train,
    "editing": _edit,
    "meshing": _on_a_version,
    "rigging": _rig,
}


@every_method
def test_by_the_protocol(method: Method, files: Files, desk: Desk) -> None:
    settings: Settings = {setting.name: setting.default for setting in method.settings}
    state = _ended(desk, REQUESTS[method.category](desk, method, files, settings))
    assert state.status == "finished", state.failure
    if method.category == "meshing":
        assert len(desk.mesh(state.job).faces) > 100
    else:
        assert state.version in {found.version for found in desk.versions(state.asset)}
    assert method.id in {told.id for told in desk.methods().methods}


def _ended(desk: Desk, state: JobState) -> JobState:
    deadline = time.monotonic() + 120
    while desk.job(state.job).status not in ENDED:
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return desk.job(state.job)
