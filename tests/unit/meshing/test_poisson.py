"""Surfaces of equal density against the shapes that were splatted."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from backend.meshing.density import SplatDensity
from backend.meshing.inputs import MeshingInputs, MeshingResult
from backend.meshing.level_set import OrientedPoints
from backend.meshing.poisson_surface import poisson_surface
from backend.methods.job import QuietJob
from backend.methods.meshing.poisson import PoissonSettings, run
from backend.splats.bounds import robust_bounds
from backend.splats.cloud import SplatCloud
from backend.splats.representation import CloudRepresentation
from shared_protocol.errors import UserError
from tests.made_splats import sphere


def meshed(cloud: SplatCloud, bounds: np.ndarray | None = None, **settings) -> MeshingResult:
    settings = {"depth": 6, "views": 12, "points": 20_000, "texture": None, **settings}
    bounds = robust_bounds(cloud) if bounds is None else bounds
    assert bounds is not None
    inputs = MeshingInputs(CloudRepresentation(cloud, "cpu"), bounds)
    return run(PoissonSettings(**settings), inputs, QuietJob())


@cache
def ball() -> MeshingResult:
    return meshed(sphere(1.0, 4000))


def one_splat(scales: tuple[float, float, float], opacity_logit: float) -> SplatCloud:
    return SplatCloud(
        np.zeros((1, 3), np.float32),
        np.array([[1, 0, 0, 0]], np.float32),
        np.log(np.array([scales], np.float32)),
        np.array([opacity_logit], np.float32),
        np.zeros((1, 1, 3), np.float32),
    )


def test_the_density_and_its_gradient_are_those_of_the_gaussians() -> None:
    cloud = sphere(1.0, 300)
    density, random = SplatDensity(cloud), np.random.default_rng(0)
    points = cloud.means[:50].astype(np.float64) + random.normal(0, 0.02, (50, 3))
    _, gradient = density.at(points)
    step = 1e-6 * np.eye(3)
    differences = np.stack([(density.at(points + s)[0] - density.at(points - s)[0]) / 2e-6 for s in step], -1)
    assert np.abs(gradient).max() > 1
    assert np.abs(differences - gradient).max() < 1e-5 * np.abs(gradient).max()
    half, _ = SplatDensity(one_splat((0.1, 0.2, 0.3), 0.0)).at(np.array([[0, 0.2, 0.0]]))
    assert half[0] == pytest.approx(0.5 * np.exp(-0.5))


def test_a_ray_crosses_where_the_density_is_the_level() -> None:
    density = SplatDensity(one_splat((0.1, 0.2, 0.3), 4.0))
    ways = np.array([[0.0, 1, 0], [1, 0, 0], [0, 1, 0]])
    starts = np.array([[0.0, 0, 0], [0, 0, 0.1], [0.9, 0, 0]])  # the last passes far beside it
    places, normals = density.crossings(starts, ways, 0.3)
    assert np.isfinite(places[:2]).all() and np.isnan(places[2]).all()
    assert density.at(places[:2])[0] == pytest.approx([0.3, 0.3], abs=2e-3)
    assert places[0, 1] < 0 and normals[0] @ ways[0] == pytest.approx(-1), "in front, facing the camera"


def test_a_sphere_becomes_one_closed_piece_at_its_radius() -> None:
    result, mesh = ball(), ball().mesh
    off = np.linalg.norm(mesh.vertices, axis=1) - 1
    # The surface of density 0.3 lies a little outside the splats' centres, less than a splat is thick.
    assert abs(np.median(off)) < result.voxel and off.std() < 0.5 * result.voxel
    assert mesh.is_watertight and mesh.pieces().max() == 0
    outward = (mesh.vertex_normals * mesh.vertices).sum(axis=1) / np.linalg.norm(mesh.vertices, axis=1)
    assert np.median(outward) > 0.98


def test_where_there_were_no_points_the_surface_is_cut_away() -> None:
    places = np.random.default_rng(0).normal(size=(20_000, 3))
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    points = OrientedPoints(places, places).select(places[:, 2] < 0.3)
    bounds = np.array([[-1.0] * 3, [1.0] * 3])
    closed, trimmed = (poisson_surface(points, bounds, 6, trim, False, lambda: None) for trim in (None, 1.5))
    assert closed.vertices[:, 2].max() > 0.5
    assert not trimmed.is_watertight and trimmed.vertices[:, 2].max() < 0.45 and trimmed.vertices[:, 2].min() < -0.98


def test_what_lies_around_the_bounds_is_background_and_only_there_when_wanted() -> None:
    far = sphere(0.3, 1500, centre=(0.0, 0.0, 2.2))
    near = sphere(1.0, 4000)
    fields = ("means", "quats", "log_scales", "opacity_logits", "sh")
    both = SplatCloud(*(np.concatenate([getattr(near, name), getattr(far, name)]) for name in fields))
    bounds = np.array([[-1.0, -1, -1], [1.0, 1, 1]])
    cameras = {"views": 24, "least_piece": 0.0}
    assert meshed(both, bounds, **cameras).mesh.vertices[:, 2].max() < 1.3
    # Views look at the bounds; they are wide enough here to see what stands above them from the sides.
    wide = np.array([[-1.0, -1, -1], [1.0, 1, 1.85]])
    assert meshed(both, wide, background=True, **cameras).mesh.vertices[:, 2].max() > 1.9


def test_fog_has_no_surface() -> None:
    fog = sphere(1.0, 500)
    faint = SplatCloud(fog.means, fog.quats, fog.log_scales, np.full(len(fog), -4.0, np.float32), fog.sh)
    with pytest.raises(UserError, match="No surface"):
        meshed(faint)
