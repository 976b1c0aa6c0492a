"""How well splats hang on their mesh, as colours in the place of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from backend.rigging.binding import Binding
from backend.rigging.bound import BoundRepresentation, PosedRepresentation
from backend.rigging.splitting import SPLIT_BEYOND
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.representation import Splats

# sRGB 0..1
UNBOUND_COLOR = (0.45, 0.45, 0.45)
FAR_COLOR = (0.25, 0.45, 0.95)
_RAMP = np.array([(0.2, 0.75, 0.3), (0.95, 0.85, 0.15), (0.9, 0.1, 0.1)])  # fine, stretched, so far that it is split


class BindingQuality:
    """Bound splats, at rest or in a pose, whose colour says how they hang on the mesh."""

    def __init__(self, shown: BoundRepresentation | PosedRepresentation) -> None:
        self._shown, self.antialiased = shown, shown.antialiased
        colors = quality_colors(shown.binding, shown.greatest_stretches())
        self._colors = torch.from_numpy(colors).to(shown.device)

    @property
    def nbytes(self) -> int:
        return self._colors.nbytes

    def splats(self, camera: Camera, time: float, appearance: int) -> Splats:
        return replace(self._shown.splats(camera, time, appearance), colors=self._colors, sh_degree=None)

    def bake(self) -> SplatCloud:
        """The splats with their own colours."""
        return self._shown.bake()


def quality_colors(binding: Binding, greatest: np.ndarray) -> np.ndarray:
    """Unbound, far, or from fine to red by how many times as long the pose makes a splat's surroundings.

    greatest: [N], so many times, along the axis that grows most. Returns [N, 3] float32 sRGB.
    """
    place = (greatest - 1) / (SPLIT_BEYOND - 1)  # 0 = as at rest, 1 = it would be split
    steps = np.linspace(0, 1, len(_RAMP))
    colors = np.stack([np.interp(place, steps, _RAMP[:, channel]) for channel in range(3)], -1)
    colors[binding.rigid] = FAR_COLOR
    colors[binding.faces < 0] = UNBOUND_COLOR
    return colors.astype(np.float32)
