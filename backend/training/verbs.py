"""Edits of splats that keep parameters and optimizer state in step, beside those of gsplat.strategy.ops."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import Parameter

from backend.training.representation import Optimizers, Parameters

MOST_COPIES = 51  # of one splat at once; the binomials grow out of float64 beyond
_OPACITY_MARGIN = torch.finfo(torch.float32).eps


def _relocation_table() -> Tensor:
    """[MOST_COPIES + 1, MOST_COPIES] float64: row N holds C(N, k + 1) (-1)^k / sqrt(k + 1)."""
    rows = [
        [math.comb(copies, k + 1) * (-1) ** k / math.sqrt(k + 1) for k in range(MOST_COPIES)]
        for copies in range(MOST_COPIES + 1)
    ]
    return torch.tensor(rows, dtype=torch.float64)


_TABLE = _relocation_table()


def share_among_copies(opacities: Tensor, scales: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
    """Opacity and scales that make `copies` splats in one place look like the one they replace.

    opacities: [M]; scales: [M, 3]; copies: int [M], the original included, counted up to MOST_COPIES.
    Kheradmand et al. 2024, "3D Gaussian Splatting as Markov Chain Monte Carlo", Eq. 9; its double sum over
    C(i - 1, k) is written with sum over i of C(i - 1, k) = C(N, k + 1).
    """
    copies = copies.clamp(1, MOST_COPIES)
    old = opacities.double().clamp(max=1 - _OPACITY_MARGIN)
    new = -torch.expm1(torch.log1p(-old) / copies)
    powers = new[:, None] ** torch.arange(
        1, MOST_COPIES + 1, dtype=torch.float64, device=new.device
    )  # [M, MOST_COPIES]
    spread = (_TABLE.to(new.device)[copies] * powers).sum(dim=1)
    return new.to(opacities.dtype), (scales.double() * (old / spread)[:, None]).to(scales.dtype)


@torch.no_grad()
def relocate(
    parameters: Parameters, optimizers: Optimizers, dead: Tensor, *, least_opacity: float, generator: torch.Generator
) -> int:
    """Moves the splats marked in `dead` [N] onto living ones, drawn by opacity. Returns how many moved."""
    opacities = parameters["opacities"].sigmoid()
    targets = dead.nonzero()[:, 0]
    if len(targets) in (0, len(dead)):
        return 0
    sources = torch.multinomial(opacities.masked_fill(dead, 0.0), len(targets), replacement=True, generator=generator)
    _share(parameters, optimizers, opacities, sources, least_opacity)
    for parameter in parameters.values():
        parameter[targets] = parameter[sources]
    _forget(parameters, optimizers, targets)
    return len(targets)


@torch.no_grad()
def add_copies(
    parameters: Parameters, optimizers: Optimizers, count: int, *, least_opacity: float, generator: torch.Generator
) -> None:
    """Adds `count` copies of splats drawn by opacity, each group sharing its opacity and scale."""
    opacities = parameters["opacities"].sigmoid()
    sources = torch.multinomial(opacities, count, replacement=True, generator=generator)
    _share(parameters, optimizers, opacities, sources, least_opacity)
    for name, old in parameters.items():
        grown = Parameter(torch.cat([old, old[sources]]), old.requires_grad)
        parameters[name] = grown
        if name not in optimizers:
            continue
        optimizer = optimizers[name]
        state = optimizer.state.pop(old, {})
        for key, value in state.items():
            if value.shape == old.shape:  # the moments; not the step count
                state[key] = torch.cat([value, value.new_zeros(count, *value.shape[1:])])
        optimizer.param_groups[0]["params"] = [grown]
        if state:
            optimizer.state[grown] = state


def _share(
    parameters: Parameters, optimizers: Optimizers, opacities: Tensor, sources: Tensor, least_opacity: float
) -> None:
    """Shrinks the splats that are about to be copied, and lets their optimizers forget them."""
    copies = torch.bincount(sources, minlength=len(opacities))[sources] + 1
    scales = parameters["scales"][sources].exp()
    shared_opacities, shared_scales = share_among_copies(opacities[sources], scales, copies)
    shared_opacities = shared_opacities.clamp(least_opacity, 1 - _OPACITY_MARGIN)
    parameters["opacities"][sources] = shared_opacities.logit()
    parameters["scales"][sources] = shared_scales.log()
    _forget(parameters, optimizers, sources)


def _forget(parameters: Parameters, optimizers: Optimizers, rows: Tensor) -> None:
    for name, optimizer in optimizers.items():
        parameter = parameters[name]
        for value in optimizer.state.get(parameter, {}).values():
            if value.shape == parameter.shape:  # the moments; not the step count
                value[rows] = 0
