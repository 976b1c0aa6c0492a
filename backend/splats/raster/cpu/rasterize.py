"""Draws splats on the CPU with gradients: gsplat's `rasterization` on our numba kernels."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend.splats.raster.constants import TILE_SIZE
from backend.splats.raster.cpu.blend import (
    GRADIENT_CHANNEL,
    MAX_CHANNELS,
    RECORD_COLUMNS,
    backward_kernel,
    forward_kernel,
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


@dataclass
class _Chunk:
    """Up to four channels of one camera's picture, as the forward pass leaves them for the backward pass."""

    camera: int
    first: int  # of its channels
    records: np.ndarray
    picture: np.ndarray  # [H, W, 1..4]
    transmittance: np.ndarray  # [H, W], shared by the camera's chunks
    last_pair: np.ndarray  # [tiles], likewise

    @property
    def channels(self) -> slice:
        return slice(self.first, self.first + self.picture.shape[2])


class Blend(torch.autograd.Function):
    """(means2d, conics, opacities, channels), each [C, N, ...] -> (pictures [C, H, W, D], alphas [C, H, W, 1])."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        means2d: Tensor,
        conics: Tensor,
        opacities: Tensor,
        channels: Tensor,
        ellipses: np.ndarray,  # [C, N, ELLIPSE_COLUMNS]
        tile_lists: list[TileLists],
        backgrounds: np.ndarray,  # [C, D]
        options: Options,
        absgrad: np.ndarray | None,  # [C, N, 2], filled by backward
        depths: np.ndarray,  # [C, N]
        surfaces: np.ndarray | None,  # [C, H, W, S]; not differentiable
    ) -> tuple[Tensor, Tensor]:
        if surfaces is not None and any(ctx.needs_input_grad):
            raise ValueError("pictures that end at a surface have no gradients here")
        height, width = options.height, options.width
        positions, opacity, features = _array(means2d), _array(opacities), _array(channels)
        views, _, depth = features.shape
        pictures = np.empty((views, height, width, depth), np.float32)
        through = np.empty((views, height, width), np.float32)
        ctx.chunks = []
        for camera, tiles in enumerate(tile_lists):
            last_pair = np.empty(tiles.tiles_x * tiles.tiles_y, np.int64)
            for first in range(0, depth, MAX_CHANNELS):
                count = min(MAX_CHANNELS, depth - first)
                records = np.empty((len(tiles.order), RECORD_COLUMNS), np.float32)
                gather_records(
                    tiles.order, positions[camera], depths[camera], ellipses[camera], opacity[camera], features[camera],
                    first, records,
                )  # fmt: skip
                picture = pictures[camera] if count == depth else np.empty((height, width, count), np.float32)
                chunk = _Chunk(camera, first, records, picture, through[camera], last_pair)
                # not read when there is none
                surface = through[camera, ..., None] if surfaces is None else surfaces[camera]
                forward_kernel(count, 0 if surfaces is None else surface.shape[2])(
                    width, height, tiles.tiles_x, tiles.tiles_y, tiles.tile_start, tiles.rank_of_pair,
                    tiles.rows_of_pair, records, backgrounds[camera, chunk.channels], surface, picture, through[camera],
                    last_pair,
                )  # fmt: skip
                if count < depth:
                    pictures[camera, ..., chunk.channels] = picture
                ctx.chunks.append(chunk)
        ctx.tile_lists, ctx.options, ctx.absgrad, ctx.shape = tile_lists, options, absgrad, features.shape
        return torch.from_numpy(pictures), torch.from_numpy((1 - through)[..., None])

    @staticmethod
    def backward(ctx: Any, grad_pictures: Tensor, grad_alphas: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        options, (views, n, depth) = ctx.options, ctx.shape
        grad_whole, grad_transmittance = _array(grad_pictures), -_array(grad_alphas)[..., 0]
        geometry, channels = np.zeros((views, n, GRADIENT_CHANNEL), np.float32), np.empty((views, n, depth), np.float32)
        for chunk in ctx.chunks:
            tiles, count = ctx.tile_lists[chunk.camera], chunk.picture.shape[2]
            grad_pairs = np.empty((len(tiles.rank_of_pair), GRADIENT_CHANNEL + count), np.float32)
            # the transmittance's gradient belongs to the first chunk only
            of_alpha = grad_transmittance[chunk.camera] if chunk.first == 0 else np.zeros_like(chunk.transmittance)
            backward_kernel(count, ctx.absgrad is not None)(
                options.width, options.height, tiles.tiles_x, tiles.tiles_y, tiles.tile_start, tiles.rank_of_pair,
                tiles.rows_of_pair, chunk.records, chunk.picture, chunk.transmittance, chunk.last_pair,
                np.ascontiguousarray(grad_whole[chunk.camera, ..., chunk.channels]), of_alpha, grad_pairs,
            )  # fmt: skip
            sums = np.zeros((n, GRADIENT_CHANNEL + count), np.float32)
            sum_pairs(tiles.order, tiles.slot_start, tiles.pair_of_slot, grad_pairs, sums)
            geometry[chunk.camera] += sums[:, :GRADIENT_CHANNEL]
            channels[chunk.camera, :, chunk.channels] = sums[:, GRADIENT_CHANNEL:]
        if ctx.absgrad is not None:
            ctx.absgrad[:] = geometry[..., 6:8]
        grads = [geometry[..., 0:2], geometry[..., 2:5], geometry[..., 5], channels]
        return *(torch.from_numpy(np.ascontiguousarray(g)) for g in grads), *([None] * 7)


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
    Ks: Tensor,
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
    surface_depths: Tensor | None = None,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """See `backend.splats.raster.rasterization`."""
    options = Options(width, height, near_plane, far_plane, radius_clip, eps2d, sh_degree, camera_model, rasterize_mode)
    cameras = camera_rows(viewmats.detach().numpy(), Ks.detach().numpy(), width, height)
    (sh0, sh_rest), own_channels = _coefficients_or_channels(means, colors, viewmats, options)
    triangle = None if covars is None else covars[..., UPPER_TRIANGLE[0], UPPER_TRIANGLE[1]]
    own_shape = (quats, scales) if covars is None else (None, None)
    means2d, depths, conics, effective, sh_channels, radii, ellipses, broken = Project.apply(
        means, *own_shape, triangle, opacities, sh0, sh_rest, cameras, options
    )
    if broken.item():
        log.warning("%d splats hold NaN or infinite values and are not drawn", broken.item())
    channels: Tensor = sh_channels if own_channels is None else own_channels
    if render_mode != "RGB":
        channels = torch.cat([channels, depths[..., None]], -1) if "RGB" in render_mode else depths[..., None]
    absolute = torch.zeros(means2d.shape) if absgrad else None
    distances = _array(depths)
    tile_lists = [
        bin_splats(radii[c].numpy(), positions, distances[c], ellipses[c].numpy(), options.width, options.height)
        for c, positions in enumerate(_array(means2d))
    ]
    background = np.zeros((len(cameras), channels.shape[-1]), np.float32)
    if backgrounds is not None and "RGB" in render_mode:
        background[:, : backgrounds.shape[1]] = _array(backgrounds)
    pictures, alphas = Blend.apply(
        means2d, conics, effective, channels, ellipses.numpy(), tile_lists, background, options,
        None if absolute is None else absolute.numpy(), distances,
        None if surface_depths is None else _array(surface_depths).reshape(len(cameras), height, width, -1),
    )  # fmt: skip
    if "ED" in render_mode:
        pictures = torch.cat([pictures[..., :-1], pictures[..., -1:] / alphas.clamp(min=1e-10)], -1)
    if absolute is not None:
        means2d.absgrad = absolute  # type: ignore[attr-defined]  gsplat's convention
    info = _Info(
        len(cameras), len(means), tile_lists, means2d=means2d, depths=depths, conics=conics, opacities=effective,
        radii=radii, width=options.width, height=options.height, tile_size=TILE_SIZE,
        tile_width=tile_lists[0].tiles_x, tile_height=tile_lists[0].tiles_y, broken=int(broken),
    )  # fmt: skip
    return pictures, alphas, info


def _coefficients_or_channels(
    means: Tensor, colors: Tensor | tuple[Tensor, Tensor], viewmats: Tensor, options: Options
) -> tuple[tuple[Tensor | None, Tensor | None], Tensor | None]:
    """Either ((sh0, rest), None) for colours made in the projection, or ((None, None), channels [C, N, D])."""
    if options.sh_degree < 0:
        assert isinstance(colors, Tensor)
        return (None, None), colors if colors.dim() == 3 else colors.expand(len(viewmats), -1, -1)
    if not isinstance(colors, tuple):
        if colors.dim() == 4:  # coefficients of their own for each camera
            directions = means[None] - torch.linalg.inv(viewmats)[:, None, :3, 3]
            degree, options.sh_degree = options.sh_degree, -1
            return (None, None), sh_colors(degree, directions, colors)
        colors = (colors[:, :1], colors[:, 1:])
    return colors, None


class _Info(dict[str, Any]):
    """gsplat's keys for `packed=False`; the lists of tiles, per camera and concatenated, are made when asked for."""

    def __init__(self, views: int, n: int, tile_lists: list[TileLists], **values: Any) -> None:
        super().__init__(values, batch_ids=None, camera_ids=None, gaussian_ids=None, n_batches=1, n_cameras=views)
        self._n, self._tile_lists = n, tile_lists

    def __missing__(self, key: str) -> Tensor:
        makers = {
            "tiles_per_gauss": self._tiles_per_splat,
            "flatten_ids": self._splat_of_pair,
            "isect_offsets": self._first_pair_of_tile,
        }
        self[key] = value = makers[key]()
        return value

    def _tiles_per_splat(self) -> Tensor:  # [C, N]
        counts = torch.zeros((len(self._tile_lists), self._n), dtype=torch.int32)
        for row, tiles in zip(counts, self._tile_lists, strict=True):
            row[torch.from_numpy(tiles.order).long()] = torch.from_numpy(np.diff(tiles.slot_start)).int()
        return counts

    def _splat_of_pair(self) -> Tensor:  # [M]
        lists = [tiles.order[tiles.rank_of_pair] + c * self._n for c, tiles in enumerate(self._tile_lists)]
        return torch.from_numpy(np.concatenate(lists))

    def _first_pair_of_tile(self) -> Tensor:  # [C, tiles_y, tiles_x]
        before = np.cumsum([0, *(len(tiles.rank_of_pair) for tiles in self._tile_lists)])
        starts = [tiles.tile_start[:-1].reshape(tiles.tiles_y, tiles.tiles_x) for tiles in self._tile_lists]
        return torch.from_numpy(np.stack(starts) + before[:-1, None, None])
