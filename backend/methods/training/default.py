"""Clone, split and prune by image gradients: 3DGS, Kerbl et al. 2023, and AbsGS, Ye et al. 2024."""

from __future__ import annotations

from backend.methods.job import Job
from backend.methods.registry import method
from backend.training.density_settings import AdaptiveSettings, adaptive_density
from backend.training.inputs import TrainingInputs, TrainingResult
from backend.training.loop import train
from backend.training.losses import photometric
from backend.training.recipe import Recipe


@method(label="Default", help="Clones, splits and prunes splats by how much the photos pull at them.")
def run(config: AdaptiveSettings, inputs: TrainingInputs, job: Job) -> TrainingResult:
    density = adaptive_density(config, inputs.plan)
    return train(config, inputs, job, Recipe("default", density, (photometric(config.ssim_weight),)))
