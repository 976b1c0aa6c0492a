"""Density control that removes, once, all splats that did not become opaque."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from gsplat.strategy.ops import remove
from torch import Tensor

from backend.training.density import DensityControl
from backend.training.representation import Representation


@dataclass(frozen=True)
class OpaqueOnly:
    """Another density control until step `at`; after that step splats fainter than `least_opacity` go, and none come.

    If no splat is opaque enough, all stay: a training with nothing left is worth less than one that is not sharp.
    """

    until_then: DensityControl
    at: int
    least_opacity: float

    @property
    def wants_absolute_gradients(self) -> bool:
        return self.until_then.wants_absolute_gradients

    def before_backward(self, representation: Representation, step: int, info: dict[str, Any]) -> None:
        if step < self.at:
            self.until_then.before_backward(representation, step, info)

    def after_step(
        self,
        representation: Representation,
        step: int,
        info: dict[str, Any],
        means_rate: float,
        generator: torch.Generator,
    ) -> None:
        if step < self.at:
            self.until_then.after_step(representation, step, info, means_rate, generator)
        if step == self.at:
            faint = representation.parameters["opacities"].detach().sigmoid() < self.least_opacity
            if faint.any() and not faint.all():
                remove(representation.parameters, representation.optimizers, {}, faint)

    def state(self) -> dict[str, Tensor]:
        return self.until_then.state()

    def restore(self, state: dict[str, Tensor]) -> None:
        self.until_then.restore(state)
