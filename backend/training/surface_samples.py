"""Points around splats, and how dense the splats are there: what SuGaR compares with an ideal surface."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.splats.neighbours import nearest_ones
from backend.splats.surface_axes import turns_of
from backend.training.representation import ActiveSplats
from backend.training.surface_picture import shortest_axes

NEIGHBOURS = 16  # of a splat, itself among them
_SPREAD = 1.5  # standard deviations; as far as that points are scattered around a splat


@dataclass(frozen=True)
class SurfaceSamples:
    """P points, each drawn around one splat and compared with the K splats nearest to that one, in one frame."""

    points: Tensor  # [P, 3] places; they do not move with the splats
    sources: Tensor  # int64 [P] the splat that each was drawn around
    shares: Tensor  # [P, K] opacity times Gaussian of each neighbour
    density: Tensor  # [P] their sum
    thickness: Tensor  # [P] mean of the neighbours' smallest standard deviation
    heights: Tensor  # [P, K] over each neighbour's plane, in the direction of its normal
    normals: Tensor  # [P, K, 3] of the neighbours, on the side that the source's looks to
    source_normals: Tensor  # [P, 3]
    own_heights: Tensor  # [P] over the source's plane
    thinnest: Tensor  # [P, K] smallest standard deviation of each neighbour


@torch.no_grad()
def points_around(splats: ActiveSplats, sources: Tensor, generator: torch.Generator) -> Tensor:
    """One point [P, 3] for each of `sources` [P], normally distributed as that splat is, but wider."""
    assert splats.quats is not None and splats.scales is not None
    random = torch.randn(len(sources), 3, generator=generator, device=generator.device)
    offsets = turns_of(splats.quats[sources]) @ (_SPREAD * splats.scales[sources] * random)[..., None]
    return splats.means[sources] + offsets[..., 0]


def measured(splats: ActiveSplats, points: Tensor, sources: Tensor, neighbours: Tensor) -> SurfaceSamples:
    """What splats make of points [P, 3] that were drawn around `sources` [P].

    neighbours: int64 [N, K] for each splat. Equations 2 to 7 of SuGaR (Guédon and Lepetit 2024).
    """
    assert splats.quats is not None and splats.scales is not None
    turns, scales = turns_of(splats.quats), splats.scales
    around = neighbours[sources]  # [P, K]
    whiten = (turns / scales[:, None, :]).transpose(1, 2)  # [N, 3, 3] S^-1 R^T
    apart = points[:, None, :] - rows_of(splats.means, around)  # [P, K, 3]
    distances = (rows_of(whiten, around) @ apart[..., None])[..., 0].square().sum(-1)  # [P, K] Mahalanobis, squared
    shares = rows_of(splats.opacities, around) * torch.exp(-0.5 * distances)
    thin = scales.amin(dim=-1)
    axes = shortest_axes(splats)
    source_normals, normals = rows_of(axes, sources), rows_of(axes, around)
    same_side = ((normals * source_normals[:, None]).sum(-1, keepdim=True) >= 0).to(normals.dtype)
    normals = normals * (2 * same_side - 1)
    return SurfaceSamples(
        points=points,
        sources=sources,
        shares=shares,
        density=shares.sum(-1),
        thickness=rows_of(thin, around).mean(-1),
        heights=(apart * normals).sum(-1),
        normals=normals,
        source_normals=source_normals,
        own_heights=((points - rows_of(splats.means, sources)) * source_normals).sum(-1),
        thinnest=rows_of(thin, around),
    )


@dataclass
class NearestSplats:
    """For each splat those around it, found again every so many steps and whenever splats came or went.

    A training that goes on from a checkpoint finds them anew.
    """

    every: int  # steps
    _found: Tensor | None = None  # int64 [N, K]
    _step: int = 0

    def of(self, splats: ActiveSplats, step: int) -> Tensor:
        """int64 [N, K], itself first; K is NEIGHBOURS, or all there are."""
        if self._found is None or len(self._found) != len(splats.means) or step - self._step >= self.every:
            self._found = torch.tensor(
                nearest_ones(splats.means.detach().cpu().numpy(), NEIGHBOURS), device=splats.means.device
            )
            self._step = step
        return self._found


def rows_of(values: Tensor, which: Tensor) -> Tensor:
    """values[which], whose gradient is summed in the same order each time, other than that of an index on a CPU.

    values: [N, ...]; which: int64 of any shape S. Returns [S, ...].
    """
    return values.index_select(0, which.reshape(-1)).reshape(*which.shape, *values.shape[1:])
