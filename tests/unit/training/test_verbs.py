from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from backend.training.representation import Optimizers, Parameters, adam
from backend.training.verbs import MOST_COPIES, add_copies, relocate, share_among_copies


def splats(count: int, *, opacity: float = 0.3, steps: int = 2) -> tuple[Parameters, Optimizers]:
    """Random splats whose optimizers have stepped, so that there is state to keep."""
    generator = torch.Generator().manual_seed(3)
    values = {
        "means": torch.randn(count, 3, generator=generator),
        "scales": torch.randn(count, 3, generator=generator) - 3,
        "quats": torch.randn(count, 4, generator=generator),
        "opacities": torch.full((count,), math.log(opacity / (1 - opacity))),
        "sh0": torch.randn(count, 1, 3, generator=generator),
        "shN": torch.randn(count, 3, 3, generator=generator),
    }
    parameters = {name: Parameter(value) for name, value in values.items()}
    optimizers = {name: adam(parameter, 1e-3) for name, parameter in parameters.items()}
    for _ in range(steps):
        for name, parameter in parameters.items():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizers[name].step()
    return parameters, optimizers


def moments(parameters: Parameters, optimizers: Optimizers, name: str) -> Tensor:
    return optimizers[name].state[parameters[name]]["exp_avg"]


def profile(opacity: Tensor, scale: Tensor, copies: int, offsets: Tensor) -> Tensor:
    """What `copies` splats in one place cover of a background along a line through their centre."""
    alpha = opacity * torch.exp(-0.5 * (offsets / scale) ** 2)
    return 1 - (1 - alpha) ** copies


@pytest.mark.parametrize(("opacity", "copies", "most"), [(0.5, 2, 0.0063), (0.99, 2, 0.08), (0.3, 5, 0.0063)])
def test_copies_look_like_the_splat_they_replace(opacity: float, copies: int, most: float) -> None:
    offsets = torch.linspace(-5, 5, 2001, dtype=torch.float64)
    one = torch.tensor([opacity], dtype=torch.float64)
    scale = torch.ones(1, 3, dtype=torch.float64)
    shared, shrunk = share_among_copies(one, scale, torch.tensor([copies]))
    before, after = profile(one, scale[0, 0], 1, offsets), profile(shared, shrunk[0, 0], copies, offsets)
    assert float((before - after)[1000].abs()) < 1e-12  # the centre is exact
    assert float((before - after).abs().max()) <= most
    assert float(after.sum() / before.sum()) == pytest.approx(1, abs=1e-4)
    naive = profile(one, scale[0, 0], copies, offsets)
    assert float((before - after).abs().max()) < float((before - naive).abs().max())


@pytest.mark.parametrize("copies", [1, 2, 7, 51])
@pytest.mark.parametrize("opacity", [0.005, 0.5, 0.999])
def test_sharing_is_equation_nine(opacity: float, copies: int) -> None:
    shared, shrunk = share_among_copies(
        torch.tensor([opacity], dtype=torch.float64),
        torch.full((1, 3), 2.0, dtype=torch.float64),
        torch.tensor([copies]),
    )
    expected = 1 - (1 - opacity) ** (1 / copies)
    spread = sum(
        math.comb(i - 1, k) * (-1) ** k * expected ** (k + 1) / math.sqrt(k + 1)
        for i in range(1, copies + 1)
        for k in range(i)
    )
    assert float(shared) == pytest.approx(expected, rel=1e-9)
    assert shrunk[0].tolist() == pytest.approx([2 * opacity / spread] * 3, rel=1e-6)


def test_sharing_stays_finite_at_the_ends() -> None:
    opacities = torch.tensor([0.0005, 1.0, 1.0, 0.999999])
    shared, shrunk = share_among_copies(opacities, torch.ones(4, 3), torch.tensor([51, 2, 1000, MOST_COPIES]))
    assert torch.isfinite(shared).all() and torch.isfinite(shrunk).all()
    assert (shared > 0).all() and (shared < 1).all() and (shrunk > 0).all()


def test_relocated_splats_stand_where_their_source_is() -> None:
    parameters, optimizers = splats(50)
    with torch.no_grad():
        parameters["opacities"][:10] = -8.0
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    dead = parameters["opacities"].detach().sigmoid() <= 0.005

    moved = relocate(parameters, optimizers, dead, least_opacity=0.005, generator=torch.Generator().manual_seed(0))

    assert moved == 10 and len(parameters["means"]) == 50
    for row in range(10):
        source = int((before["means"][10:] == parameters["means"][row]).all(dim=1).nonzero()[0]) + 10
        for name in ("quats", "sh0", "shN"):
            assert torch.equal(parameters[name][row], before[name][source])
        assert torch.equal(parameters["opacities"][row], parameters["opacities"][source])
        assert parameters["opacities"][source] < before["opacities"][source]
        for name in parameters:
            assert not moments(parameters, optimizers, name)[[row, source]].any()
    untouched = [row for row in range(10, 50) if torch.equal(parameters["opacities"][row], before["opacities"][row])]
    assert untouched and moments(parameters, optimizers, "means")[untouched].all()


def test_relocation_needs_somebody_alive_and_somebody_dead() -> None:
    parameters, optimizers = splats(4)
    generator = torch.Generator().manual_seed(0)
    for dead in (torch.zeros(4, dtype=torch.bool), torch.ones(4, dtype=torch.bool)):
        assert relocate(parameters, optimizers, dead, least_opacity=0.005, generator=generator) == 0


def test_added_copies_come_with_fresh_optimizer_state() -> None:
    parameters, optimizers = splats(20)
    old_moments = {name: moments(parameters, optimizers, name).clone() for name in parameters}
    add_copies(parameters, optimizers, 6, least_opacity=0.005, generator=torch.Generator().manual_seed(0))
    for name, parameter in parameters.items():
        assert len(parameter) == 26 and parameter.requires_grad and parameter.is_leaf
        assert optimizers[name].param_groups[0]["params"][0] is parameter
        assert len(optimizers[name].state) == 1
        state = moments(parameters, optimizers, name)
        assert state.shape == parameter.shape and not state[20:].any()
        kept = (state[:20] == old_moments[name]).reshape(20, -1).all(dim=1)
        assert 14 <= int(kept.sum()) < 20  # six draws touch at most six sources
        parameter.grad = torch.ones_like(parameter)
        optimizers[name].step()


def test_added_copies_before_the_first_step() -> None:
    parameters, optimizers = splats(5, steps=0)
    add_copies(parameters, optimizers, 3, least_opacity=0.005, generator=torch.Generator().manual_seed(0))
    assert len(parameters["shN"]) == 8 and not optimizers["shN"].state
