"""The parts that make one training method; a paper is another choice of them."""

from __future__ import annotations

from dataclasses import dataclass

from backend.training.density import DensityControl
from backend.training.losses import LossPart
from backend.training.representation import MakeOptimizer, Represent, adam, static_splats


@dataclass(frozen=True)
class Recipe:
    """method: its id; checkpoints of one method are not continued by another."""

    method: str
    density: DensityControl
    losses: tuple[LossPart, ...]
    represent: Represent = static_splats
    make_optimizer: MakeOptimizer = adam
