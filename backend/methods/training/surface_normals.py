"""Splats whose normals agree with the slope of the depth that they draw: as in 2DGS (Huang et al. 2024) and PGSR."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from backend.methods.job import Job
from backend.methods.registry import method
from backend.training.density import DensityControl
from backend.training.density_settings import AdaptiveSettings, McmcSettings, adaptive_density, mcmc_density
from backend.training.inputs import TrainingInputs, TrainingResult
from backend.training.loop import train
from backend.training.losses import LossPart, mean_opacity, mean_scale, photometric
from backend.training.photo_consistency import PATCHES, photo_consistency
from backend.training.recipe import Recipe
from backend.training.settings import AgreeWeight, Antialiased, FlatWeight, PhotoWeight, TrainingSettings, part_of_steps
from backend.training.surface_losses import between, depth_against_normals, flatness
from shared_protocol.schema import setting


class SurfaceNormalsSettings(McmcSettings, frozen=True, kw_only=True):
    antialiased: Antialiased = True
    control: Annotated[
        Literal["mcmc", "default"],
        setting("Splats come and go", "Default: nearer to the surface. MCMC: smoother, and its settings count, too."),
    ] = "default"
    agree_from: Annotated[float, part_of_steps("Agree from", "From here on normals and depth are held together.")] = (
        7 / 30
    )
    agree_weight: AgreeWeight = 0.05
    photo_weight: PhotoWeight = 0.05
    flat_weight: FlatWeight = 10.0


@method(
    label="Surface normals", help="Flat splats whose normals fit their depth: smooth surfaces, any number of splats."
)
def run(config: SurfaceNormalsSettings, inputs: TrainingInputs, job: Job) -> TrainingResult:
    steps = inputs.plan.steps
    first = 0 if inputs.start is not None else round(config.agree_from * steps)
    losses: list[LossPart] = [
        photometric(config.ssim_weight),
        between(depth_against_normals(config.agree_weight), first, steps),
        between(photo_consistency(config.photo_weight, samples=PATCHES[inputs.plan.device]), first, steps),
        between(flatness(config.flat_weight), first, steps),
    ]
    if config.control == "mcmc":
        losses += [mean_opacity(config.opacity_weight), mean_scale(config.scale_weight)]
    return train(config, inputs, job, Recipe("surface_normals", _density(config, inputs), tuple(losses)))


def _density(config: SurfaceNormalsSettings, inputs: TrainingInputs) -> DensityControl:
    if config.control == "mcmc":
        return mcmc_density(config, inputs.plan)
    shared = {name: getattr(config, name) for name in TrainingSettings.__struct_fields__}
    return adaptive_density(msgspec.convert(shared, AdaptiveSettings), inputs.plan)
