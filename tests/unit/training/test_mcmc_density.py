from __future__ import annotations

import math

import torch
from torch.nn import Parameter

from backend.training import mcmc_noise
from backend.training.mcmc_density import McmcDensityControl
from backend.training.mcmc_noise import add_noise, rotation_matrices
from backend.training.representation import StaticSplats, static_splats
from backend.training.schedule import Refinement

RATES = {"means": 1e-3, "scales": 1e-3, "quats": 1e-3, "opacities": 1e-3, "sh0": 1e-3, "shN": 1e-3}


def control(max_splats: int = 1000, *, growth: float = 1.1, noise: float = 0.0) -> McmcDensityControl:
    return McmcDensityControl(
        max_splats=max_splats,
        refinement=Refinement(start=0, every=10, stop=1000),
        growth=growth,
        least_opacity=0.005,
        noise_strength=noise,
        noise_every=4,
        noise_stop=900,
    )


def some_splats(count: int) -> StaticSplats:
    generator = torch.Generator().manual_seed(5)
    values = {
        "means": torch.randn(count, 3, generator=generator),
        "scales": torch.full((count, 3), -3.0),
        "quats": torch.randn(count, 4, generator=generator),
        "opacities": torch.randn(count, generator=generator),
        "sh0": torch.randn(count, 1, 3, generator=generator),
        "shN": torch.zeros(count, 0, 3),
    }
    return static_splats(values, RATES)


def test_growth_is_by_its_factor_and_never_beyond_the_budget() -> None:
    splats, generator = some_splats(50), torch.Generator().manual_seed(0)
    counts = []
    for step in range(0, 200, 10):
        control(120).after_step(splats, step, {}, 1e-3, generator)
        counts.append(len(splats.parameters["means"]))
    assert counts[:2] == [55, 60]
    assert counts[-1] == 120 and max(counts) == 120


def test_more_splats_than_the_budget_stay_as_many() -> None:
    splats = some_splats(50)
    control(30).after_step(splats, 10, {}, 1e-3, torch.Generator().manual_seed(0))
    assert len(splats.parameters["means"]) == 50


def test_nothing_happens_between_refinements() -> None:
    splats = some_splats(50)
    before = {name: parameter.detach().clone() for name, parameter in splats.parameters.items()}
    control().after_step(splats, 13, {}, 1e-3, torch.Generator().manual_seed(0))
    assert all(torch.equal(before[name], parameter) for name, parameter in splats.parameters.items())


def test_a_splat_that_broke_down_is_made_whole() -> None:
    splats = some_splats(50)
    with torch.no_grad():
        splats.parameters["means"][3] = math.nan
        splats.parameters["opacities"][4] = math.inf
        splats.parameters["sh0"][5] = math.nan
    control(50).after_step(splats, 10, {}, 1e-3, torch.Generator().manual_seed(0))
    assert all(torch.isfinite(parameter).all() for parameter in splats.parameters.values())


def test_noise_has_the_shape_of_the_splat() -> None:
    count = 40_000
    quat = torch.tensor([0.7, 0.2, -0.5, 0.3])
    log_scales = torch.tensor([-1.0, -2.0, -4.0])
    parameters = {
        "means": Parameter(torch.zeros(count, 3)),
        "quats": Parameter(quat.repeat(count, 1)),
        "scales": Parameter(log_scales.repeat(count, 1)),
        "opacities": Parameter(torch.full((count,), -20.0)),
    }
    add_noise(parameters, 3.0, torch.Generator().manual_seed(1))
    gate = 1 / (1 + math.exp(-100 * (1 - 0.995)))
    axes = rotation_matrices(quat[None])[0]
    covariance = axes @ torch.diag(torch.exp(2 * log_scales)) @ axes.T
    expected = (3.0 * gate) ** 2 * covariance @ covariance  # noise = strength * gate * covariance * normal
    measured = parameters["means"].detach().T.cov()
    assert torch.allclose(measured, expected, atol=0.03 * float(expected.abs().max()))


def test_noise_leaves_opaque_splats_alone() -> None:
    splats = some_splats(10)
    with torch.no_grad():
        splats.parameters["opacities"].fill_(2.0)
        splats.parameters["opacities"][0] = -9.0
    before = splats.parameters["means"].detach().clone()
    add_noise(splats.parameters, 1e5, torch.Generator().manual_seed(1))
    moved = (splats.parameters["means"] != before).any(dim=1)
    assert moved.tolist() == [True] + [False] * 9


def test_rare_kicks_have_the_variance_of_frequent_ones() -> None:
    def wandered(every: int) -> float:
        splats = some_splats(4000)
        with torch.no_grad():
            splats.parameters["opacities"].fill_(-20.0)
            splats.parameters["means"].zero_()
        density = McmcDensityControl(10, Refinement(0, 10_000, 0), 1.0, 0.005, 1.0, every, 40)
        generator = torch.Generator().manual_seed(2)
        for step in range(80):  # the second half is beyond noise_stop
            density.after_step(splats, step, {}, 1.0, generator)
        return float(splats.parameters["means"].detach().var())

    rare, frequent = wandered(4), wandered(1)
    assert abs(rare / frequent - 1) < 0.1


def test_the_fused_noise_is_that_of_the_plain_torch_form() -> None:
    plain, fused = some_splats(500).parameters, some_splats(500).parameters
    for parameters in (plain, fused):
        with torch.no_grad():
            parameters["opacities"] -= 4.0
            parameters["scales"] += torch.randn(500, 3, generator=torch.Generator().manual_seed(3))
    chosen = torch.arange(0, 500, 3)
    normal = torch.randn(len(chosen), 3, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        mcmc_noise._add_with_torch(plain, chosen, normal, 7.0)
    values = (fused[name].detach().numpy() for name in ("means", "quats", "scales", "opacities"))
    mcmc_noise._add_with_numba(*values, chosen.numpy(), normal.numpy(), 7.0)
    before = some_splats(500).parameters["means"]
    assert not torch.equal(fused["means"], before)
    assert torch.allclose(fused["means"], plain["means"], atol=1e-6)
