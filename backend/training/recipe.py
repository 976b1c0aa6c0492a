"""The parts that make one training method; a paper is another choice of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.training.density import DensityControl
from backend.training.losses import LossPart
from backend.training.representation import MakeOptimizer, Represent, adam, static_splats


@dataclass(frozen=True)
class Recipe:
    """method: its id; checkpoints of one method are not continued by another.

    begin: the values that training begins with, by the names of parameters and on the generator's device; None = those
    of splats at the capture's points, or scattered.
    """

    method: str
    density: DensityControl
    losses: tuple[LossPart, ...]
    represent: Represent = static_splats
    make_optimizer: MakeOptimizer = adam
    begin: Callable[[torch.Generator], dict[str, Tensor]] | None = None
