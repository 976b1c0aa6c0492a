"""What one camera sees in colour, of which a texture is made: a photo, or a picture of the splats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.meshing.viewpoints import Viewpoint
from backend.splats.cameras import Camera
from backend.splats.rendering import SceneObject, draw_scene
from backend.splats.representation import Representation

_SURFACE = 0.5  # where splats cover less than this, one sees through them


@dataclass(frozen=True)
class ColorPicture:
    camera: Camera
    color: np.ndarray  # [H, W, 3] uint8 sRGB
    counts: np.ndarray | None = None  # bool [H, W]; None = every pixel does


def take_color_picture(representation: Representation, view: Viewpoint, *, device: str) -> ColorPicture:
    item = SceneObject(representation, np.eye(4))
    drawing = draw_scene((item,), view.camera, device=device, near=view.near, far=view.far)
    alpha, premultiplied = drawing.alpha.cpu().numpy(), drawing.color.cpu().numpy()
    color = np.divide(premultiplied, alpha[..., None], out=np.zeros_like(premultiplied), where=alpha[..., None] > 0)
    return ColorPicture(view.camera, np.rint(color.clip(0, 1) * 255).astype(np.uint8), alpha > _SURFACE)
