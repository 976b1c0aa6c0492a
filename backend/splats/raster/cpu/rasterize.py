"""Draws splats on the CPU with gradients: gsplat's `rasterization` on our numba kernels."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend.splats.raster.constants import TILE_SIZE
from backend.splats.raster.cpu.blend import (
    GRADIENT_CHANNEL,
    MAX_CHANNELS,
    RECORD_COLUMNS,
    blend_kernels,
    gather_records,
    sum_pairs,
)
from backend.splats.raster.cpu.projection import BLOCK, ELLIPSE_COLUMNS, camera_rows, project
from backend.splats.raster.cpu.projection_backward import project_backward
from backend.splats.raster.cpu.tiles import TileLists, bin_splats
from backend.splats.spherical_harmonics import sh_colors

log = logging.getLogger(__name__)

UPPER_TRIANGLE = ([0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2])


def _array(tensor: Tensor | None, *unused_shape: int) -> np.ndarray:
    """The tensor's float32 values, contiguous; zeros of `unused_shape` when there is none."""
    if tensor is None:
        return np.zeros(unused_shape, np.float32)
    return tensor.detach().to(torch.float32).contiguous().numpy()


class Project(torch.autograd.Function):
    """(means, shape, opacities, SH) -> (means2d, depths, conics, effective opacities, colours), each [C, N, ...]."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        means: Tensor,
        quats: Tensor | None,
        scales: Tensor | None,
        covars: Tensor | None,  # [N, 6]
        opacities: Tensor,
        sh0: Tensor | None,  # [N, 1, 3]
        sh_rest: Tensor | None,  # [N, K - 1, 3]
        cameras: np.ndarray,
        options: Options,
    ) -> tuple[Tensor, ...]:
        n, views, degree = len(means), len(cameras), options.sh_degree
        inputs = (
            _array(means), _array(quats, 1, 4), _array(scales, 1, 3), _array(covars, 1, 6), _array(opacities),
            _array(sh0, 1, 1, 3)[:, 0], _array(sh_rest, 1, 0, 3),
        )  # fmt: skip
        radii = np.empty((views, n, 2), np.int32)
        means2d, depths = np.empty((views, n, 2), np.float32), np.empty((views, n), np.float32)
        conics, effective = np.empty((views, n, 3), np.float32), np.empty((views, n), np.float32)
        colors = np.empty((views, n if degree >= 0 else 1, 3), np.float32)
        ellipses = np.empty((views, n, ELLIPSE_COLUMNS), np.float32)
        broken = np.zeros(-(-n // BLOCK), np.int64)
        project(
            *inputs, cameras, options.width, options.height, options.near_plane, options.far_plane,
            options.radius_clip, options.eps2d, degree, options.perspective, covars is not None, options.antialiased,
            radii, means2d, depths, conics, effective, colors, ellipses, broken,
        )  # fmt: skip
        ctx.inputs, ctx.cameras, ctx.options, ctx.radii, ctx.colors = inputs, cameras, options, radii, colors
        ctx.used = [t is not None for t in (means, quats, scales, covars, opacities, sh0, sh_rest)]
        outputs = tuple(torch.from_numpy(a) for a in (means2d, depths, conics, effective, colors, radii, ellipses))
        ctx.mark_non_differentiable(*outputs[5:])
        return *outputs, torch.tensor(int(broken.sum()))

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        means, quats, scales, covars, opacities, _, sh_rest = ctx.inputs
        grad_means2d, grad_depths, grad_conics, grad_effective, grad_colors = (_array(g) for g in gradients[:5])
        options, degree = ctx.options, ctx.options.sh_degree
        out = [np.empty(a.shape, np.float32) for a in ctx.inputs]
        project_backward(
            means, quats, scales, covars, opacities, sh_rest, ctx.cameras,
            options.eps2d, degree, options.perspective, ctx.used[3], options.antialiased,
            ctx.radii, ctx.colors,
            grad_means2d, grad_depths, grad_conics, grad_effective, grad_colors,
            *out,
        )  # fmt: skip
        out[5] = out[5][:, None]
        results = (torch.from_numpy(a) if used else None for a, used in zip(out, ctx.used, strict=True))
        return *results, None, None


class Blend(torch.autograd.Function):
    """One camera: (means2d, conics, opacities, channels) [N, ...] -> (picture [H, W, D], alpha [H, W])."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        means2d: Tensor,
        conics: Tensor,
        opacities: Tensor,
        channels: Tensor,
        ellipses: np.ndarray,
        tiles: TileLists,
        background: np.ndarray,  # [D]
        options: Options,
        absgrad: np.ndarray | None,  # [N, 2], filled by backward
    ) -> tuple[Tensor, Tensor]:
        height, width, depth = options.height, options.width, channels.shape[1]
        position, opacity, features = _array(means2d), _array(opacities), _array(channels)
        transmittance = np.empty((height, width), np.float32)
        last_pair = np.empty(tiles.tiles_x * tiles.tiles_y, np.int64)
        ctx.chunks = []
        for first in range(0, depth, MAX_CHANNELS):
            count = min(MAX_CHANNELS, depth - first)
            records = np.empty((len(tiles.order), RECORD_COLUMNS), np.float32)
            gather_records(tiles.order, position, ellipses, opacity, features, first, records)
            picture = np.empty((height, width, count), np.float32)
            blend_kernels(count, absgrad is not None).forward(
                width, height, tiles.tiles_x, tiles.tiles_y, tiles.tile_start, tiles.rank_of_pair, tiles.rows_of_pair,
                records, background[first : first + count], picture, transmittance, last_pair,
            )  # fmt: skip
            ctx.chunks.append((records, picture))
        ctx.tiles, ctx.options, ctx.absgrad = tiles, options, absgrad
        ctx.transmittance, ctx.last_pair, ctx.count = transmittance, last_pair, len(position)
        pictures = [picture for _, picture in ctx.chunks]
        whole = pictures[0] if len(pictures) == 1 else np.concatenate(pictures, axis=2)
        return torch.from_numpy(whole), torch.from_numpy(1 - transmittance)

    @staticmethod
    def backward(ctx: Any, grad_picture: Tensor, grad_alpha: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        tiles, options = ctx.tiles, ctx.options
        grad_whole, grad_transmittance = _array(grad_picture), _array(-grad_alpha)
        geometry, channels = None, []
        first = 0
        for records, picture in ctx.chunks:
            count = picture.shape[2]
            grad_part = np.ascontiguousarray(grad_whole[:, :, first : first + count])
            grad_pairs = np.empty((len(tiles.rank_of_pair), GRADIENT_CHANNEL + count), np.float32)
            blend_kernels(count, ctx.absgrad is not None).backward(
                options.width, options.height, tiles.tiles_x, tiles.tiles_y, tiles.tile_start, tiles.rank_of_pair,
                tiles.rows_of_pair, records, picture, ctx.transmittance, ctx.last_pair,
                grad_part, grad_transmittance, grad_pairs,
            )  # fmt: skip
            sums = np.zeros((ctx.count, GRADIENT_CHANNEL + count), np.float32)
            sum_pairs(tiles.order, tiles.slot_start, tiles.pair_of_slot, grad_pairs, sums)
            geometry = sums[:, :GRADIENT_CHANNEL] if geometry is None else geometry + sums[:, :GRADIENT_CHANNEL]
            channels.append(sums[:, GRADIENT_CHANNEL:])
            grad_transmittance = np.zeros_like(grad_transmittance)  # it belongs to the first chunk only
            first += count
        assert geometry is not None
        if ctx.absgrad is not None:
            ctx.absgrad[:] = geometry[:, 6:8]
        grads = [geometry[:, 0:2], geometry[:, 2:5], geometry[:, 5], np.concatenate(channels, axis=1)]
        return *(torch.from_numpy(np.ascontiguousarray(g)) for g in grads), None, None, None, None, None


class Options:
    """The numbers of one call that the kernels need."""

    def __init__(
        self, width: int, height: int, near_plane: float, far_plane: float, radius_clip: float, eps2d: float,
        sh_degree: int | None, camera_model: str, rasterize_mode: str,
    ) -> None:  # fmt: skip
        self.width, self.height = int(width), int(height)
        self.near_plane, self.far_plane = float(near_plane), float(far_plane)
        self.radius_clip, self.eps2d = float(radius_clip), float(eps2d)
        self.sh_degree = -1 if sh_degree is None else int(sh_degree)
        self.perspective = camera_model == "pinhole"
        self.antialiased = rasterize_mode == "antialiased"


def rasterization(
    means: Tensor,
    quats: Tensor | None,
    scales: Tensor | None,
    opacities: Tensor,
    colors: Tensor | tuple[Tensor, Tensor],
    viewmats: Tensor,
    Ks: Tensor,  # noqa: N803  gsplat's name
    width: int,
    height: int,
    *,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    backgrounds: Tensor | None = None,
    render_mode: str = "RGB",
    rasterize_mode: str = "classic",
    absgrad: bool = False,
    covars: Tensor | None = None,
    camera_model: str = "pinhole",
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """See `backend.splats.raster.rasterization`."""
    options = Options(
        width, height, near_plane, far_plane, radius_clip, eps2d, sh_degree, camera_model, rasterize_mode
    )
    cameras = camera_rows(viewmats.detach().numpy(), Ks.detach().numpy(), width, height)
    pair, colors = _coefficients_or_channels(means, colors, viewmats, options)
    sh0, sh_rest = pair
    triangle = None if covars is None else covars[..., UPPER_TRIANGLE[0], UPPER_TRIANGLE[1]]
    own_shape = (quats, scales) if covars is None else (None, None)
    means2d, depths, conics, effective, sh_channels, radii, ellipses, broken = Project.apply(
        means, *own_shape, triangle, opacities, sh0, sh_rest, cameras, options
    )
    if broken.item():
        log.warning("%d splats hold NaN or infinite values and are not drawn", broken.item())
    channels = sh_channels if colors is None else colors
    if render_mode != "RGB":
        channels = torch.cat([channels, depths[..., None]], -1) if "RGB" in render_mode else depths[..., None]
    absolute = torch.zeros(means2d.shape) if absgrad else None
    pictures, alphas, tile_lists = [], [], []
    for camera in range(len(cameras)):
        tiles = bin_splats(
            radii[camera].numpy(), means2d[camera].detach().numpy(), depths[camera].detach().numpy(),
            ellipses[camera].numpy(), options.width, options.height,
        )  # fmt: skip
        background = np.zeros(channels.shape[-1], np.float32)
        if backgrounds is not None and "RGB" in render_mode:
            background[: backgrounds.shape[1]] = _array(backgrounds[camera])
        picture, alpha = Blend.apply(
            means2d[camera], conics[camera], effective[camera], channels[camera], ellipses[camera].numpy(), tiles,
            background, options, None if absolute is None else absolute[camera].numpy(),
        )  # fmt: skip
        pictures.append(picture)
        alphas.append(alpha)
        tile_lists.append(tiles)
    pictures, alphas = torch.stack(pictures), torch.stack(alphas)[..., None]
    if "ED" in render_mode:
        pictures = torch.cat([pictures[..., :-1], pictures[..., -1:] / alphas.clamp(min=1e-10)], -1)
    if absolute is not None:
        means2d.absgrad = absolute  # type: ignore[attr-defined]  gsplat's convention
    info = _info(options, means2d, depths, conics, effective, radii, tile_lists)
    info["broken"] = int(broken)
    return pictures, alphas, info


def _coefficients_or_channels(
    means: Tensor, colors: Tensor | tuple[Tensor, Tensor], viewmats: Tensor, options: Options
) -> tuple[tuple[Tensor | None, Tensor | None], Tensor | None]:
    """Either ((sh0, rest), None) for colours made in the projection, or ((None, None), channels [C, N, D])."""
    if options.sh_degree < 0:
        assert isinstance(colors, Tensor)
        return (None, None), colors if colors.dim() == 3 else colors.expand(len(viewmats), -1, -1)  # noqa: PLR2004
    if not isinstance(colors, tuple):
        if colors.dim() == 4:  # noqa: PLR2004  coefficients of their own for each camera
            directions = means[None] - torch.linalg.inv(viewmats)[:, None, :3, 3]
            degree, options.sh_degree = options.sh_degree, -1
            return (None, None), sh_colors(degree, directions, colors)
        colors = (colors[:, :1], colors[:, 1:])
    return colors, None


def _info(
    options: Options, means2d: Tensor, depths: Tensor, conics: Tensor, opacities: Tensor, radii: Tensor,
    tile_lists: list[TileLists],
) -> dict[str, Any]:  # fmt: skip
    """gsplat's keys for `packed=False`. Lists of tiles are per camera and concatenated, as there."""
    views, n = radii.shape[:2]
    per_splat = torch.zeros((views, n), dtype=torch.int32)
    offsets, flat, before = [], [], 0
    for camera, tiles in enumerate(tile_lists):
        per_splat[camera, torch.from_numpy(tiles.order).long()] = torch.from_numpy(np.diff(tiles.slot_start)).int()
        offsets.append(before + tiles.tile_start[:-1].reshape(tiles.tiles_y, tiles.tiles_x))
        flat.append(tiles.order[tiles.rank_of_pair] + camera * n)
        before += len(tiles.rank_of_pair)
    return {
        "batch_ids": None,
        "camera_ids": None,
        "gaussian_ids": None,
        "radii": radii,
        "means2d": means2d,
        "depths": depths,
        "conics": conics,
        "opacities": opacities,
        "tile_width": tile_lists[0].tiles_x,
        "tile_height": tile_lists[0].tiles_y,
        "tiles_per_gauss": per_splat,
        "flatten_ids": torch.from_numpy(np.concatenate(flat)),
        "isect_offsets": torch.from_numpy(np.stack(offsets)),
        "width": options.width,
        "height": options.height,
        "tile_size": TILE_SIZE,
        "n_batches": 1,
        "n_cameras": views,
    }
