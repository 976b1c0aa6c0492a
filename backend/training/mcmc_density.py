"""Density control by relocation, growth and noise: 3D Gaussian Splatting as Markov Chain Monte Carlo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from backend.training.representation import Parameters, Representation, finite_splats
from backend.training.schedule import Refinement
from backend.training.verbs import add_copies, relocate

_GATE_SHARPNESS = 100.0
_GATE_CENTRE = 0.995
_GATE_NEGLIGIBLE = 1e-4  # noise below this part of the full strength is left out


@dataclass(frozen=True)
class McmcDensityControl:
    """Kheradmand et al. 2024. Steps count from 0."""

    max_splats: int
    refinement: Refinement
    growth: float  # splats after one refinement / before, until the budget is full
    least_opacity: float  # a splat below is dead
    noise_strength: float
    noise_every: int  # noise of the same variance over time, in fewer and larger kicks
    noise_stop: int

    @property
    def wants_absolute_gradients(self) -> bool:
        return False

    def before_backward(self, representation: Representation, step: int, info: dict[str, Any]) -> None:
        pass

    def after_step(
        self,
        representation: Representation,
        step: int,
        info: dict[str, Any],
        means_rate: float,
        generator: torch.Generator,
    ) -> None:
        if self.refinement.is_due(step):
            self._refine(representation, generator)
        if step < self.noise_stop and step % self.noise_every == 0:
            strength = self.noise_strength * means_rate * self.noise_every**0.5
            add_noise(representation.parameters, strength, generator)

    def _refine(self, representation: Representation, generator: torch.Generator) -> None:
        parameters, optimizers = representation.parameters, representation.optimizers
        # A splat that broke down is dead too: moved onto a living one it is whole again.
        dead = (parameters["opacities"].detach().sigmoid() <= self.least_opacity) | ~finite_splats(parameters)
        relocate(parameters, optimizers, dead, least_opacity=self.least_opacity, generator=generator)
        count = len(parameters["means"])
        missing = min(self.max_splats, max(count + 1, int(self.growth * count))) - count
        if missing > 0:
            add_copies(parameters, optimizers, missing, least_opacity=self.least_opacity, generator=generator)

    def state(self) -> dict[str, Tensor]:
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        pass


@torch.no_grad()
def add_noise(parameters: Parameters, strength: float, generator: torch.Generator) -> None:
    """Kicks faint splats about, along their own shape: mean += strength * gate(opacity) * covariance * normal.

    The gate is nearly 0 above an opacity of 0.05, so only the faint ones are touched.
    """
    opacities = parameters["opacities"].sigmoid()
    gate = torch.sigmoid(_GATE_SHARPNESS * ((1 - opacities) - _GATE_CENTRE))
    chosen = (gate > _GATE_NEGLIGIBLE).nonzero()[:, 0]
    if not len(chosen):
        return
    normal = torch.randn(len(chosen), 3, generator=generator, device=generator.device)
    normal *= (strength * gate[chosen])[:, None]
    axes = rotation_matrices(parameters["quats"][chosen])  # [M, 3, 3]
    variances = torch.exp(2 * parameters["scales"][chosen])  # [M, 3]
    along_axes = (axes * normal[:, :, None]).sum(dim=1) * variances
    parameters["means"].index_add_(0, chosen, (axes * along_axes[:, None, :]).sum(dim=2))


def rotation_matrices(quats: Tensor) -> Tensor:
    """w, x, y, z of any length -> columns are the splat's axes. [M, 4] -> [M, 3, 3]"""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    entries = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(entries, -1).reshape(-1, 3, 3)
