"""Draws finished clouds, and scenes of several placed representations, through a camera; training has its own way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.depth_planes import depth_on_rays, depth_planes
from backend.splats.raster import rasterization
from backend.splats.raster.rasterization import RasterizeMode
from backend.splats.representation import CloudRepresentation, Representation, Splats
from backend.splats.spherical_harmonics import sh_colors
from backend.splats.surface_axes import turns_of
from shared_protocol.errors import UserError

DEFAULT_NEAR = 0.01  # as in gsplat
DEFAULT_FAR = 1e10
NEUTRAL = 0  # the appearance that is no photo's
_SIMILAR = 1e-5  # how far from a rotation and a scale a matrix may be to count as one


@dataclass(frozen=True)
class Drawing:
    """What a camera sees of splats, before anything is put behind them."""

    color: Tensor  # [H, W, 3] sRGB 0..1, premultiplied by alpha
    alpha: Tensor  # [H, W] 0..1
    depth: Tensor | None  # [H, W] mean distance along the viewing axis in world units; 0 where alpha is 0
    spread: Tensor | None = None  # [H, W] standard deviation of that distance, 0 where alpha is 0

    def on(self, background: tuple[float, float, float]) -> Tensor:
        """The picture on a background colour, [H, W, 3] 0..1."""
        behind = torch.tensor(background, dtype=self.color.dtype, device=self.color.device)
        return (self.color + (1 - self.alpha[..., None]) * behind).clamp(0, 1)


@dataclass(frozen=True)
class SceneObject:
    """A representation and where it stands."""

    representation: Representation
    world_from_object: np.ndarray  # [4, 4] affine; may scale unevenly, shear and mirror


@dataclass(frozen=True)
class _Placed:
    """One object's splats, carried into the world with the camera's centre as origin, and what colour it sees."""

    means: Tensor  # [N, 3]
    covariances: Tensor  # [N, 3, 3]
    opacities: Tensor  # [N]
    colors: Tensor  # [N, 3]


class Renderer:
    """Draws one representation, where it stands by itself, on one device."""

    def __init__(self, representation: Representation, device: str) -> None:
        self._objects = (SceneObject(representation, np.eye(4)),)
        self._device = torch.device(device)

    def draw(self, camera: Camera, *, near: float = DEFAULT_NEAR, depth: bool = False) -> Drawing:
        """near: splats whose centre is nearer than this, in world units, are not drawn."""
        return draw_scene(self._objects, camera, device=self._device, near=near, depth=depth)


class CloudRenderer(Renderer):
    """A cloud made ready for drawing on one device."""

    def __init__(self, cloud: SplatCloud, device: str, *, antialiased: bool = False) -> None:
        super().__init__(CloudRepresentation(cloud, device, antialiased=antialiased), device)


@torch.no_grad()
def draw_scene(
    objects: Sequence[SceneObject],
    camera: Camera,
    *,
    device: torch.device | str,
    near: float = DEFAULT_NEAR,
    far: float = DEFAULT_FAR,
    time: float = 0.0,
    appearance: int = NEUTRAL,
    antialiased: bool = False,
    depth: bool = False,
    ray_depth: bool = False,
    spread: bool = False,
    surface_depth: np.ndarray | None = None,
) -> Drawing:
    """Draws all objects together, their splats sorted as if they were one cloud.

    antialiased: also for representations that do not ask for it themselves.
    near, far: splats whose centre lies nearer or farther along the viewing axis, in world units, are not drawn.
    ray_depth: depth, too, where rays meet splats instead of that of their centres (`backend/splats/depth_planes.py`).
    spread: also how far the splats of each pixel lie from their mean depth.
    surface_depth: [H, W] world units along the viewing axis, infinity where there is no surface: splats behind it are
        left out pixel by pixel, so that colour + (1 - alpha) * surface colour is exact. [H, W, 4]: four samples of each
        pixel, so that edges of surfaces between splats are smooth.
    Raises UserError for a placement that flattens its object.
    """
    device = torch.device(device)
    antialiased = antialiased or all(item.representation.antialiased for item in objects)
    mode: RasterizeMode = "antialiased" if antialiased else "classic"
    surface = None if surface_depth is None else torch.tensor(surface_depth, dtype=torch.float32, device=device)
    if len(objects) == 1 and not camera.orthographic and not (ray_depth or spread):
        scale = _even_scale(objects[0].world_from_object)
        if scale is not None:
            return _draw_one(objects[0], scale, camera, near, far, time, appearance, mode, depth, surface)
    placed = [_place(item, camera, time, appearance) for item in objects]
    if not sum(len(part.means) for part in placed):
        nothing = torch.zeros((camera.height, camera.width), device=device)
        return Drawing(
            nothing[..., None].repeat(1, 1, 3),
            nothing,
            nothing.clone() if depth or ray_depth else None,
            nothing.clone() if spread else None,
        )
    means = torch.cat([part.means for part in placed])
    channels = torch.cat([part.colors for part in placed])
    covariances = torch.cat([part.covariances for part in placed])
    if spread:
        channels = torch.cat([channels, _moments(means, camera)], 1)
    if ray_depth:
        channels = torch.cat([channels, depth_planes(means, covariances, camera)], 1)
    pictures, alphas, _ = rasterization(
        means,
        None,
        None,
        torch.cat([part.opacities for part in placed]),
        channels,
        _turn_of(camera, device),
        torch.tensor(camera.intrinsics, dtype=torch.float32, device=device)[None],
        camera.width,
        camera.height,
        near_plane=near,
        far_plane=far,
        render_mode="RGB+ED" if depth and not ray_depth else "RGB",
        rasterize_mode=mode,
        covars=covariances,
        camera_model="ortho" if camera.orthographic else "pinhole",
        surface_depths=None if surface is None else surface[None],
    )
    alpha = alphas[0, ..., 0]
    mean_depth = pictures[0, ..., -1] if depth else None
    if ray_depth:
        mean_depth = depth_on_rays(pictures[0, ..., -3:], alpha)
    return Drawing(
        pictures[0, ..., :3],
        alpha,
        mean_depth,
        _deviation(pictures[0, ..., 3:5], alpha) if spread else None,
    )


def _moments(means: Tensor, camera: Camera) -> Tensor:
    """Distances along the viewing axis from that of the middle splat, and their squares, [N, 2].

    means: [N, 3] from the camera's centre. From the middle, because squares of large numbers leave no digits for a
    thin skin.
    """
    distances = means @ torch.tensor(camera.forward, dtype=means.dtype, device=means.device)
    distances = distances - distances.median()
    return torch.stack([distances, distances**2], 1)


def _deviation(moments: Tensor, alpha: Tensor) -> Tensor:
    """moments: [H, W, 2] sums weighted as the colours are."""
    mean, squares = (moments / alpha.clamp(min=1e-10)[..., None]).unbind(-1)
    return torch.where(alpha > 0, (squares - mean**2).clamp(min=0).sqrt(), torch.zeros_like(alpha))


def _draw_one(
    item: SceneObject,
    scale: float,
    camera: Camera,
    near: float,
    far: float,
    time: float,
    appearance: int,
    mode: RasterizeMode,
    depth: bool,
    surface: Tensor | None,
) -> Drawing:
    """One object that is only moved, turned and scaled evenly: the camera moves instead, and nothing is copied."""
    own = _seen_from_object(item.world_from_object, camera)
    splats = item.representation.splats(own, time, appearance)
    device = splats.means.device
    pictures, alphas, _ = rasterization(
        relative_places(splats.means, own),
        splats.quats,
        splats.scales,
        splats.opacities,
        splats.colors,
        _turn_of(own, device),
        torch.tensor(camera.intrinsics, dtype=torch.float32, device=device)[None],
        camera.width,
        camera.height,
        near_plane=near / scale,
        far_plane=far / scale,
        sh_degree=splats.sh_degree,
        render_mode="RGB+ED" if depth else "RGB",
        rasterize_mode=mode,
        covars=splats.covariances,
        surface_depths=None if surface is None else (surface / scale)[None],
    )
    return Drawing(pictures[0, ..., :3], alphas[0, ..., 0], pictures[0, ..., 3] * scale if depth else None)


def _place(item: SceneObject, camera: Camera, time: float, appearance: int) -> _Placed:
    own = _seen_from_object(item.world_from_object, camera)
    splats = item.representation.splats(own, time, appearance)
    device = splats.means.device
    linear = torch.tensor(item.world_from_object[:3, :3], dtype=torch.float32, device=device)
    relative = relative_places(splats.means, own)
    return _Placed(
        means=relative @ linear.T,
        covariances=linear @ _covariances(splats) @ linear.T,
        opacities=splats.opacities,
        colors=_colors(splats, own, relative),
    )


def _colors(splats: Splats, camera: Camera, relative: Tensor) -> Tensor:
    """Final colours as the camera, in the splats' frame, sees them, [N, 3]."""
    colors = splats.colors if isinstance(splats.colors, Tensor) else torch.cat(splats.colors, 1)
    if splats.sh_degree is None:
        return colors
    directions = relative
    if camera.orthographic:  # all rays are parallel, wherever the camera stands
        directions = torch.tensor(camera.forward, dtype=torch.float32, device=relative.device).expand_as(relative)
    return sh_colors(splats.sh_degree, directions, colors)


def _covariances(splats: Splats) -> Tensor:
    if splats.covariances is not None:
        return splats.covariances
    assert splats.quats is not None and splats.scales is not None
    axes = turns_of(splats.quats) * splats.scales[:, None, :]
    return axes @ axes.transpose(1, 2)


def relative_places(means: Tensor, camera: Camera) -> Tensor:
    """Positions [N, 3] from the centre of a camera in their frame: float32 would lose the difference of large ones."""
    return (means.double() - torch.tensor(camera.centre, device=means.device)).float()


def _turn_of(camera: Camera, device: torch.device) -> Tensor:
    """The view matrix of a camera whose centre is the origin, [1, 4, 4]."""
    turned = np.eye(4)
    turned[:3, :3] = camera.camera_from_world[:3, :3]
    return torch.tensor(turned, dtype=torch.float32, device=device)[None]


def _seen_from_object(world_from_object: np.ndarray, camera: Camera) -> Camera:
    """The camera in the object's frame: its centre and its viewing direction exactly, its axes as far as they fit."""
    linear, offset = world_from_object[:3, :3], world_from_object[:3, 3]
    largest, smallest = np.linalg.norm(linear, 2), np.linalg.norm(linear, -2)
    if not np.isfinite(world_from_object).all() or smallest <= 1e-9 * largest:
        raise UserError("bad_input", "An object is scaled to nothing along an axis.", "Give it a scale above zero.")
    centre = np.linalg.solve(linear, camera.centre - offset)
    forward = np.linalg.solve(linear, camera.forward)
    forward /= np.linalg.norm(forward)
    right = np.linalg.solve(linear, camera.camera_from_world[0, :3])
    right -= forward * (right @ forward)
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    matrix[:3, 3] = -matrix[:3, :3] @ centre
    return replace(camera, camera_from_world=matrix)


def _even_scale(world_from_object: np.ndarray) -> float | None:
    """The scale of a matrix that moves, turns and scales evenly; None for any other."""
    linear = world_from_object[:3, :3]
    determinant = float(np.linalg.det(linear))
    if not determinant > 0:
        return None
    scale = determinant ** (1 / 3)
    return scale if np.allclose(linear @ linear.T, scale * scale * np.eye(3), atol=_SIMILAR * scale * scale) else None
