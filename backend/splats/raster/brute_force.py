"""The truth: every splat at every pixel in float64, for tests. Slow and plain on purpose."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from backend.splats.raster.constants import (
    ALPHA_MAX,
    ALPHA_MIN,
    FIELD_OF_VIEW_MARGIN,
    RADIUS_SIGMAS,
    TRANSMITTANCE_MIN,
)
from backend.splats.spherical_harmonics import sh_colors


def rasterization(
    means: Tensor,  # [N, 3]
    quats: Tensor | None,  # [N, 4]
    scales: Tensor | None,  # [N, 3]
    opacities: Tensor,  # [N]
    colors: Tensor | tuple[Tensor, Tensor],
    viewmats: Tensor,  # [C, 4, 4]
    Ks: Tensor,  # [C, 3, 3]
    width: int,
    height: int,
    *,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    backgrounds: Tensor | None = None,  # [C, D]
    render_mode: str = "RGB",
    rasterize_mode: str = "classic",
    covars: Tensor | None = None,  # [N, 3, 3]
    camera_model: str = "pinhole",
    surface_depths: Tensor | None = None,  # [C, H, W] or [C, H, W, S]
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Same arguments and results as `backend.splats.raster.rasterization`, computed and returned in float64."""
    colors = torch.cat([c.double() for c in colors], 1) if isinstance(colors, tuple) else colors.double()
    means, opacities, viewmats, intrinsics = means.double(), opacities.double(), viewmats.double(), Ks.double()
    covariances = _covariances(quats, scales) if covars is None else _symmetric(covars.double())
    pictures, alphas = [], []
    for camera, (viewmat, intrinsic) in enumerate(zip(viewmats, intrinsics, strict=True)):
        means2d, covariances2d, depths = _project(means, covariances, viewmat, intrinsic, width, height, camera_model)
        features = _features(colors, camera, means, viewmat, sh_degree)
        if render_mode != "RGB":
            features = torch.cat([features, depths[:, None]], 1) if "RGB" in render_mode else depths[:, None]
        background = features.new_zeros(features.shape[1])
        if backgrounds is not None and "RGB" in render_mode:
            background[: backgrounds.shape[1]] = backgrounds[camera].double()
        blurred = covariances2d + eps2d * torch.eye(2, dtype=torch.float64)
        compensated = opacities
        if rasterize_mode == "antialiased":
            compensated = opacities * torch.sqrt(torch.clamp_min(torch.det(covariances2d) / torch.det(blurred), 0.0))
        visible = _visible(means2d, blurred, depths, compensated, width, height, near_plane, far_plane, radius_clip)
        kept = torch.nonzero(visible)[:, 0]
        order = kept[torch.argsort(depths[kept], stable=True)]
        hidden: list[Tensor | None] = [None]
        if surface_depths is not None:
            samples = surface_depths[camera].double().reshape(width * height, -1)
            hidden = [depths[order] > sample[:, None] for sample in samples.unbind(1)]
        blends = [
            _blend(
                means2d[order], torch.linalg.inv(blurred[order]), compensated[order], features[order], background,
                width, height, behind,
            )
            for behind in hidden
        ]  # fmt: skip
        picture, alpha = (torch.stack(values).mean(0) for values in zip(*blends, strict=True))
        if "ED" in render_mode:
            expected = picture[..., -1:] / alpha[..., None].clamp(min=1e-10)
            picture = torch.cat([picture[..., :-1], expected], -1)
        pictures.append(picture)
        alphas.append(alpha[..., None])
    return torch.stack(pictures), torch.stack(alphas), {"width": width, "height": height, "n_cameras": len(viewmats)}


def _covariances(quats: Tensor | None, scales: Tensor | None) -> Tensor:
    assert quats is not None and scales is not None
    w, x, y, z = torch.nn.functional.normalize(quats.double(), dim=-1).unbind(-1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    half = torch.stack(rows, -1).reshape(-1, 3, 3) * scales.double()[:, None, :]
    return half @ half.transpose(1, 2)


def _symmetric(covars: Tensor) -> Tensor:
    """Only the upper triangle counts, as in gsplat."""
    upper = torch.triu(covars)
    return upper + torch.triu(covars, 1).transpose(1, 2)


def _project(
    means: Tensor, covariances: Tensor, viewmat: Tensor, intrinsics: Tensor, width: int, height: int, camera_model: str
) -> tuple[Tensor, Tensor, Tensor]:
    rotation, translation = viewmat[:3, :3], viewmat[:3, 3]
    x, y, z = (means @ rotation.T + translation).unbind(-1)
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    zero = torch.zeros_like(z)
    if camera_model == "ortho":
        jacobian = torch.stack([zero + fx, zero, zero, zero, zero + fy, zero], -1).reshape(-1, 2, 3)
        means2d = torch.stack([fx * x + cx, fy * y + cy], -1)
    else:
        margin_x, margin_y = FIELD_OF_VIEW_MARGIN * 0.5 * width / fx, FIELD_OF_VIEW_MARGIN * 0.5 * height / fy
        # Culled later; keeps 0/0 out of the gradient.
        safe_z = torch.where(z.abs() < 1e-12, torch.full_like(z, 1e-12), z)
        tx = torch.clamp(x / safe_z, -(cx / fx + margin_x), (width - cx) / fx + margin_x)
        ty = torch.clamp(y / safe_z, -(cy / fy + margin_y), (height - cy) / fy + margin_y)
        entries = [fx / safe_z, zero, -fx * tx / safe_z, zero, fy / safe_z, -fy * ty / safe_z]
        jacobian = torch.stack(entries, -1).reshape(-1, 2, 3)
        means2d = torch.stack([fx * x / safe_z + cx, fy * y / safe_z + cy], -1)
    rows = jacobian @ rotation
    return means2d, rows @ covariances @ rows.transpose(1, 2), z


def _features(colors: Tensor, camera: int, means: Tensor, viewmat: Tensor, sh_degree: int | None) -> Tensor:
    per_splat = 2 if sh_degree is None else 3
    own = colors if colors.dim() == per_splat else colors[camera]
    if sh_degree is None:
        return own
    centre = torch.linalg.inv(viewmat)[:3, 3]
    return sh_colors(sh_degree, means - centre, own)


def _visible(
    means2d: Tensor,
    covariances2d: Tensor,
    depths: Tensor,
    opacities: Tensor,
    width: int,
    height: int,
    near_plane: float,
    far_plane: float,
    radius_clip: float,
) -> Tensor:
    with torch.no_grad():
        bright = opacities >= ALPHA_MIN
        extent = torch.sqrt(2 * torch.log(opacities.clamp_min(ALPHA_MIN) / ALPHA_MIN)).clamp_max(RADIUS_SIGMAS)
        radius_x = torch.ceil(extent * torch.sqrt(covariances2d[:, 0, 0]))
        radius_y = torch.ceil(extent * torch.sqrt(covariances2d[:, 1, 1]))
        x, y = means2d.unbind(-1)
        inside = (x + radius_x > 0) & (x - radius_x < width) & (y + radius_y > 0) & (y - radius_y < height)
        large = (radius_x > radius_clip) | (radius_y > radius_clip)
        in_range = (depths >= near_plane) & (depths <= far_plane) & (torch.linalg.det(covariances2d) > 0)
        return bright & inside & large & in_range


def _blend(
    means2d: Tensor,
    conics: Tensor,
    opacities: Tensor,
    features: Tensor,
    background: Tensor,
    width: int,
    height: int,
    hidden: Tensor | None = None,  # [H * W, N]
) -> tuple[Tensor, Tensor]:
    rows, columns = torch.meshgrid(
        torch.arange(height, dtype=torch.float64) + 0.5, torch.arange(width, dtype=torch.float64) + 0.5, indexing="ij"
    )
    pixels = torch.stack([columns, rows], -1).reshape(-1, 1, 2)
    d = pixels - means2d[None]
    sigma = 0.5 * torch.einsum("pni,nij,pnj->pn", d, conics, d)
    alpha = torch.clamp_max(opacities * torch.exp(-sigma), ALPHA_MAX)
    alpha = torch.where(alpha >= ALPHA_MIN, alpha, torch.zeros_like(alpha))
    if hidden is not None:
        alpha = torch.where(hidden, torch.zeros_like(alpha), alpha)
    through = torch.cumprod(1 - alpha, 1)
    alpha = torch.where(through > TRANSMITTANCE_MIN, alpha, torch.zeros_like(alpha))
    through = torch.cumprod(1 - alpha, 1)
    before = torch.cat([torch.ones_like(through[:, :1]), through[:, :-1]], 1) if len(opacities) else through
    left = through[:, -1:] if len(opacities) else torch.ones((len(pixels), 1), dtype=torch.float64)
    picture = (alpha * before) @ features + left * background
    return picture.reshape(height, width, -1), (1 - left[:, 0]).reshape(height, width)
