"""Splats by what they add to a picture: how much, on the surface that it shows, and the one that is pointed at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.moved import moved_cloud
from backend.splats.raster.rasterization import blending_weights, rasterization

LEAST_SHOWN = 1e-6  # of blending weights: what adds less adds nothing
_NEVER = -30.0  # the opacity logit of a splat that cannot be seen


@dataclass(frozen=True)
class Look:
    """A camera, where the object stands, and what is not there for it."""

    camera: Camera
    world_from_object: np.ndarray  # [4, 4] affine
    near: float
    far: float
    hidden: np.ndarray | None = None  # bool [N]: splats that are not drawn
    antialiased: bool = False


def contributions(cloud: SplatCloud, look: Look, device: str) -> np.ndarray:
    """[N] float32: the sum of each splat's blending weights over the picture; in pixels that show nothing else, 1."""
    return labelled_contributions(cloud, look, torch.ones(1, look.camera.height, look.camera.width), device)[:, 0]


def labelled_contributions(cloud: SplatCloud, look: Look, counts: torch.Tensor, device: str) -> np.ndarray:
    """[N, E] float32: the sum of each splat's blending weights, over the pixels that count for each of E labels.

    counts: [E, H, W], how much each pixel counts for each label.
    """
    shares = counts.to(device).permute(1, 2, 0)[None].contiguous()
    return blending_weights(*_splats(cloud, look, device), *_view(look, device), shares, **_options(look)).cpu().numpy()


def drawn_depth(cloud: SplatCloud, look: Look, device: str) -> tuple[np.ndarray, np.ndarray]:
    """Depth along the viewing axis, in world units, and alpha of what the splats show: each [H, W] float32."""
    camera, nothing = look.camera, torch.zeros((len(cloud), 1), device=device)
    with torch.no_grad():
        depth, alpha, _ = rasterization(
            *_splats(cloud, look, device),
            nothing,
            *_view(look, device),
            camera.width,
            camera.height,
            render_mode="ED",
            **_options(look),
        )
    return depth[0, ..., 0].cpu().numpy(), alpha[0, ..., 0].cpu().numpy()


def _splats(
    cloud: SplatCloud, look: Look, device: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Means, quaternions, scales and opacities in the world, from where the camera is.

    float32 would lose the difference of large coordinates.
    """
    placed = moved_cloud(replace(cloud, sh=cloud.sh[:, :1]), look.world_from_object)
    logits = placed.opacity_logits
    if look.hidden is not None and look.hidden.any():
        logits = np.where(look.hidden, np.float32(_NEVER), logits)
    means = placed.means.astype(np.float64) - look.camera.centre
    return (
        _tensor(means, device),
        _tensor(placed.quats, device),
        _tensor(placed.log_scales, device).exp(),
        _tensor(logits, device).sigmoid(),
    )


def _view(look: Look, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """[1, 4, 4] from where the camera is, and [1, 3, 3]."""
    turn = np.eye(4)
    turn[:3, :3] = look.camera.camera_from_world[:3, :3]
    return _tensor(turn, device)[None], _tensor(look.camera.intrinsics, device)[None]


def _options(look: Look) -> dict[str, Any]:
    return {
        "near_plane": look.near,
        "far_plane": look.far,
        "rasterize_mode": "antialiased" if look.antialiased else "classic",
        "camera_model": "ortho" if look.camera.orthographic else "pinhole",
    }


def _tensor(array: np.ndarray, device: str) -> torch.Tensor:
    return torch.as_tensor(np.ascontiguousarray(array, np.float32), device=device)


@dataclass(frozen=True)
class Pointed:
    index: int
    depth: float  # along the viewing axis, world units


def pointed_at(cloud: SplatCloud, look: Look, place: tuple[float, float], device: str) -> Pointed | None:
    """The splat of which most is seen in the pixel around a place; None where there is none.

    place: pixels; the centre of the first one is (0.5, 0.5).
    """
    column, row = (int(np.floor(value)) for value in place)
    camera = look.camera
    one_pixel = replace(camera, cx=camera.cx - column, cy=camera.cy - row, width=1, height=1)
    weights = contributions(cloud, replace(look, camera=one_pixel), device)
    index = int(weights.argmax()) if len(weights) else 0
    if not len(weights) or not weights[index] > LEAST_SHOWN:
        return None
    centre = look.world_from_object @ (*cloud.means[index].astype(np.float64), 1.0)
    return Pointed(index, float((camera.camera_from_world @ centre)[2]))
