"""Compiles every CPU kernel once, so that no training starts with half a minute of waiting.

Run as `python -m backend.jobs.warm_up`; numba keeps the code beside the sources (or in NUMBA_CACHE_DIR).
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import Parameter

from backend.captures.epipolar_matching import match_along_epipolar_lines
from backend.captures.features import Features
from backend.meshing.depth_picture import DepthPicture
from backend.meshing.volume import DistanceVolume
from backend.rigging.binding import bind_to_mesh
from backend.rigging.bound import BoundRepresentation
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.io import read_cloud, write_cloud
from backend.splats.raster.warm_up import warm_up_rasterizer
from backend.splats.surface_depth import surface_depth
from backend.splats.triangle_mesh import TriangleMesh
from backend.training.mcmc_noise import add_noise


def warm_up() -> float:
    """Runs every kernel that reading, training and rendering use; returns the seconds it took."""
    start = time.perf_counter()
    warm_up_rasterizer()
    _noise()
    _matching()
    _surfaces()
    _bound_splats()
    _packed_files()
    return time.perf_counter() - start


def _noise() -> None:
    shapes = {"means": (8, 3), "quats": (8, 4), "scales": (8, 3), "opacities": (8,)}
    parameters = {name: Parameter(torch.full(shape, -3.0)) for name, shape in shapes.items()}
    add_noise(parameters, 1.0, torch.Generator().manual_seed(0))


def _matching() -> None:
    features = Features(np.ones((4, 4), np.float32), np.ones((4, 128), np.uint8))
    here, there = np.eye(4), np.eye(4)
    there[0, 3] = 1.0
    cameras = [Camera(matrix, 10.0, 10.0, 8.0, 8.0, 16, 16) for matrix in (here, there)]
    match_along_epipolar_lines(features, cameras[0], features, cameras[1])


def _surfaces() -> None:
    camera = Camera(np.eye(4), 10.0, 10.0, 8.0, 8.0, 16, 16)
    triangle = np.array([[-1, -1, 2], [1, -1, 2], [0, 1, 2]], np.float32)
    depth = surface_depth(triangle, np.array([[0, 1, 2]], np.int32), camera, near=0.01)
    volume = DistanceVolume(np.array([[-1.0, -1.0, 1.5], [1.0, 1.0, 2.5]]), 4)
    volume.add(DepthPicture(camera, depth, np.zeros((16, 16, 3), np.float32)))


def _bound_splats() -> None:
    camera = Camera(np.eye(4), 10.0, 10.0, 8.0, 8.0, 16, 16)
    mesh = TriangleMesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], np.int32))
    cloud = _one_splat()
    posed = BoundRepresentation(cloud, bind_to_mesh(cloud, mesh, distance=9.0), "cpu").posed(mesh.vertices)
    posed.splats(camera, 0.0, 0)


def _one_splat() -> SplatCloud:
    shape = {"means": (1, 3), "quats": (1, 4), "log_scales": (1, 3), "opacity_logits": (1,), "sh": (1, 4, 3)}
    return SplatCloud(**{name: np.ones(size, np.float32) for name, size in shape.items()})


def _packed_files() -> None:
    with tempfile.TemporaryDirectory(prefix="splatwright-") as folder:
        for name in ("one.compressed.ply", "one.spz"):
            write_cloud(Path(folder, name), _one_splat())
            read_cloud(Path(folder, name))


if __name__ == "__main__":
    print(f"CPU kernels ready after {warm_up():.1f} s")
