"""Flat splats whose place and shape follow from the triangle that they lie in, as differentiable torch functions.

A triangle's corners are v0, v1, v2, and n is its unit normal. Axes are the columns of a rotation; the first is n.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

GAMES_THICKNESS = 1e-8  # standard deviation across the face
_LEAST_ALPHA = 1e-8

_THIRD, _SIXTH = 1 / 3, 1 / 6
_FAR = [(2 * _THIRD, _SIXTH, _SIXTH), (_SIXTH, 2 * _THIRD, _SIXTH), (_SIXTH, _SIXTH, 2 * _THIRD)]
# Of so many splats a face: their barycentrics, and the first standard deviation in parts of the face's shortest edge.
SUGAR_LAYOUTS: dict[int, tuple[list[tuple[float, float, float]], float]] = {
    1: ([(_THIRD, _THIRD, _THIRD)], 1 / (2 * math.sqrt(3))),
    3: (
        [(0.5, 0.25, 0.25), (0.25, 0.5, 0.25), (0.25, 0.25, 0.5)],
        1 / (2 * (math.sqrt(3) + 1)),
    ),
    4: ([(_THIRD, _THIRD, _THIRD), *_FAR], 1 / (4 * math.sqrt(3))),
    6: (
        [*_FAR, (_SIXTH, 5 / 12, 5 / 12), (5 / 12, _SIXTH, 5 / 12), (5 / 12, 5 / 12, _SIXTH)],
        1 / (4 + 2 * math.sqrt(3)),
    ),
}


def face_normals(corners: Tensor) -> Tensor:
    """Unit normals of triangles, [N, 3, 3] -> [N, 3]; 0 for those without an area."""
    return normalize(torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), dim=-1)


def games_barycentrics(alphas: Tensor) -> Tensor:
    """Any three numbers as weights that are not negative and add up to 1, [N, 3] -> [N, 3]."""
    weights = torch.relu(alphas) + _LEAST_ALPHA
    return weights / weights.sum(dim=-1, keepdim=True)


def games_shapes(corners: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
    """Axes [N, 3, 3] and standard deviations [N, 3] of GaMeS, Waczynska et al. 2024.

    corners: [N, 3, 3]. factors: [N], which make the splat larger than its face asks for.
    The second axis points from the centroid to v1, the third is the part of v2 - centroid at right angles to it.
    """
    centroid = corners.mean(dim=1)
    towards_first, towards_second = corners[:, 1] - centroid, corners[:, 2] - centroid
    normal, along = face_normals(corners), normalize(towards_first, dim=-1)
    # What Gram-Schmidt would leave of v2 - centroid, which lies in the face's plane.
    across = torch.linalg.cross(normal, along)
    height = (towards_second * across).sum(dim=-1)
    scales = torch.stack(
        [
            torch.full_like(factors, GAMES_THICKNESS),
            factors * towards_first.norm(dim=-1) / 2,
            factors * height / 2,
        ],
        dim=-1,
    )
    return torch.stack([normal, along, across], dim=-1), scales


def sugar_shapes(corners: Tensor, angles: Tensor, log_scales: Tensor, thickness: float) -> tuple[Tensor, Tensor]:
    """Axes [N, 3, 3] and standard deviations [N, 3] of SuGaR's bound splats, Guedon & Lepetit 2024.

    corners: [N, 3, 3]. angles: [N, 2], complex numbers of any length that turn the axes within the face's plane; 1 is
    along v0 - v1. log_scales: [N, 2], along these axes. thickness: standard deviation across the face.
    """
    normal = face_normals(corners)
    first = normalize(corners[:, 0] - corners[:, 1], dim=-1)
    second = torch.linalg.cross(normal, first)
    x, y = normalize(angles, dim=-1)[:, :, None].unbind(dim=1)
    across = torch.full_like(log_scales[:, :1], thickness)
    axes = torch.stack([normal, x * first + y * second, x * second - y * first], dim=-1)
    return axes, torch.cat([across, log_scales.exp()], dim=-1)


def sugar_start_scales(corners: Tensor, radius: float) -> Tensor:
    """The logarithm of the first standard deviation of splats in faces [N, 3, 3]: [N, 2].

    radius: in shortest edges of the face, as in `SUGAR_LAYOUTS`.
    """
    edges = (corners - corners.roll(1, dims=1)).norm(dim=-1)
    return (radius * edges.min(dim=1).values).log()[:, None].repeat(1, 2)


def adjacent_faces(faces: Tensor) -> Tensor:
    """Pairs of faces [E, 2] that share an edge, of which [F, 3] int64 are the vertices.

    Where more than two faces meet, each is paired with the next one.
    """
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).sort(dim=1).values
    owners = torch.arange(len(faces), device=faces.device).repeat(3)
    numbers = edges[:, 0] * (int(faces.max()) + 1) + edges[:, 1]
    numbers, order = numbers.sort(stable=True)
    is_shared = numbers[1:] == numbers[:-1]
    return torch.stack([owners[order[:-1]], owners[order[1:]]], dim=1)[is_shared]


def normal_consistency(corners: Tensor, pairs: Tensor) -> Tensor:
    """Mean of 1 - cos of the angle between the normals of adjacent faces, a scalar: 0 for a flat mesh.

    corners: [F, 3, 3]. pairs: [E, 2].
    """
    normals = face_normals(corners)
    cosines = (normals[pairs[:, 0]] * normals[pairs[:, 1]]).sum(dim=-1)
    return (1 - cosines).mean() if len(pairs) else corners.sum() * 0
