"""Splats bound to a mesh as representations: at rest, and as a moved mesh takes them along."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from backend.rigging.binding import Binding
from backend.rigging.posing import SplatPoser
from backend.splats.cameras import Camera
from backend.splats.cloud import SplatCloud
from backend.splats.deformation import greatest_eigenvalues, rotation_part
from backend.splats.deformed_shapes import deformed_shapes
from backend.splats.representation import CloudRepresentation, Splats
from backend.splats.sh_rotation import rotate_sh
from backend.splats.turned_colors import turned_colors

_INVISIBLE = -30.0  # logit of the opacity of splats whose face collapsed


class BoundRepresentation:
    """At rest it is a plain cloud; `posed` is what follows the mesh."""

    def __init__(
        self, cloud: SplatCloud, binding: Binding, device: str | torch.device, *, antialiased: bool = False
    ) -> None:
        """Raises ValueError when the binding is that of another cloud."""
        if len(binding) != len(cloud):
            raise ValueError(f"the binding is of {len(binding)} splats and not of {len(cloud)}")
        self.cloud, self.binding, self.antialiased = cloud, binding, antialiased
        self.rest = CloudRepresentation(cloud, device, antialiased=antialiased)
        self.poser = SplatPoser(cloud, binding)
        self.device = torch.device(device)

    @property
    def nbytes(self) -> int:
        """Memory it takes, the cloud's and the device's together."""
        return self.rest.nbytes + self.poser.nbytes + sum(a.nbytes for a in self.binding.to_arrays().values())

    def splats(self, camera: Camera, time: float, appearance: int) -> Splats:
        return self.rest.splats(camera, time, appearance)

    def bake(self) -> SplatCloud:
        return self.cloud

    def greatest_stretches(self) -> np.ndarray:
        """How many times as long each splat's surroundings are along the axis that has grown most, [N] float64."""
        return np.ones(len(self.cloud))

    def posed(self, vertices: np.ndarray) -> PosedRepresentation:
        """The splats as the moved mesh takes them along.

        vertices: [V, 3] of the bound mesh, in the splats' frame; where they are no numbers, splats are not drawn.
        Raises UserError when they are not as many as the mesh has.
        """
        return PosedRepresentation(self, self.binding.fitting(vertices))


class PosedRepresentation:
    """Bound splats in one pose: places by the mesh, covariances J C J^T, colours turned along."""

    def __init__(self, bound: BoundRepresentation, vertices: np.ndarray) -> None:
        self.antialiased, self.binding, self.device = bound.antialiased, bound.binding, bound.device
        self._bound = bound
        self._maps = bound.poser.maps(vertices)
        self._posed = bound.poser.pose(vertices, self._maps)
        device = self.device
        rest = bound.rest.splats(_NO_CAMERA, 0.0, 0)
        self._splats = replace(
            rest,
            means=torch.from_numpy(self._posed.means).to(device),
            quats=None,
            scales=None,
            covariances=torch.from_numpy(self._posed.covariances).to(device),
            opacities=torch.where(torch.from_numpy(self._posed.hidden).to(device), 0.0, rest.opacities),
            sh_degree=None,
        )
        self._turns = torch.from_numpy(self._posed.turns).to(device)

    @property
    def nbytes(self) -> int:
        """Memory it takes beside the splats at rest, that of the processor and the device together."""
        posed, copies = self._posed, 1 if self.device.type == "cpu" else 2
        return copies * (posed.means.nbytes + posed.covariances.nbytes + posed.turns.nbytes) + 5 * len(posed.hidden)

    def splats(self, camera: Camera, time: float, appearance: int) -> Splats:
        """Colours are final: each splat is seen along the direction from which it would be seen at rest."""
        rest = self._bound.rest.splats(camera, time, appearance)
        assert isinstance(rest.colors, Tensor) and rest.sh_degree is not None
        colors = turned_colors(rest.sh_degree, rest.colors, self._splats.means, self._turns, camera)
        return replace(self._splats, colors=colors)

    def greatest_stretches(self) -> np.ndarray:
        """As of `BoundRepresentation`; the greatest singular value of each splat's map."""
        return greatest_eigenvalues(self._bound.poser.stretches(self._maps))

    def bake(self) -> SplatCloud:
        """Shapes from the singular values, and SH coefficients turned: what `splats` shows, as a cloud."""
        cloud, chosen = self._bound.cloud, self._bound.binding.faces >= 0
        chosen &= ~self._posed.hidden
        quats, log_scales, sh = cloud.quats.copy(), cloud.log_scales.copy(), cloud.sh.copy()
        jacobians = self._bound.poser.jacobians(self._maps, self._posed)[chosen]
        quats[chosen], log_scales[chosen] = deformed_shapes(cloud.quats[chosen], cloud.log_scales[chosen], jacobians)
        turns = self._posed.turns[chosen].astype(np.float64)
        sides = np.sign(np.linalg.det(turns))[:, None, None]  # weak splats may stay behind a mesh that is mirrored
        sh[chosen] = rotate_sh(cloud.sh[chosen], sides * rotation_part(sides * turns))
        logits = np.where(self._posed.hidden, np.float32(_INVISIBLE), cloud.opacity_logits).astype(np.float32)
        return SplatCloud(self._posed.means.copy(), quats, log_scales, logits, sh)


_NO_CAMERA = Camera(np.eye(4), 1.0, 1.0, 0.5, 0.5, 1, 1)  # a cloud looks the same to all
