"""A budget of splats that move to where they are needed: 3DGS-MCMC, Kheradmand et al. 2024."""

from __future__ import annotations

from backend.methods.job import Job
from backend.methods.registry import method
from backend.training.density_settings import McmcSettings, mcmc_density
from backend.training.inputs import TrainingInputs, TrainingResult
from backend.training.loop import train
from backend.training.losses import mean_opacity, mean_scale, photometric
from backend.training.recipe import Recipe


@method(label="MCMC", help="Keeps to a budget of splats and moves faint ones to where they are needed.")
def run(config: McmcSettings, inputs: TrainingInputs, job: Job) -> TrainingResult:
    density = mcmc_density(config, inputs.plan)
    losses = (photometric(config.ssim_weight), mean_opacity(config.opacity_weight), mean_scale(config.scale_weight))
    return train(config, inputs, job, Recipe("mcmc", density, losses))
