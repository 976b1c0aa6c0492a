"""What one camera sees of splats, as far as a surface can be told from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.meshing.viewpoints import Viewpoint
from backend.splats.cameras import Camera
from backend.splats.rendering import SceneObject, draw_scene
from backend.splats.representation import Representation

UNKNOWN = 0.0  # a depth that says nothing
_EMPTY = 0.05  # where less than this is covered one sees through
_SURFACE = 0.5  # where more than this is covered there is a surface


@dataclass(frozen=True)
class DepthPicture:
    camera: Camera
    depth: np.ndarray  # [H, W] float32 along the viewing axis; UNKNOWN, or infinity where one sees through
    color: np.ndarray  # [H, W, 3] float32 sRGB 0..1, of the surface


def take_depth_picture(
    representation: Representation, view: Viewpoint, *, device: str, largest_step: float
) -> DepthPicture:
    """largest_step: in world units; at steps in depth larger than that, mean depth lies between the two surfaces."""
    drawing = draw_scene(
        (SceneObject(representation, np.eye(4)),),
        view.camera,
        device=device,
        near=view.near,
        far=view.far,
        ray_depth=True,
    )
    assert drawing.depth is not None
    alpha, mean_depth = drawing.alpha.cpu().numpy(), drawing.depth.cpu().numpy()
    premultiplied = drawing.color.cpu().numpy()
    is_surface = alpha > _SURFACE
    depth = np.where(is_surface, mean_depth, np.float32(UNKNOWN))
    depth[_on_a_step(depth, is_surface, largest_step)] = UNKNOWN
    depth[alpha < _EMPTY] = np.inf
    color = np.divide(premultiplied, alpha[..., None], out=np.zeros_like(premultiplied), where=alpha[..., None] > 0)
    return DepthPicture(view.camera, depth.astype(np.float32), color.clip(0, 1))


def _on_a_step(depth: np.ndarray, is_surface: np.ndarray, largest: float) -> np.ndarray:
    """bool [H, W]: pixels that differ from both neighbours along a row or a column, so that they belong to neither."""
    found = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        step = np.abs(np.diff(depth, axis=axis)) > largest
        known = np.delete(is_surface, -1, axis) & np.delete(is_surface, 0, axis)
        step &= known
        padding = [(0, 0), (0, 0)]
        padding[axis] = (1, 0)
        before = np.pad(step, padding)
        padding[axis] = (0, 1)
        found |= before & np.pad(step, padding)
    return found
