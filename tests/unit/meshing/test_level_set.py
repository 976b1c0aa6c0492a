"""The surface that thick splats show is moved out of their middle, and stays smooth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.meshing.density import SplatDensity
from backend.meshing.depth_picture import UNKNOWN, DepthPicture, take_depth_picture
from backend.meshing.inputs import MeshingInputs
from backend.meshing.level_set import on_level
from backend.meshing.viewpoints import viewpoints_around
from backend.methods.job import QuietJob
from backend.methods.meshing.tsdf import TsdfSettings, run
from backend.splats.representation import CloudRepresentation
from tests.made_splats import sphere

BOUNDS = np.array([[-1.2] * 3, [1.2] * 3])


def thick_ball():
    """Round splats, whose middles lie on the sphere of radius 1."""
    cloud = sphere(1.0, 3000)
    return replace(cloud, log_scales=np.repeat(cloud.log_scales.max(axis=1, keepdims=True), 3, axis=1))


def radii(picture: DepthPicture) -> np.ndarray:
    """How far from the middle the seen places of the inner half of the disc lie, [P]."""
    camera = picture.camera
    rows, columns = np.nonzero((picture.depth != UNKNOWN) & np.isfinite(picture.depth))
    inner = np.hypot(rows - camera.height / 2, columns - camera.width / 2) < camera.height / 4
    rows, columns = rows[inner], columns[inner]
    rays = np.stack([(columns + 0.5 - camera.cx) / camera.fx, (rows + 0.5 - camera.cy) / camera.fy], -1)
    seen = np.concatenate([rays, np.ones((len(rays), 1))], 1) * picture.depth[rows, columns, None]
    return np.linalg.norm((seen - camera.camera_from_world[:3, 3]) @ camera.camera_from_world[:3, :3], axis=1)


def pictures(level: float) -> tuple[np.ndarray, np.ndarray]:
    cloud = thick_ball()
    view = viewpoints_around(BOUNDS, 3, pixel=0.02, largest=400)[1]
    taken = take_depth_picture(CloudRepresentation(cloud, "cpu"), view, device="cpu", largest_step=0.2)
    return radii(taken), radii(on_level(taken, SplatDensity(cloud), level))


def test_a_surface_comes_to_the_level_and_stays_smooth() -> None:
    cloud = thick_ball()
    for level in (0.05, 0.3):
        before, after = pictures(level)
        outward = np.array([[0.36, 0.48, 0.8]])
        steps = np.linspace(0.9, 1.3, 2000)
        density, _ = SplatDensity(cloud).at(steps[:, None] * outward)
        there = steps[np.flatnonzero(density >= level)[-1]]
        assert abs(after.mean() - there) < 0.3 * abs(before.mean() - there)
        assert after.std() < 1.5 * before.std()


def test_where_the_density_never_reaches_the_level_depth_stays() -> None:
    cloud = thick_ball()
    view = viewpoints_around(BOUNDS, 3, pixel=0.04, largest=400)[1]
    taken = take_depth_picture(CloudRepresentation(cloud, "cpu"), view, device="cpu", largest_step=0.2)
    away = SplatDensity(sphere(0.1, 100, centre=(50, 0, 0)))
    assert np.array_equal(on_level(taken, away, 0.3).depth, taken.depth)


def test_a_lower_level_makes_a_larger_mesh() -> None:
    inputs = MeshingInputs(CloudRepresentation(thick_ball(), "cpu"), BOUNDS)
    sizes = []
    for level in (0.05, 0.3, 0.9):
        made = run(TsdfSettings(resolution=48, views=16, texture=None, level=level), inputs, QuietJob())
        sizes.append(float(np.linalg.norm(made.mesh.vertices, axis=1).mean()))
    assert sizes[0] > sizes[1] + 0.01 and sizes[1] > sizes[2] + 0.01
    assert sizes[0] == pytest.approx(pictures(0.05)[1].mean(), abs=0.02)
