"""Draws splats on CUDA: gsplat, fed only with numbers it can sort."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import torch
from torch import Tensor

from backend.splats.raster import gsplat_build

log = logging.getLogger(__name__)

CALLS_BETWEEN_LOOKS = 100  # at the number of broken splats
_calls = itertools.count()


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
    **options: Any,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """See `backend.splats.raster.rasterization`."""
    if "surface_depths" in options:
        return _on_cpu(means, quats, scales, opacities, colors, viewmats, Ks, width, height, options)
    gsplat_build.prepare_environment()
    import gsplat

    channels = torch.cat(colors, 1) if isinstance(colors, tuple) else colors
    healthy = _healthy(len(means), means, quats, scales, opacities, options.get("covars"), channels)
    # An infinite scale becomes a NaN radius and then a random sort key, which kills the process (gsplat#845); opacity 0
    # keeps a splat out before the sort, whatever its colours are. Mended without asking whether there is anything to
    # mend: the answer would make the GPU wait at every step.
    means, opacities = _mend(means, healthy), _mend(opacities, healthy)
    quats, scales = _mend(quats, healthy, 1.0), _mend(scales, healthy)
    options["covars"] = _mend(options.get("covars"), healthy)
    draw: Any = gsplat.rasterization  # its hints do not say that quats and scales may be None beside covars
    pictures, alphas, info = draw(
        means, quats, scales, opacities, channels, viewmats, Ks, width, height, packed=False, **options
    )
    info["broken"] = (~healthy).sum()
    if next(_calls) % CALLS_BETWEEN_LOOKS == 0 and info["broken"].item():
        log.warning("%d splats hold NaN or infinite values and are not drawn", info["broken"].item())
    return pictures, alphas, info


def _on_cpu(*arguments: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """gsplat's kernels cannot stop at a surface; ours can, at the speed of a CPU."""
    from backend.splats.raster.cpu import rasterize

    def moved(value: Any, device: torch.device | str) -> Any:
        if isinstance(value, tuple):
            return tuple(moved(v, device) for v in value)
        return value.to(device) if isinstance(value, Tensor) else value

    *positional, options = arguments
    options = {name: moved(value, "cpu") for name, value in options.items()}
    pictures, alphas, info = rasterize.rasterization(*moved(tuple(positional), "cpu"), **options)
    device = arguments[0].device
    return pictures.to(device), alphas.to(device), {key: moved(value, device) for key, value in info.items()}


def _healthy(n: int, *tensors: Tensor | None) -> Tensor:
    columns = [torch.isfinite(t).reshape(n, -1).all(1) for t in tensors if t is not None and len(t) == n]
    return torch.stack(columns).all(0)


def _mend(tensor: Tensor | None, healthy: Tensor, value: float = 0.0) -> Any:
    """Rows that are not healthy replaced by `value`, without a gradient."""
    if tensor is None:
        return None
    rows = healthy.reshape(-1, *[1] * (tensor.dim() - 1))
    return torch.where(rows, tensor, torch.full_like(tensor, value))
