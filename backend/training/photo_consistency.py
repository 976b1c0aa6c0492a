"""The surface moved to where neighbouring photos show the same: PGSR (Chen et al. 2024), section 4.2.

Splats overlap, and the nearer hide the farther, so that what a slanted surface shows seems to lie before its splats:
trained on single photos alone, they come to lie half a pixel behind the true surface. Between two photos there is no
such gap.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, normalize

from backend.training.losses import Comparison, LossPart
from backend.training.surface_picture import SurfacePicture, draw_surface
from backend.training.views import Picture

PATCHES = {"cpu": 1_000, "cuda": 100_000}  # a step, by the kind of device; PGSR has 102,400
_REACH = 3  # pixels of a patch on either side of its middle
_LEAST_CONTRAST = 2 / 255  # standard deviation of a patch: even walls say nothing
_MOST_DIFFERENCE = 0.9  # 1 - NCC; patches that differ more see different things
_MOST_PIXELS_OFF = 1.0  # to the neighbour's surface and back; farther, something stands before it
_MOST_BENT = 0.5  # pixels that the surface may leave its plane within a patch
_SLANT = 0.05  # cosine; planes that rays meet at a sharper angle leave the patch
_GRAY = (0.299, 0.587, 0.114)


def photo_consistency(weight: float, *, samples: int) -> LossPart:
    """Mean of 1 - NCC between patches of a photo and of a neighbour, onto which the surface's planes carry them.

    samples: patches a step. Patches that the neighbour does not see do not count; photos without neighbours have none.
    weight: 0 draws nothing.
    """

    def loss(seen: Comparison) -> Tensor:
        if not weight or not seen.neighbours:
            return seen.image.new_zeros(())
        number = torch.randint(len(seen.neighbours), (1,), generator=seen.generator, device=seen.generator.device)
        neighbour = seen.neighbours[int(number)]
        middles = _textured(seen, samples)
        with torch.no_grad():
            there = draw_surface(seen.splats, neighbour, near=seen.near)
        return weight * disagreement(seen.surface, seen.picture, there, neighbour, middles)

    return loss


def disagreement(
    here: SurfacePicture, photo: Picture, there: SurfacePicture, other: Picture, middles: Tensor
) -> Tensor:
    """Mean of 1 - NCC over the patches around `middles`, int64 [S, 2] rows and columns at which `here` is known."""
    offsets = torch.arange(-_REACH, _REACH + 1, device=middles.device)
    rows = (middles[:, 0, None, None] + offsets[:, None]).expand(-1, len(offsets), len(offsets)).flatten(1)
    columns = (middles[:, 1, None, None] + offsets).expand(-1, len(offsets), len(offsets)).flatten(1)  # [S, Q]
    middle = middles[:, 0], middles[:, 1]
    normals = normalize(here.normals[middle].detach(), dim=-1)[:, None]  # [S, 1, 3]
    distances = (normals * (here.depth[middle][:, None] * here.rays[middle])[:, None]).sum(-1)  # [S, 1]
    rays = here.rays[rows, columns]  # [S, Q, 3]
    towards = (normals * rays).sum(-1)
    plane_depth = distances / towards.clamp_max(-_SLANT)
    flat = ((towards < -_SLANT) & here.known[rows, columns]).all(-1) & _near_plane(
        here.depth[rows, columns], plane_depth, photo
    )
    places = plane_depth[..., None] * rays
    pixels, ahead = other.project(_carried(places, photo, other))
    inside = ahead & (pixels > 0).all(-1) & (pixels < pixels.new_tensor((other.width, other.height))).all(-1)
    weights = flat * inside.all(-1) * _mutual(here.rays, photo, there, other, pixels[:, pixels.shape[1] // 2], middles)
    ours, theirs = _gray(photo)[rows, columns], _sampled(_gray(other)[None], pixels)[..., 0]
    correlation, contrast = _correlation(ours, theirs)
    difference = 1 - correlation
    weights = weights * contrast * (difference.detach() < _MOST_DIFFERENCE)
    return (weights * difference).sum() / weights.sum().clamp_min(1.0)


def _textured(seen: Comparison, samples: int) -> Tensor:
    """Middles [S, 2] of patches that lie in the picture, on a surface that the photo shows."""
    known = seen.surface.known.clone()
    for part in (seen.picture.alpha, seen.picture.weight):
        if part is not None:
            known &= part.to(known.device) > 127
    known[:_REACH] = known[-_REACH:] = known[:, :_REACH] = known[:, -_REACH:] = False
    usable = known.nonzero()
    if not len(usable):
        return usable
    return usable[torch.randint(len(usable), (samples,), generator=seen.generator, device=seen.generator.device)]


def _near_plane(depth: Tensor, plane_depth: Tensor, photo: Picture) -> Tensor:
    """bool [S]: nothing else begins within the patch. Both [S, Q]."""
    pixel = plane_depth.detach() / photo.intrinsics[0, 0, 0]  # its width there
    return ((depth - plane_depth).detach().abs() < _MOST_BENT * pixel).all(-1)


@torch.no_grad()
def _mutual(
    rays: Tensor, photo: Picture, there: SurfacePicture, other: Picture, pixels: Tensor, middles: Tensor
) -> Tensor:
    """[S] weights: exp(-e) where the neighbour's surface, seen from here, lies e < 1 pixels from the patch's middle."""
    depth = _sampled(there.depth[None], pixels[:, None])[:, 0]
    known = _sampled(there.known[None].float(), pixels[:, None])[:, 0, 0] > 0.99
    k = other.intrinsics[0]
    x, y = (pixels[:, 0] - k[0, 2]) / k[0, 0], (pixels[:, 1] - k[1, 2]) / k[1, 1]
    places = torch.stack([x, y, torch.ones_like(x)], -1) * depth
    back, ahead = photo.project(_carried(places, other, photo))
    off = (back - (middles.flip(-1) + 0.5)).norm(dim=-1)
    return known * ahead * (off < _MOST_PIXELS_OFF) * torch.exp(-off)


def _carried(places: Tensor, start: Picture, goal: Picture) -> Tensor:
    """Places [..., 3] in one camera's frame in another's."""
    change = goal.viewmat[0] @ torch.linalg.inv(start.viewmat[0])
    return places @ change[:3, :3].T + change[:3, 3]


def _sampled(image: Tensor, pixels: Tensor) -> Tensor:
    """An image [C, H, W] between its pixels, at [S, Q, 2] of them: [S, Q, C]."""
    size = pixels.new_tensor((image.shape[2], image.shape[1]))
    found = grid_sample(image[None], 2 * pixels[None] / size - 1, padding_mode="border", align_corners=False)
    return found[0].permute(1, 2, 0)


def _correlation(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Normalised cross-correlation [S] of patches [S, Q], and whether both have any contrast."""
    one, other = one - one.mean(-1, keepdim=True), other - other.mean(-1, keepdim=True)
    variances = one.square().mean(-1), other.square().mean(-1)
    contrast = (variances[0] > _LEAST_CONTRAST**2) & (variances[1].detach() > _LEAST_CONTRAST**2)
    scale = (variances[0] * variances[1]).clamp_min(_LEAST_CONTRAST**4).sqrt()
    return (one * other).mean(-1) / scale, contrast


def _gray(picture: Picture) -> Tensor:
    """[H, W] 0..1."""
    pixels = picture.pixels.to(picture.viewmat.device, non_blocking=True) * (1 / 255)
    return pixels @ pixels.new_tensor(_GRAY)
