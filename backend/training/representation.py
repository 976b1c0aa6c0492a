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

from backend.rigging.binding import Binding
from backend.splats.cloud import SH_COEFFICIENTS, SplatCloud
from backend.splats.sh_basis import C0
from backend.splats.spherical_harmonics import sh_colors
from backend.training.start import StartSplats

Parameters = dict[str, Parameter]  # the first dimension of each is the splat, but for the vertices of a mesh
Optimizers = dict[str, Optimizer]  # one per parameter that is learned, same names; whole numbers only go along
POSITIONS = ("means", "vertices")  # parameters that are places in the scene; their learning rate falls


class ActiveSplats(NamedTuple):
    """What the rasterizer takes. The shape of splats is either quats and scales, or covariances."""

    means: Tensor  # [N, 3]
    quats: Tensor | None  # [N, 4]
    scales: Tensor | None  # [N, 3] standard deviations
    opacities: Tensor  # [N] 0..1
    colors: tuple[Tensor, Tensor]  # SH [N, 1, 3] and [N, K - 1, 3]
    covariances: Tensor | None = None  # [N, 3, 3]
    turns: Tensor | None = None  # [N, 3, 3] R: colours are those along R^T d; None = nothing was turned
    vertices: Tensor | None = None  # [V, 3] of the mesh at rest that the splats are made from


def seen_colors(
    splats: ActiveSplats, viewmat: Tensor, sh_degree: int
) -> tuple[int | None, Tensor | tuple[Tensor, Tensor]]:
    """What the rasterizer takes as degree and colours: coefficients, or final colours [N, 3] where splats were turned.

    viewmat: [1, 4, 4].
    """
    if splats.turns is None:
        return sh_degree, splats.colors
    rotation, translation = viewmat[0, :3, :3], viewmat[0, :3, 3]
    along = splats.means + translation @ rotation  # the camera's centre is -R^T t
    return None, sh_colors(sh_degree, (along[:, None, :] @ splats.turns)[:, 0], torch.cat(splats.colors, dim=1))


class Representation(Protocol):
    """What is learned. Density control edits `parameters` and `optimizers` together, by the names of gsplat."""

    parameters: Parameters
    optimizers: Optimizers

    def __len__(self) -> int:
        """How many splats there are."""
        ...

    def splats(self, pose: int | None = None) -> ActiveSplats:
        """pose: the number of one of the mesh's poses, for splats that follow a mesh; None = at rest."""
        ...

    def finite(self) -> Tensor:
        """bool [N]: every value of the splat is a finite number."""
        ...

    def bake(self) -> SplatCloud:
        """At rest, in the frame of training."""
        ...

    def binding(self) -> Binding | None:
        """What the splats of `bake` hang on, in the capture's frame; None = on nothing."""
        ...


@dataclass
class StaticSplats:
    """Splats that stay where they are, with gsplat's parameter names, so that its strategies and verbs work on them."""

    parameters: Parameters  # means, scales (log), quats, opacities (logit), sh0, shN
    optimizers: Optimizers

    def __len__(self) -> int:
        return len(self.parameters["means"])

    def splats(self, pose: int | None = None) -> ActiveSplats:
        p = self.parameters
        return ActiveSplats(p["means"], p["quats"], p["scales"].exp(), p["opacities"].sigmoid(), (p["sh0"], p["shN"]))

    def finite(self) -> Tensor:
        return finite_splats(self.parameters)

    def bake(self) -> SplatCloud:
        p = self.parameters
        sh = torch.cat([p["sh0"], p["shN"]], dim=1)
        return SplatCloud(*map(as_array, (p["means"], p["quats"], p["scales"], p["opacities"], sh)))

    def binding(self) -> None:
        return None


def as_array(tensor: Tensor) -> np.ndarray:
    """A copy, float32."""
    return tensor.detach().cpu().numpy().astype(np.float32, copy=True)


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
    parameters = {name: Parameter(value.contiguous(), value.is_floating_point()) for name, value in values.items()}
    learned = {name: p for name, p in parameters.items() if p.requires_grad}
    return StaticSplats(parameters, {name: make_optimizer(p, rates[name]) for name, p in learned.items()})


def training_state(representation: Representation) -> dict[str, Tensor]:
    """Parameters and optimizer state by dotted name, for a checkpoint. The tensors are not copied."""
    state: dict[str, Tensor] = {}
    for name, parameter in representation.parameters.items():
        state[f"parameter.{name}"] = parameter.detach()
        if name in representation.optimizers:
            for key, value in representation.optimizers[name].state.get(parameter, {}).items():
                state[f"optimizer.{name}.{key}"] = value
    return state


def restore_optimizers(representation: Representation, state: dict[str, Tensor]) -> None:
    """Gives the optimizers the state that `training_state` took."""
    for name in representation.optimizers:
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
