"""A budget of splats that move to where they are needed: 3DGS-MCMC, Kheradmand et al. 2024."""

from __future__ import annotations

from typing import Annotated

from backend.methods.job import Job
from backend.methods.registry import method
from backend.training.inputs import TrainingInputs, TrainingResult
from backend.training.loop import train
from backend.training.losses import mean_opacity, mean_scale, photometric
from backend.training.mcmc_density import McmcDensityControl
from backend.training.recipe import Recipe
from backend.training.schedule import Schedule
from backend.training.settings import TrainingSettings, part_of_steps
from shared_protocol.schema import setting


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


@method(label="MCMC", help="Keeps to a budget of splats and moves faint ones to where they are needed.")
def run(config: McmcSettings, inputs: TrainingInputs, job: Job) -> TrainingResult:
    density = McmcDensityControl(
        max_splats=inputs.plan.max_splats,
        refinement=Schedule(config, inputs.plan.steps).refinement(),
        growth=config.growth,
        least_opacity=config.least_opacity,
        noise_strength=config.noise,
        noise_every=config.noise_every,
        noise_stop=round(config.noise_until * inputs.plan.steps),
    )
    losses = (photometric(config.ssim_weight), mean_opacity(config.opacity_weight), mean_scale(config.scale_weight))
    return train(config, inputs, job, Recipe("mcmc", density, losses))
