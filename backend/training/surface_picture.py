"""What a camera sees of the surface that splats form: normals, and depth where the pixel's ray meets their planes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.splats import surface_axes
from backend.splats.raster import rasterization
from backend.training.representation import ActiveSplats
from backend.training.views import Picture

_COVERED = 0.5  # of a pixel, where a surface is seen
_SLANT = 0.1  # cosine between ray and normal; at more grazing rays the depth of a plane is not known


@dataclass(frozen=True)
class SurfacePicture:
    """In the camera's frame, OpenCV axes."""

    normals: Tensor  # [H, W, 3] mean over the splats that are seen: shorter than 1 where they disagree
    depth: Tensor  # [H, W] along the viewing axis; only where `known`
    known: Tensor  # bool [H, W]
    alpha: Tensor  # [H, W] 0..1
    rays: Tensor  # [H, W, 3] through the pixels' centres, with z = 1


def draw_surface(splats: ActiveSplats, picture: Picture, *, near: float) -> SurfacePicture:
    """Draws normals and plane distances of splats as if they were colours, with gradients.

    A splat's own depth is that of its centre, the same for all its pixels, and a slope made of it would look at the
    camera. The mean plane of a pixel has no such bias: depth = mean distance / (mean normal . ray), as in PGSR (Chen et
    al. 2024, section 4.1). near: splats whose centre is nearer are not drawn.
    """
    rotation, shift = picture.viewmat[0, :3, :3], picture.viewmat[0, :3, 3]
    centres = splats.means @ rotation.T + shift  # [N, 3]
    normals = surface_axes.facing(shortest_axes(splats) @ rotation.T, centres)
    channels = torch.cat([normals, (normals * centres).sum(-1, keepdim=True)], -1)  # [N, 4]
    blended, alphas, _ = rasterization(
        splats.means,
        splats.quats,
        splats.scales,
        splats.opacities,
        channels,
        picture.viewmat,
        picture.intrinsics,
        picture.width,
        picture.height,
        near_plane=near,
        covars=splats.covariances,
    )
    alpha = alphas[0, ..., 0]
    mean = blended[0] / alpha.clamp_min(1e-6)[..., None]
    rays = pixel_rays(picture)
    towards = (mean[..., :3] * rays).sum(-1)  # negative where the surface faces the camera
    known = (alpha > _COVERED) & (towards < -_SLANT * rays.norm(dim=-1))
    depth = mean[..., 3] / torch.where(known, towards, -torch.ones_like(towards))
    known = known & (depth > near)
    return SurfacePicture(mean[..., :3], depth, known, alpha, rays)


def pixel_rays(picture: Picture) -> Tensor:
    """[H, W, 3] in the camera's frame, with z = 1."""
    k, device = picture.intrinsics[0], picture.intrinsics.device
    x = (torch.arange(picture.width, device=device) + 0.5 - k[0, 2]) / k[0, 0]
    y = (torch.arange(picture.height, device=device) + 0.5 - k[1, 2]) / k[1, 1]
    y, x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)], -1)


def slopes(picture: SurfacePicture) -> tuple[Tensor, Tensor]:
    """Unit normals [H - 2, W - 2, 3] of the surface that the depth describes, towards the camera, and where they are
    known: bool, a pixel and its four neighbours are. Central differences, as in 2DGS (Huang et al. 2024)."""
    points = picture.depth[..., None] * picture.rays
    across = points[1:-1, 2:] - points[1:-1, :-2]
    down = points[2:, 1:-1] - points[:-2, 1:-1]
    known = picture.known
    inner = known[1:-1, 1:-1] & known[1:-1, 2:] & known[1:-1, :-2] & known[2:, 1:-1] & known[:-2, 1:-1]
    product = torch.linalg.cross(down, across)  # x to the right, y down: this order looks at the camera
    length = product.norm(dim=-1, keepdim=True)
    inner = inner & (length[..., 0] > 1e-12)
    return product / length.clamp_min(1e-12), inner


def shortest_axes(splats: ActiveSplats) -> Tensor:
    """Unit direction in which each splat is thinnest, [N, 3]; which of the two is arbitrary."""
    assert splats.quats is not None and splats.scales is not None
    return surface_axes.shortest_axes(splats.quats, splats.scales)
