from __future__ import annotations

import torch

from backend.splats.raster import rasterization
from backend.training.adaptive_density import AdaptiveDensityControl, BudgetedStrategy, keep_within_budget
from backend.training.representation import StaticSplats, static_splats

RATES = {"means": 1e-3, "scales": 1e-3, "quats": 1e-3, "opacities": 1e-3, "sh0": 1e-3, "shN": 1e-3}


def wall_of_splats(count: int = 60) -> StaticSplats:
    """Splats in front of the camera: a third large, the rest small; the last five nearly transparent."""
    generator = torch.Generator().manual_seed(2)
    means = torch.rand(count, 3, generator=generator) * 2 - 1
    means[:, 2] += 4
    scales = torch.full((count, 3), -5.5)
    scales[::3] = -2.5
    opacities = torch.zeros(count)
    opacities[-5:] = -7.0
    values = {
        "means": means,
        "scales": scales,
        "quats": torch.randn(count, 4, generator=generator),
        "opacities": opacities,
        "sh0": torch.randn(count, 1, 3, generator=generator),
        "shN": torch.zeros(count, 3, 3),
    }
    return static_splats(values, RATES)


def train_a_little(splats: StaticSplats, density: AdaptiveDensityControl, steps: int, *, seed: int = 0) -> list[int]:
    """Trains towards a random picture; returns the number of splats after each step."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(24, 32, 3, generator=generator)
    intrinsics = torch.tensor([[[30.0, 0, 16], [0, 30, 12], [0, 0, 1]]])
    counts = []
    for step in range(steps):
        active = splats.splats()
        image, _, info = rasterization(
            active.means,
            active.quats,
            active.scales,
            active.opacities,
            active.colors,
            torch.eye(4)[None],
            intrinsics,
            32,
            24,
            sh_degree=1,
            absgrad=density.wants_absolute_gradients,
        )
        density.before_backward(splats, step, info)
        (image[0] - target).abs().mean().backward()
        for optimizer in splats.optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        density.after_step(splats, step, info, 1e-3, generator)
        counts.append(len(splats.parameters["means"]))
    return counts


def strategy(**changes: object) -> BudgetedStrategy:
    settings: dict[str, object] = {"refine_start_iter": 1, "refine_every": 4, "refine_stop_iter": 20, "max_splats": 200}
    return BudgetedStrategy(**{**settings, **changes})  # type: ignore[arg-type]


def test_gsplats_strategy_grows_and_prunes_on_our_info_keys() -> None:
    grown = train_a_little(wall_of_splats(), AdaptiveDensityControl(strategy(), reset_opacities=False), 5)
    assert grown[:4] == [60] * 4
    assert grown[4] > 60
    only_pruned = AdaptiveDensityControl(strategy(grow_grad2d=1e9), reset_opacities=False)
    assert train_a_little(wall_of_splats(), only_pruned, 5)[4] == 55


def test_absolute_gradients_are_asked_for_and_used() -> None:
    density = AdaptiveDensityControl(strategy(absgrad=True), reset_opacities=False)
    assert density.wants_absolute_gradients
    train_a_little(wall_of_splats(), density, 4)
    signed = AdaptiveDensityControl(strategy(), reset_opacities=False)
    train_a_little(wall_of_splats(), signed, 4)
    assert (density.state()["grad2d"] >= signed.state()["grad2d"] - 1e-6).all()
    assert density.state()["grad2d"].sum() > 1.2 * signed.state()["grad2d"].sum()


def test_the_budget_is_never_exceeded() -> None:
    density = AdaptiveDensityControl(strategy(max_splats=75, grow_grad2d=1e-9), reset_opacities=False)
    counts = train_a_little(wall_of_splats(), density, 20)
    assert max(counts) <= 75 and counts[-1] > 60


def test_the_largest_gradients_grow_first() -> None:
    gradients = torch.tensor([4.0, 1.0, 9.0, 0.1, 6.0])
    counts = torch.tensor([1.0, 1.0, 3.0, 1.0, 1.0])  # means 4, 1, 3, 0.1, 6
    keep_within_budget(gradients, counts, threshold=0.5, max_splats=7)
    assert torch.equal(gradients, torch.tensor([4.0, 0.0, 0.0, 0.1, 6.0]))
    full = torch.ones(5)
    keep_within_budget(full, torch.ones(5), threshold=0.5, max_splats=3)
    assert not full.any()


def test_opacities_are_reset_when_asked_and_only_then() -> None:
    def brightest(reset: bool) -> float:
        splats = wall_of_splats()
        density = AdaptiveDensityControl(strategy(reset_every=5, grow_grad2d=1e9), reset_opacities=reset)
        train_a_little(splats, density, 6)
        return float(splats.parameters["opacities"].detach().sigmoid().max())

    assert brightest(True) < 0.02
    assert brightest(False) > 0.4


def test_splitting_draws_from_the_trainings_generator_alone() -> None:
    def outcome(global_seed: int, seed: int) -> torch.Tensor:
        torch.manual_seed(global_seed)
        splats = wall_of_splats()
        before = torch.random.get_rng_state()
        train_a_little(splats, AdaptiveDensityControl(strategy(), reset_opacities=False), 5, seed=seed)
        assert torch.equal(before, torch.random.get_rng_state())
        return splats.parameters["means"].detach()

    assert torch.equal(outcome(1, 0), outcome(2, 0))


def test_state_goes_on_where_it_was() -> None:
    density = AdaptiveDensityControl(strategy(), reset_opacities=False)
    train_a_little(wall_of_splats(), density, 3)
    saved = {name: tensor.clone() for name, tensor in density.state().items()}
    assert set(saved) == {"grad2d", "count"}
    other = AdaptiveDensityControl(strategy(), reset_opacities=False)
    other.restore(saved)
    assert all(torch.equal(other.state()[name], saved[name]) for name in saved)
