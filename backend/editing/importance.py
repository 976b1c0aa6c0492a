"""How much of pictures is made of each splat."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.raster.rasterization import blending_weights


def shares_of_pictures(
    cloud: SplatCloud,
    looks: Sequence[tuple[Camera, float]],
    *,
    device: str,
    antialiased: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """The sum of each splat's blending weights, alpha times transmittance, over all pixels; float64 [N].

    looks: cameras, and how near, in world units, splats are left out. Each picture counts by its share of pixels, so
    that small ones are as good as large ones. Fan et al. 2023, "LightGaussian", and Girish et al. 2024, "EAGLES".
    """

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.tensor(array, dtype=torch.float32, device=device)

    means, quats, scales = tensor(cloud.means), tensor(cloud.quats), tensor(cloud.log_scales).exp()
    opacities, shares = tensor(cloud.opacity_logits).sigmoid(), np.zeros(len(cloud))
    for number, (camera, near) in enumerate(looks, 1):
        weights = blending_weights(
            means,
            quats,
            scales,
            opacities,
            tensor(camera.camera_from_world)[None],
            tensor(camera.intrinsics)[None],
            torch.ones((1, camera.height, camera.width, 1), device=device),
            near_plane=near,
            rasterize_mode="antialiased" if antialiased else "classic",
        )
        shares += weights[:, 0].cpu().numpy() / (camera.width * camera.height)
        on_progress(number, len(looks))
    return shares


def visibilities(
    cloud: SplatCloud,
    looks: Sequence[tuple[Camera, float]],
    *,
    device: str,
    antialiased: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """As `shares_of_pictures`, in parts of what the mean splat adds; float32 [N], 0 = never seen."""
    shares = shares_of_pictures(cloud, looks, device=device, antialiased=antialiased, on_progress=on_progress)
    mean = shares.mean()
    return (shares / mean if mean > 0 else shares).astype(np.float32)
