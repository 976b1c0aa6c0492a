"""Splats by what they add to a picture: how much, on the surface that it shows, and the one that is pointed at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.moved import moved_cloud
from backend.splats.raster.rasterization import rasterization

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

    counts: [E, H, W], how much each pixel counts for each label. What a picture is made of is linear in the splats'
    colours, so the sums are the gradient of sum(counts * picture) by E colours of each splat: one drawing and one
    step back, whatever draws.
    """
    placed = moved_cloud(replace(cloud, sh=cloud.sh[:, :1]), look.world_from_object)
    logits = placed.opacity_logits
    if look.hidden is not None and look.hidden.any():
        logits = np.where(look.hidden, np.float32(_NEVER), logits)

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(np.ascontiguousarray(array, np.float32), device=device)

    # The camera's centre becomes the origin: float32 would lose the difference of large coordinates.
    means = tensor(placed.means.astype(np.float64) - look.camera.centre)
    turn = np.eye(4)
    turn[:3, :3] = look.camera.camera_from_world[:3, :3]
    colors = torch.zeros((len(cloud), len(counts)), device=device, requires_grad=True)
    with torch.enable_grad():
        picture, _, _ = rasterization(
            means,
            tensor(placed.quats),
            tensor(placed.log_scales).exp(),
            tensor(logits).sigmoid(),
            colors,
            tensor(turn)[None],
            tensor(look.camera.intrinsics)[None],
            look.camera.width,
            look.camera.height,
            near_plane=look.near,
            far_plane=look.far,
            rasterize_mode="antialiased" if look.antialiased else "classic",
            camera_model="ortho" if look.camera.orthographic else "pinhole",
        )
        picture.backward(counts.to(device).permute(1, 2, 0)[None].contiguous())
    assert colors.grad is not None
    return colors.grad.cpu().numpy()


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
