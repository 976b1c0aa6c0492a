"""A training's splats while they are being learned, for whoever wants to look at them between two steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.representation import Splats
from backend.training.frame import SceneFrame
from backend.training.representation import Representation


@dataclass(frozen=True)
class LiveSplats:
    """A `backend.splats.representation.Representation` in the capture's frame; what it shows changes with every step.

    Its calls read the very tensors that training changes, so they must not run beside a step.
    """

    learned: Callable[[], Representation]
    sh_degree: Callable[[], int]  # how many degrees are learned by now
    frame: SceneFrame
    antialiased: bool

    @torch.no_grad()
    def splats(self, camera: Camera, time: float, appearance: int) -> Splats:
        active = self.learned().splats()
        origin = torch.tensor(self.frame.origin, dtype=active.means.dtype, device=active.means.device)
        extent, covariances = self.frame.extent, active.covariances
        return Splats(
            means=origin + extent * active.means,
            quats=active.quats,
            scales=None if active.scales is None else extent * active.scales,
            covariances=None if covariances is None else extent**2 * covariances,
            opacities=active.opacities,
            colors=active.colors,
            sh_degree=self.sh_degree(),
        )

    def bake(self) -> SplatCloud:
        return self.frame.cloud_to_capture(self.learned().bake())
