"""What decides how many splats there are and where: the interface of density control."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from backend.training.representation import Representation


class DensityControl(Protocol):
    """Looks at every step and edits parameters and optimizers together."""

    @property
    def wants_absolute_gradients(self) -> bool:
        """Whether the rasterizer must also sum the absolute gradients of 2D positions (AbsGS)."""
        ...

    def before_backward(self, representation: Representation, step: int, info: dict[str, Any]) -> None:
        """info: what the rasterizer says about this step's picture, with gsplat's keys."""
        ...

    def after_step(
        self,
        representation: Representation,
        step: int,
        info: dict[str, Any],
        means_rate: float,
        generator: torch.Generator,
    ) -> None:
        """Called when the optimizers have stepped; every random draw comes from `generator`."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must hold."""
        ...

    def restore(self, state: dict[str, Tensor]) -> None: ...


class NoDensityControl:
    """For splats whose number is known from the beginning."""

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
        pass

    def state(self) -> dict[str, Tensor]:
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        pass
