"""The splats as training sees them: one parameter tensor and one optimizer per property."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from backend.splats.cloud import SH_COEFFICIENTS, SplatCloud
from backend.splats.sh_basis import C0
from backend.training.start import StartSplats

Parameters = dict[str, Parameter]  # the first dimension of each is the splat
Optimizers = dict[str, Optimizer]  # one per parameter, same names


class ActiveSplats(NamedTuple):
    """What the rasterizer takes."""

    means: Tensor  # [N, 3]
    quats: Tensor  # [N, 4]
    scales: Tensor  # [N, 3] standard deviations
    opacities: Tensor  # [N] 0..1
    colors: tuple[Tensor, Tensor]  # SH [N, 1, 3] and [N, K - 1, 3]


class Representation(Protocol):
    """What is learned. Density control edits `parameters` and `optimizers` together, by the names of gsplat."""

    parameters: Parameters
    optimizers: Optimizers

    def splats(self) -> ActiveSplats: ...

    def bake(self) -> SplatCloud: ...


@dataclass
class StaticSplats:
    """Splats that stay where they are, with gsplat's parameter names, so that its strategies and verbs work on them."""

    parameters: Parameters  # means, scales (log), quats, opacities (logit), sh0, shN
    optimizers: Optimizers

    def splats(self) -> ActiveSplats:
        p = self.parameters
        return ActiveSplats(p["means"], p["quats"], p["scales"].exp(), p["opacities"].sigmoid(), (p["sh0"], p["shN"]))

    def bake(self) -> SplatCloud:
        def array(tensor: Tensor) -> np.ndarray:
            return tensor.detach().cpu().numpy().astype(np.float32, copy=True)

        p = self.parameters
        sh = np.concatenate([array(p["sh0"]), array(p["shN"])], axis=1)
        return SplatCloud(array(p["means"]), array(p["quats"]), array(p["scales"]), array(p["opacities"]), sh)


def static_parameters(
    start: StartSplats,
    *,
    sh_degree: int,
    opacity: float,
    scale: float,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """The values training begins with, on the generator's device."""
    count, device = len(start), generator.device
    log_scales = np.log(start.scales * scale)[:, None].repeat(3, axis=1)
    return {
        "means": torch.tensor(start.positions, device=device),
        "scales": torch.tensor(log_scales, dtype=torch.float32, device=device),
        "quats": torch.nn.functional.normalize(torch.randn(count, 4, generator=generator, device=device), dim=-1),
        "opacities": torch.full((count,), math.log(opacity / (1 - opacity)), device=device),
        "sh0": torch.tensor((start.colors[:, None] - 0.5) / C0, dtype=torch.float32, device=device),
        "shN": torch.zeros(count, SH_COEFFICIENTS[sh_degree] - 1, 3, device=device),
    }


MakeOptimizer = Callable[[Parameter, float], Optimizer]


def adam(parameter: Parameter, rate: float) -> Optimizer:
    """Adam as in the 3DGS reference code: the small epsilon keeps rarely seen splats learning."""
    return torch.optim.Adam([parameter], lr=rate, eps=1e-15, fused=True)


# Makes a representation of values by gsplat's parameter names and learning rates; also used to go on from a checkpoint.
Represent = Callable[[dict[str, Tensor], dict[str, float], MakeOptimizer], Representation]


def static_splats(
    values: dict[str, Tensor], rates: dict[str, float], make_optimizer: MakeOptimizer = adam
) -> StaticSplats:
    """Splats with these values and fresh optimizers."""
    parameters = {name: Parameter(value.contiguous()) for name, value in values.items()}
    return StaticSplats(parameters, {name: make_optimizer(p, rates[name]) for name, p in parameters.items()})


def training_state(representation: Representation) -> dict[str, Tensor]:
    """Parameters and optimizer state by dotted name, for a checkpoint. The tensors are not copied."""
    state: dict[str, Tensor] = {}
    for name, parameter in representation.parameters.items():
        state[f"parameter.{name}"] = parameter.detach()
        for key, value in representation.optimizers[name].state.get(parameter, {}).items():
            state[f"optimizer.{name}.{key}"] = value
    return state


def restore_optimizers(representation: Representation, state: dict[str, Tensor]) -> None:
    """Gives the optimizers the state that `training_state` took."""
    for name in representation.parameters:
        prefix = f"optimizer.{name}."
        own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        # load_state_dict knows on which device an optimizer wants its step count.
        optimizer = representation.optimizers[name]
        packed = optimizer.state_dict()
        packed["state"] = {0: own} if own else {}
        optimizer.load_state_dict(packed)


@torch.no_grad()
def finite_splats(parameters: Parameters) -> Tensor:
    """bool [N]: every value of the splat is a finite number."""
    return torch.stack([torch.isfinite(p).reshape(len(p), -1).all(dim=1) for p in parameters.values()]).all(dim=0)
