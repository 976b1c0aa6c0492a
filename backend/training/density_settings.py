"""The settings of the two kinds of density control, and the controls that they ask for."""

from __future__ import annotations

from typing import Annotated

from backend.training.adaptive_density import AdaptiveDensityControl, BudgetedStrategy
from backend.training.mcmc_density import McmcDensityControl
from backend.training.plan import TrainingPlan
from backend.training.schedule import Schedule
from backend.training.settings import TrainingSettings, part_of_steps
from shared_protocol.schema import setting

_GRADIENT_LIMIT = 2e-4
_ABSOLUTE_GRADIENT_LIMIT = 8e-4  # absolute gradients do not cancel out, so they are larger


class AdaptiveSettings(TrainingSettings, frozen=True, kw_only=True):
    start_opacity: Annotated[
        float, setting("Start opacity", "Opacity of the first splats.", minimum=0.01, maximum=0.99, advanced=True)
    ] = 0.1
    refine_until: Annotated[float, part_of_steps("Refine until", "The number of splats stays afterwards.")] = 0.5
    absgrad: Annotated[
        bool, setting("Absolute gradients", "Grow where gradients are large even if they cancel out: finer detail.")
    ] = False
    grow_gradient: (
        Annotated[float, setting("Grow above", "Image gradient; empty: 2e-4, absolute 8e-4.", minimum=0, advanced=True)]
        | None
    ) = None
    grow_scale: Annotated[
        float,
        setting(
            "Split above", "Larger splats split, smaller are cloned.", minimum=0, unit="camera extents", advanced=True
        ),
    ] = 0.01
    prune_opacity: Annotated[
        float, setting("Prune below", "Fainter splats are removed.", minimum=0, maximum=0.5, advanced=True)
    ] = 0.005
    prune_scale: Annotated[
        float,
        setting("Prune larger", "Larger splats are removed.", minimum=0, unit="camera extents", advanced=True),
    ] = 0.1
    reset_opacities: Annotated[
        bool, setting("Reset opacities", "Lower all opacities now and then: fewer floaters.", advanced=True)
    ] = False
    reset_every: Annotated[
        float, part_of_steps("Reset every", "Opacities are lowered; large splats go after the first.", minimum=0.01)
    ] = 0.1
    revised_opacity: Annotated[
        bool, setting("Revised opacity", "Halves of a split splat share its opacity.", advanced=True)
    ] = False


def adaptive_density(config: AdaptiveSettings, plan: TrainingPlan) -> AdaptiveDensityControl:
    """Clones, splits and prunes: 3DGS, Kerbl et al. 2023, and AbsGS, Ye et al. 2024."""
    refinement = Schedule(config, plan.steps).refinement()
    strategy = BudgetedStrategy(
        max_splats=plan.max_splats,
        absgrad=config.absgrad,
        grow_grad2d=config.grow_gradient or (_ABSOLUTE_GRADIENT_LIMIT if config.absgrad else _GRADIENT_LIMIT),
        grow_scale3d=config.grow_scale,
        prune_opa=config.prune_opacity,
        prune_scale3d=config.prune_scale,
        refine_start_iter=refinement.start,
        refine_every=refinement.every,
        refine_stop_iter=refinement.stop,
        reset_every=max(1, round(config.reset_every * plan.steps)),
        revised_opacity=config.revised_opacity,
    )
    return AdaptiveDensityControl(strategy, reset_opacities=config.reset_opacities)


class McmcSettings(TrainingSettings, frozen=True, kw_only=True):
    growth: Annotated[
        float,
        setting("Growth", "So many times more splats after each refinement, within the budget.", minimum=1, maximum=2),
    ] = 1.1
    least_opacity: Annotated[
        float, setting("Least opacity", "A fainter splat is moved elsewhere.", minimum=1e-4, maximum=0.5, advanced=True)
    ] = 0.005
    opacity_weight: Annotated[
        float, setting("Opacity weight", "How strongly needless splats fade.", minimum=0, advanced=True)
    ] = 0.01
    scale_weight: Annotated[
        float, setting("Size weight", "How strongly needless splats shrink.", minimum=0, advanced=True)
    ] = 0.01
    noise: Annotated[
        float, setting("Noise", "How strongly faint splats are kicked about.", minimum=0, advanced=True)
    ] = 5e5
    noise_every: Annotated[
        int, setting("Noise every", "Rare kicks are larger and cost less.", minimum=1, unit="steps", advanced=True)
    ] = 4
    noise_until: Annotated[float, part_of_steps("Noise until", "Splats come to rest afterwards.")] = 0.9


def mcmc_density(config: McmcSettings, plan: TrainingPlan) -> McmcDensityControl:
    """Keeps to a budget and moves faint splats: 3DGS-MCMC, Kheradmand et al. 2024."""
    return McmcDensityControl(
        max_splats=plan.max_splats,
        refinement=Schedule(config, plan.steps).refinement(),
        growth=config.growth,
        least_opacity=config.least_opacity,
        noise_strength=config.noise,
        noise_every=config.noise_every,
        noise_stop=round(config.noise_until * plan.steps),
    )
