"""Draws splats with whichever implementation fits the device of the tensors."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

RenderMode = Literal["RGB", "D", "ED", "RGB+D", "RGB+ED"]
RasterizeMode = Literal["classic", "antialiased"]
CameraModel = Literal["pinhole", "ortho"]


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
    render_mode: RenderMode = "RGB",
    rasterize_mode: RasterizeMode = "classic",
    absgrad: bool = False,
    covars: Tensor | None = None,
    camera_model: CameraModel = "pinhole",
    surface_depths: Tensor | None = None,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Draws N splats for C cameras; differentiable by everything but the cameras.

    means: [N, 3] world. quats: [N, 4] w, x, y, z of any length. scales: [N, 3] standard deviations.
    covars: [N, 3, 3] symmetric, instead of quats and scales (the upper triangle counts). opacities: [N] in 0..1.
    colors: with `sh_degree`, coefficients [N, K, 3] or [C, N, K, 3], or the pair ([N, 1, 3], [N, K - 1, 3]);
        without, channels [N, D] or [C, N, D].
    viewmats: [C, 4, 4] camera from world, OpenCV axes. Ks: [C, 3, 3] pixels (for "ortho", pixels per world unit).
    near_plane, far_plane: world units. radius_clip, eps2d: pixels, pixels^2. backgrounds: [C, D].
    surface_depths: [C, H, W] camera z of an opaque surface (infinity where there is none): splats whose centre lies
        behind it are left out pixel by pixel, so that picture + (1 - alpha) * surface colour is exact. No gradients.
        [C, H, W, 4]: four samples of each pixel, whose blends are averaged; a splat's alpha is the pixel's in each.
    Returns pictures [C, H, W, D] (depth last; "ED" is depth divided by alpha), alphas [C, H, W, 1], and gsplat's info
    dictionary (`packed=False` keys: means2d [C, N, 2] with `.grad`, and `.absgrad` after backward with absgrad=True,
    radii [C, N, 2], depths, conics, width, height, n_cameras, ...) plus "broken", how many splats were left out because
    they hold NaN or infinite values.

    Semantics and constants: gsplat 1.5.3. On CUDA tensors it is gsplat that draws.
    """
    options = {
        "near_plane": near_plane,
        "far_plane": far_plane,
        "radius_clip": radius_clip,
        "eps2d": eps2d,
        "sh_degree": sh_degree,
        "backgrounds": backgrounds,
        "render_mode": render_mode,
        "rasterize_mode": rasterize_mode,
        "absgrad": absgrad,
        "covars": covars,
        "camera_model": camera_model,
    }
    if means.is_cuda:
        from backend.splats.raster import cuda as implementation
    else:
        from backend.splats.raster.cpu import rasterize as implementation
    if surface_depths is not None:
        options["surface_depths"] = surface_depths
    return implementation.rasterization(means, quats, scales, opacities, colors, viewmats, Ks, width, height, **options)


def blending_weights(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    counts: Tensor,
    *,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    rasterize_mode: RasterizeMode = "classic",
    camera_model: CameraModel = "pinhole",
) -> Tensor:
    """Sums of each splat's blending weights (alpha times transmittance) over the pixels of all cameras, [N, E] float32.

    counts: [C, H, W, E], how much each pixel counts for each of E sums; the rest is as in `rasterization`.
    On CUDA it is a gradient: pictures are linear in colours, and that of sum(counts * picture) by E colours of each
    splat is exactly this (EAGLES, Girish et al. 2024).
    """
    if not means.is_cuda:
        from backend.splats.raster.cpu.weights import blending_weights as on_cpu

        return on_cpu(
            means, quats, scales, opacities, viewmats, Ks, counts,
            near_plane=near_plane, far_plane=far_plane, rasterize_mode=rasterize_mode, camera_model=camera_model,
        )  # fmt: skip
    _, height, width, labels = counts.shape
    still = means.detach(), quats.detach(), scales.detach(), opacities.detach()
    colors = torch.zeros((len(means), labels), device=means.device, requires_grad=True)
    with torch.enable_grad():
        picture, _, _ = rasterization(
            *still, colors, viewmats, Ks, width, height,
            near_plane=near_plane, far_plane=far_plane, rasterize_mode=rasterize_mode, camera_model=camera_model,
        )  # fmt: skip
        picture.backward(counts)
    assert colors.grad is not None
    return colors.grad
