"""Clouds whose surface is known exactly: a sphere and a box tiled with flat, opaque splats."""

from __future__ import annotations

import numpy as np

from backend.splats.cloud import SplatCloud
from backend.splats.quaternions import matrices_to_quats
from backend.splats.sh_basis import C0

_OPAQUE = 4.0  # logit
_FLAT = 0.08  # thickness in widths


def sphere(radius: float = 1.0, count: int = 4000, *, centre: tuple[float, float, float] = (0, 0, 0)) -> SplatCloud:
    """Red above its middle and blue below."""
    index = np.arange(count) + 0.5
    height = 1 - 2 * index / count
    angle = np.pi * (1 + 5**0.5) * index
    flat = np.sqrt(1 - height**2)
    normals = np.stack([flat * np.cos(angle), flat * np.sin(angle), height], -1)
    colors = np.where(normals[:, 2:] > 0, (0.9, 0.1, 0.1), (0.1, 0.1, 0.9))
    return discs(centre + radius * normals, normals, 1.1 * radius * np.sqrt(4 * np.pi / count) / 2, colors)


def box(size: float = 1.0, side: int = 28) -> SplatCloud:
    """A cube around the origin, `size` from the middle to a face; every face has a colour of its own."""
    steps = (np.arange(side) + 0.5) / side * 2 - 1
    u, v = (grid.ravel() for grid in np.meshgrid(steps, steps))
    means, normals, colors = [], [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            place = np.zeros((len(u), 3))
            place[:, axis], place[:, (axis + 1) % 3], place[:, (axis + 2) % 3] = sign, u, v
            normal = np.zeros((len(u), 3))
            normal[:, axis] = sign
            color = np.full(3, 0.2)
            color[axis] = 0.9 if sign > 0 else 0.5
            means.append(size * place)
            normals.append(normal)
            colors.append(np.tile(color, (len(u), 1)))
    return discs(np.concatenate(means), np.concatenate(normals), 1.1 * size / side, np.concatenate(colors))


def discs(means: np.ndarray, normals: np.ndarray, width: float, colors: np.ndarray) -> SplatCloud:
    """Flat splats that lie in the surface; width: standard deviation. colors: [N, 3] sRGB 0..1."""
    other = np.where(np.abs(normals[:, :1]) < 0.9, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    first = np.cross(normals, other)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    turns = np.stack([first, np.cross(normals, first), normals], -1)
    count = len(means)
    return SplatCloud(
        means.astype(np.float32),
        matrices_to_quats(turns).astype(np.float32),
        np.tile(np.log([width, width, _FLAT * width]), (count, 1)).astype(np.float32),
        np.full(count, _OPAQUE, np.float32),
        ((colors - 0.5) / C0)[:, None, :].astype(np.float32),
    )


def with_shine(cloud: SplatCloud, degree: int, seed: int = 0) -> SplatCloud:
    """The same splats with colours that depend on the view."""
    generator = np.random.default_rng(seed)
    sh = np.zeros((len(cloud), (degree + 1) ** 2, 3), np.float32)
    sh[:, 0] = cloud.sh[:, 0]
    sh[:, 1:] = generator.normal(scale=0.15, size=sh[:, 1:].shape)
    return SplatCloud(cloud.means, cloud.quats, cloud.log_scales, cloud.opacity_logits, sh)
