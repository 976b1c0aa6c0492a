"""What no mesh can be made of: one sentence that says so, from every method, and no mesh of nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backend import machine
from backend.meshing.inputs import MeshingInputs, MeshingResult
from backend.methods.job import QuietJob
from backend.methods.meshing import poisson, tsdf
from backend.splats.cameras import Camera
from backend.splats.representation import CloudRepresentation
from shared_protocol.errors import UserError
from tests.made_splats import sphere

Mesher = Callable[..., MeshingResult]
AROUND = np.array([[-1.2] * 3, [1.2] * 3])


def by_tsdf(bounds: np.ndarray = AROUND, cameras: tuple[Camera, ...] = (), **settings: Any) -> MeshingResult:
    chosen = tsdf.TsdfSettings(**{"resolution": 48, "views": 24, "texture": None} | settings)
    return tsdf.run(chosen, MeshingInputs(CloudRepresentation(sphere(1.0, 3000), "cpu"), bounds, cameras), QuietJob())


def by_poisson(bounds: np.ndarray = AROUND, cameras: tuple[Camera, ...] = (), **settings: Any) -> MeshingResult:
    chosen = poisson.PoissonSettings(**{"depth": 6, "views": 12, "texture": None} | settings)
    inputs = MeshingInputs(CloudRepresentation(sphere(1.0, 3000), "cpu"), bounds, cameras)
    return poisson.run(chosen, inputs, QuietJob())


every_method = pytest.mark.parametrize("mesh_of", [by_tsdf, by_poisson])


def camera_at(place: tuple[float, float, float], towards: float = 1.0) -> Camera:
    """Looks along z, or against it."""
    pose = np.diag([1.0, towards, towards, 1.0])
    pose[:3, 3] = -pose[:3, :3] @ np.array(place)
    return Camera(pose, 120.0, 120.0, 60.0, 60.0, 120, 120)


@every_method
def test_a_box_without_splats_has_no_surface(mesh_of: Mesher) -> None:
    with pytest.raises(UserError, match=r"[Nn]o surface") as caught:
        mesh_of(AROUND + 50)
    assert caught.value.hint


@every_method
def test_cameras_that_see_none_of_the_splats_make_no_mesh(mesh_of: Mesher) -> None:
    away = tuple(camera_at((x, 0.0, -4.0), towards=-1.0) for x in (-0.5, 0.0, 0.5))
    with pytest.raises(UserError, match=r"[Nn]o surface"):
        mesh_of(cameras=away)


@every_method
def test_one_view_makes_a_mesh_of_what_it_sees(mesh_of: Mesher) -> None:
    """What is useful is kept: the side that was seen, on the surface."""
    mesh = mesh_of(cameras=(camera_at((0.0, 0.0, -4.0)),)).mesh
    seen = mesh.vertices[np.abs(np.linalg.norm(mesh.vertices, axis=1) - 1) < 0.15]
    assert len(seen) > 100 and seen[:, 2].min() < -0.9


@pytest.mark.parametrize(("mesh_of", "setting"), [(by_tsdf, "resolution"), (by_poisson, "depth")])
def test_what_does_not_fit_into_the_memory_is_refused_before_it_is_made(
    mesh_of: Mesher, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "memory", lambda: (2**30, 2**20))
    with pytest.raises(UserError, match=rf"{setting} \d+ .*needs \d\.\d GB and 0\.0 GB are free") as caught:
        mesh_of(**{setting: {"resolution": 200, "depth": 9}[setting]})
    assert caught.value.kind == "out_of_memory" and setting in caught.value.hint


def test_a_deep_surface_of_few_points_fits_into_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory", lambda: (2**30, 2**28))
    assert len(by_poisson(depth=9, points=2000).mesh.faces) > 100
    with pytest.raises(UserError, match="free"):
        by_poisson(depth=9, points=200_000)
