"""The parts that make one training method; a paper is another choice of them."""

from __future__ import annotations

from dataclasses import dataclass

from backend.training.density import DensityControl
from backend.training.losses import LossPart
from backend.training.representation import MakeOptimizer, adam


@dataclass(frozen=True)
class Recipe:
    """method: its id; checkpoints of one method are not continued by another."""

    method: str
    density: DensityControl
    losses: tuple[LossPart, ...]
    make_optimizer: MakeOptimizer = adam
