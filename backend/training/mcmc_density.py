"""Density control by relocation, growth and noise: 3D Gaussian Splatting as Markov Chain Monte Carlo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from backend.training.mcmc_noise import add_noise
from backend.training.representation import Representation, finite_splats
from backend.training.schedule import Refinement
from backend.training.verbs import add_copies, relocate


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
