"""Splats in colours that say where their surface is and which way it faces, in the place of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.marked import MarkedRepresentation
from backend.splats.rendering import DEFAULT_NEAR, SceneObject, draw_scene, relative_places
from backend.splats.representation import Representation, Splats
from backend.splats.surface_axes import SurfaceAxes, facing

NEAREST, FARTHEST = 1.0, 0.1  # greys of a depth view
_SAMPLED = 20_000  # splats of an object that stand for all when the range of a view is looked for
_SMALL = 96  # pixels, the longer side of the picture that it is looked for in
_STRAY = 0.01  # the part of its pixels at each end of the range that the range leaves out
_SEEN = 0.5  # alpha


@dataclass(frozen=True)
class DepthRange:
    """Distances along the viewing axis, world units; `nearest` is below `farthest`."""

    nearest: float
    farthest: float


class InColors:
    """Another representation in final colours; what is selected is tinted in these, too."""

    def __init__(self, shown: Representation, colors_of: Callable[[Splats, Camera], Tensor]) -> None:
        """colors_of: sRGB 0..1 [N, 3] of the splats, as a camera in their own frame sees them."""
        self._shown, self._colors_of, self.antialiased = shown, colors_of, shown.antialiased

    def splats(self, camera: Camera, time: float, appearance: int) -> Splats:
        marked = self._shown if isinstance(self._shown, MarkedRepresentation) else None
        plain = (marked.shown if marked else self._shown).splats(camera, time, appearance)
        colored = replace(plain, colors=self._colors_of(plain, camera), sh_degree=None)
        return marked.mark(colored) if marked else colored

    def bake(self) -> SplatCloud:
        """The splats with their own colours."""
        return self._shown.bake()


def in_normals(item: SceneObject, axes: SurfaceAxes) -> SceneObject:
    """Each splat's normal, turned to the camera, in the world's frame: x, y, z from -1 to 1 as red, green, blue 0..1.

    Where splats that are seen together disagree, the mean of their colours is greyer.
    """

    def colors_of(splats: Splats, camera: Camera) -> Tensor:
        sight = relative_places(splats.means, camera)
        if camera.orthographic:
            sight = _tensor(camera.forward, splats.means).expand_as(sight)
        normals = facing(axes.of(splats), sight)
        # A normal is carried by the inverse's transpose, whatever the object's scale.
        in_world = normals @ _tensor(np.linalg.inv(item.world_from_object[:3, :3]), normals)
        return 0.5 + 0.5 * torch.nn.functional.normalize(in_world, dim=-1)

    return replace(item, representation=InColors(item.representation, colors_of))


def in_depth(item: SceneObject, camera: Camera, shown: DepthRange) -> SceneObject:
    """Each splat's distance along the camera's axis, as a grey from `NEAREST` to `FARTHEST` over the range."""

    def colors_of(splats: Splats, own: Camera) -> Tensor:
        from_centre = relative_places(splats.means, own)
        distances = from_centre @ _tensor(item.world_from_object[:3, :3].T @ camera.forward, from_centre)
        places = (distances - shown.nearest) / (shown.farthest - shown.nearest)
        return (NEAREST + (FARTHEST - NEAREST) * places.clamp(0, 1))[:, None].expand(-1, 3)

    return replace(item, representation=InColors(item.representation, colors_of))


class _Sample:
    """Every so many splats of a representation, each larger so that they cover as much."""

    def __init__(self, shown: Representation) -> None:
        self._shown, self.antialiased = shown, shown.antialiased

    def splats(self, camera: Camera, time: float, appearance: int) -> Splats:
        shown = self._shown.splats(camera, time, appearance)
        every = max(1, len(shown) // _SAMPLED)
        return Splats(
            means=shown.means[::every],
            quats=None if shown.quats is None else shown.quats[::every],
            scales=None if shown.scales is None else every**0.5 * shown.scales[::every],
            covariances=None if shown.covariances is None else every * shown.covariances[::every],
            opacities=shown.opacities[::every],
            colors=torch.zeros_like(shown.means[::every]),
            sh_degree=None,
        )

    def bake(self) -> SplatCloud:
        return self._shown.bake()


def visible_range(
    objects: Iterable[SceneObject],
    camera: Camera,
    *,
    device: torch.device | str,
    near: float = DEFAULT_NEAR,
    time: float = 0.0,
) -> DepthRange:
    """From the nearest to the farthest of what is seen, all objects together, without stray splats.

    From a small picture of some of the splats. Where nothing is seen, any range.
    """
    share = _SMALL / max(camera.width, camera.height, _SMALL)
    small = camera.resized(max(1, round(share * camera.width)), max(1, round(share * camera.height)))
    samples = [replace(item, representation=_Sample(item.representation)) for item in objects]
    drawing = draw_scene(samples, small, device=device, near=near, time=time, depth=True)
    assert drawing.depth is not None
    distances = drawing.depth[drawing.alpha > _SEEN].cpu()
    if not len(distances):
        return DepthRange(near, near + 1)
    nearest, farthest = torch.quantile(distances, torch.tensor([_STRAY, 1 - _STRAY])).tolist()
    return DepthRange(nearest, max(farthest, nearest + 1e-6 * max(1.0, abs(nearest))))


def _tensor(values: np.ndarray, like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)
