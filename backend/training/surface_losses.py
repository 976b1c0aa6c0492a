"""Loss parts that make splats lie flat on a surface: those of SuGaR, and depth against normals as in 2DGS."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from backend.splats.surface_axes import turns_of
from backend.training.losses import Comparison, LossPart
from backend.training.surface_picture import SurfacePicture, slopes
from backend.training.surface_samples import NearestSplats, SurfaceSamples, measured, points_around, rows_of

IDEAL_RADIUS = 0.1  # camera extents: SDF errors count in this unit
_MOST_SDF_ERROR = 10.0  # camera extents
_FULL = 1.0 - 1e-6  # a density from which the distance to the surface is nearly zero
_SUM_OF_NEIGHBOURS = 1 / 16  # SDF mode: sixteen splats at one place are as dense as one ought to be


def between(part: LossPart, first: int, last: int) -> LossPart:
    """The part in steps first <= step < last only."""

    def loss(seen: Comparison) -> Tensor:
        return part(seen) if first <= seen.step < last else seen.image.new_zeros(())

    return loss


def opacity_entropy(weight: float) -> LossPart:
    """Drives the opacities of the splats that are seen to 0 or 1: the mean of their binary entropy (SuGaR)."""

    def loss(seen: Comparison) -> Tensor:
        opacities = seen.splats.opacities[seen.visible].clamp(1e-6, 1 - 1e-6)
        if not len(opacities):
            return seen.image.new_zeros(())
        entropy = -opacities * opacities.log() - (1 - opacities) * (1 - opacities).log()
        return weight * entropy.mean()

    return loss


def flatness(weight: float) -> LossPart:
    """Mean of the smallest standard deviation of the splats that are seen, in camera extents (PGSR, equation 7)."""

    def loss(seen: Comparison) -> Tensor:
        assert seen.splats.scales is not None
        thinnest = seen.splats.scales[seen.visible].amin(dim=-1)
        return weight * thinnest.mean() if len(thinnest) else seen.image.new_zeros(())

    return loss


def depth_against_normals(weight: float) -> LossPart:
    """1 - cosine between the normals that are drawn and those of the drawn depth's slope (2DGS, equation 14); weight 0
    draws nothing."""

    def loss(seen: Comparison) -> Tensor:
        return weight * normal_disagreement(seen.surface) if weight else seen.image.new_zeros(())

    return loss


def normal_disagreement(surface: SurfacePicture) -> Tensor:
    """Mean over the pixels where both are known, weighted by how much of the pixel is covered."""
    from_depth, known = slopes(surface)
    if not known.any():
        return surface.depth.new_zeros(())
    drawn, alpha = surface.normals[1:-1, 1:-1][known], surface.alpha[1:-1, 1:-1][known].detach()
    return (alpha * (1 - (drawn * from_depth[known]).sum(-1))).mean()


def surface_alignment(field: str, *, samples: int, every: int, field_weight: float, normal_weight: float) -> LossPart:
    """SuGaR's terms: the density around splats, or the distance to the surface that follows from it, is what flat
    opaque splats would make, and normals of neighbours agree.

    field: "density" or "sdf". samples: points a step. every: steps after which neighbours are found again.
    """
    nearest = NearestSplats(every)
    compare: Callable[[Comparison, SurfaceSamples], Tensor] = density_error if field == "density" else sdf_error

    def loss(seen: Comparison) -> Tensor:
        candidates = seen.visible
        if field == "sdf":
            candidates = candidates & near_the_surface(seen)
        usable = candidates.nonzero()[:, 0]
        if not len(usable):
            return seen.image.new_zeros(())
        generator = seen.generator
        chosen = usable[torch.randint(len(usable), (samples,), generator=generator, device=generator.device)]
        points = points_around(seen.splats, chosen, generator)
        found = measured(seen.splats, points, chosen, nearest.of(seen.splats, seen.step))
        return field_weight * compare(seen, found) + normal_weight * normal_error(found)

    return loss


def density_error(_seen: Comparison, samples: SurfaceSamples) -> Tensor:
    """Mean |d - exp(-h^2 / (2 beta^2))|, h the height over the source splat's plane, beta the neighbours' thickness.

    The ideal gets no gradient: where it may move, splats turn their planes away until the ideal is as low as they are.
    """
    with torch.no_grad():
        ideal = torch.exp(-0.5 * (samples.own_heights / samples.thickness.clamp_min(1e-9)).square())
    return (samples.density - ideal).abs().mean()


def sdf_error(seen: Comparison, samples: SurfaceSamples) -> Tensor:
    """Mean | beta sqrt(-2 ln d) - |D - z| | in tenths of the camera extent, D the drawn depth where the point is seen.

    Points outside the picture, or where no surface is seen, do not count.
    """
    density = samples.density * _SUM_OF_NEIGHBOURS
    density = torch.where(density >= 1, density / density.detach().clamp_min(1e-12), density).clamp(1e-12, _FULL)
    distance = samples.thickness * (-2 * density.log()).sqrt()
    depth, known, z = _depth_at(seen, samples.points)
    if not known.any():
        return seen.image.new_zeros(())
    error = (distance - (depth - z).abs()).abs()[known].clamp_max(_MOST_SDF_ERROR)
    return error.mean() / IDEAL_RADIUS


def normal_error(samples: SurfaceSamples) -> Tensor:
    """Mean squared distance of the source's normal to its neighbours', weighted by how each shapes the density there.

    That weighted mean is the direction of the density's gradient, and so the normal of its level set.
    """
    with torch.no_grad():
        weights = samples.shares * samples.heights.abs() / samples.thinnest.square().clamp_min(1e-18)
        weights = weights / weights.sum(-1, keepdim=True).clamp_min(1e-30)  # [P, K]
    mean = (weights[..., None] * samples.normals).sum(1)
    return (samples.source_normals - mean).square().sum(-1).mean()


def near_the_surface(seen: Comparison) -> Tensor:
    """bool [N]: splats whose centre lies within two standard deviations of the depth that is drawn there."""
    splats = seen.splats
    assert splats.quats is not None and splats.scales is not None
    with torch.no_grad():
        depth, known, z = _depth_at(seen, splats.means)
        sight = splats.means - seen.camera_centre
        sight = sight / sight.norm(dim=-1, keepdim=True).clamp_min(1e-12)
        along = (turns_of(splats.quats).transpose(1, 2) @ sight[..., None])[..., 0]  # [N, 3] in the splat's axes
        return known & ((depth - z).abs() < 2 * (splats.scales * along).norm(dim=-1))


def _depth_at(seen: Comparison, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The drawn depth [P] in the pixel of each point [P, 3], whether there is one, and the point's own depth [P]."""
    surface, picture = seen.surface, seen.picture
    rotation, shift = picture.viewmat[0, :3, :3], picture.viewmat[0, :3, 3]
    places = points @ rotation.T + shift
    pixels, ahead = picture.project(places)
    column, row = pixels.floor().unbind(-1)
    inside = ahead & (column >= 0) & (column < picture.width) & (row >= 0) & (row < picture.height)
    pixel = row.clamp(0, picture.height - 1).long() * picture.width + column.clamp(0, picture.width - 1).long()
    return rows_of(surface.depth.reshape(-1), pixel), inside & surface.known.reshape(-1)[pixel], places[:, 2]
