"""Density control by cloning, splitting and pruning, as in 3DGS and AbsGS; gsplat's strategy within a splat budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from gsplat.strategy import DefaultStrategy
from gsplat.strategy.ops import reset_opa
from torch import Tensor
from torch.nn import ParameterDict

from backend.training.representation import Optimizers, Parameters, Representation

AnyParameters = Parameters | ParameterDict


@dataclass
class BudgetedStrategy(DefaultStrategy):
    """gsplat's DefaultStrategy that grows the splats with the largest gradients first and stops at `max_splats`."""

    max_splats: int = 1_000_000

    def _grow_gs(
        self, params: AnyParameters, optimizers: Optimizers, state: dict[str, Any], step: int
    ) -> tuple[int, int]:
        keep_within_budget(state["grad2d"], state["count"], self.grow_grad2d, self.max_splats)
        return super()._grow_gs(params, optimizers, state, step)


class AdaptiveDensityControl:
    """Runs the strategy with the training's own generator.

    reset_opacities: lower all opacities every `strategy.reset_every` steps while refining. gsplat 1.5.3 means to do so,
    but its condition `step % reset_every == 0 & step > 0` is never true.
    """

    def __init__(self, strategy: BudgetedStrategy, *, reset_opacities: bool) -> None:
        self._strategy = strategy
        self._reset_opacities = reset_opacities
        self._state = strategy.initialize_state(scene_scale=1.0)

    @property
    def wants_absolute_gradients(self) -> bool:
        return self._strategy.absgrad

    def before_backward(self, representation: Representation, step: int, info: dict[str, Any]) -> None:
        parameters, optimizers = representation.parameters, representation.optimizers
        self._strategy.step_pre_backward(parameters, optimizers, self._state, step, info)

    def after_step(
        self,
        representation: Representation,
        step: int,
        info: dict[str, Any],
        means_rate: float,
        generator: torch.Generator,
    ) -> None:
        strategy = self._strategy
        parameters, optimizers = representation.parameters, representation.optimizers
        if step % strategy.refine_every:
            strategy.step_post_backward(parameters, optimizers, self._state, step, info)
        else:
            # gsplat splits with the global generator: give it a seed of ours and put the global one back afterwards.
            seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
            devices = [generator.device] if generator.device.type == "cuda" else []
            with torch.random.fork_rng(devices):
                torch.manual_seed(seed)
                strategy.step_post_backward(parameters, optimizers, self._state, step, info)
        if self._reset_opacities and 0 < step < strategy.refine_stop_iter and step % strategy.reset_every == 0:
            reset_opa(parameters, optimizers, self._state, value=2 * strategy.prune_opa)

    def state(self) -> dict[str, Tensor]:
        return {key: value for key, value in self._state.items() if isinstance(value, Tensor)}

    def restore(self, state: dict[str, Tensor]) -> None:
        self._state.update(state)


def keep_within_budget(gradients: Tensor, counts: Tensor, threshold: float, max_splats: int) -> None:
    """Takes so many splats off the list of those to grow that no more than `max_splats` come out.

    gradients: [N] summed over pictures, changed in place; counts: [N] pictures. A clone and a split add one splat each.
    """
    mean = gradients / counts.clamp_min(1)
    candidates = (mean > threshold).nonzero()[:, 0]
    room = max(0, max_splats - len(gradients))
    if len(candidates) > room:
        order = torch.argsort(mean[candidates], descending=True, stable=True)
        gradients[candidates[order[room:]]] = 0
