"""Draws a finished cloud through a camera, for pictures and figures; training has its own way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.raster import rasterization
from backend.splats.raster.rasterization import RasterizeMode

DEFAULT_NEAR = 0.01  # as in gsplat


@dataclass(frozen=True)
class Drawing:
    """What a camera sees of a cloud, before anything is put behind it."""

    color: Tensor  # [H, W, 3] sRGB 0..1, premultiplied by alpha
    alpha: Tensor  # [H, W] 0..1
    depth: Tensor | None  # [H, W] mean distance along the viewing axis in world units; 0 where alpha is 0

    def on(self, background: tuple[float, float, float]) -> Tensor:
        """The picture on a background colour, [H, W, 3] 0..1."""
        behind = torch.tensor(background, dtype=self.color.dtype, device=self.color.device)
        return (self.color + (1 - self.alpha[..., None]) * behind).clamp(0, 1)


class CloudRenderer:
    """A cloud made ready for drawing on one device."""

    def __init__(self, cloud: SplatCloud, device: str, *, antialiased: bool = False) -> None:
        self._means = cloud.means.astype(np.float64)
        self._device = torch.device(device)
        self._quats = self._tensor(cloud.quats)
        self._scales = self._tensor(cloud.log_scales).exp()
        self._opacities = self._tensor(cloud.opacity_logits).sigmoid()
        self._sh = self._tensor(cloud.sh)
        self._sh_degree = cloud.sh_degree
        self._mode: RasterizeMode = "antialiased" if antialiased else "classic"

    @torch.no_grad()
    def draw(self, camera: Camera, *, near: float = DEFAULT_NEAR, depth: bool = False) -> Drawing:
        """near: splats whose centre is nearer than this, in world units, are not drawn."""
        # Seen from the camera's position: float32 would lose the difference of large world coordinates.
        means = self._tensor((self._means - camera.centre).astype(np.float32))
        turned = np.eye(4)
        turned[:3, :3] = camera.camera_from_world[:3, :3]
        pictures, alphas, _ = rasterization(
            means,
            self._quats,
            self._scales,
            self._opacities,
            self._sh,
            viewmats=self._tensor(turned)[None],
            Ks=self._tensor(camera.intrinsics)[None],
            width=camera.width,
            height=camera.height,
            near_plane=near,
            sh_degree=self._sh_degree,
            render_mode="RGB+ED" if depth else "RGB",
            rasterize_mode=self._mode,
        )
        alpha = alphas[0, ..., 0]
        return Drawing(pictures[0, ..., :3], alpha, pictures[0, ..., 3] if depth else None)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.tensor(array, dtype=torch.float32, device=self._device)
