"""Splats that lie flat on the surface they show: the first stages of SuGaR, Guédon and Lepetit 2024.

The paper trains 7,000 steps as 3DGS does, drives opacities to 0 or 1 until step 9,000, removes what is not opaque then,
and aligns what is left until step 15,000. The same parts of a run's steps are the settings' values here. A training
that goes on from finished splats leaves the first stage out.
"""

from __future__ import annotations

from typing import Annotated, Literal

from backend.methods.job import Job
from backend.methods.registry import method
from backend.training.density import NoDensityControl
from backend.training.density_settings import AdaptiveSettings, adaptive_density
from backend.training.inputs import TrainingInputs, TrainingResult
from backend.training.loop import train
from backend.training.losses import photometric
from backend.training.opaque_only import OpaqueOnly
from backend.training.photo_consistency import PATCHES, photo_consistency
from backend.training.recipe import Recipe
from backend.training.settings import AgreeWeight, Antialiased, FlatWeight, PhotoWeight, part_of_steps
from backend.training.surface_losses import (
    between,
    depth_against_normals,
    flatness,
    opacity_entropy,
    surface_alignment,
)
from shared_protocol.schema import setting

_SAMPLES = {"cpu": 4_000, "cuda": 1_000_000}  # points a step; the paper has a million


class SugarSurfaceSettings(AdaptiveSettings, frozen=True, kw_only=True):
    antialiased: Antialiased = True
    refine_until: Annotated[float, part_of_steps("Refine until", "The number of splats only falls afterwards.")] = 0.46
    opaque_from: Annotated[
        float, part_of_steps("Opaque from", "From here on opacities go to 0 or 1.", maximum=0.95)
    ] = 7 / 15
    align_from: Annotated[
        float, part_of_steps("Align from", "Faint splats are removed, and the others laid on the surface.")
    ] = 9 / 15
    field: Annotated[
        Literal["density", "sdf"],
        setting("Align by", "Density: for objects. SDF: distance to the surface, stronger, for surroundings."),
    ] = "density"
    entropy_weight: Annotated[
        float, setting("Opaque weight", "How strongly opacities go to 0 or 1.", minimum=0, advanced=True)
    ] = 0.1
    least_opacity: Annotated[
        float, setting("Least opacity", "Fainter splats are removed.", minimum=0, maximum=0.95, advanced=True)
    ] = 0.5
    field_weight: Annotated[
        float, setting("Align weight", "How strongly splats become a surface.", minimum=0, advanced=True)
    ] = 0.1  # 0.2 in the paper, which holds neither normals and depth together nor photos
    normal_weight: Annotated[
        float, setting("Normal weight", "How strongly neighbours face the same way.", minimum=0, advanced=True)
    ] = 0.2
    agree_weight: AgreeWeight = 0.1
    photo_weight: PhotoWeight = 0.05
    flat_weight: FlatWeight = 10.0
    samples: (
        Annotated[
            int,
            setting("Samples", "Points a step; empty: 4,000, on a GPU a million.", minimum=1, maximum=10_000_000),
        ]
        | None
    ) = None
    neighbours_every: Annotated[
        float, part_of_steps("Neighbours every", "Which splats are neighbours is found again.", minimum=0.001)
    ] = 1 / 30


@method(label="SuGaR surface", help="Lays opaque, flat splats on the surface: best before a mesh is extracted.")
def run(config: SugarSurfaceSettings, inputs: TrainingInputs, job: Job) -> TrainingResult:
    steps, continued = inputs.plan.steps, inputs.start is not None
    opaque_from, align_from = (
        _step(part, config, steps, continued) for part in (config.opaque_from, config.align_from)
    )
    aligned = surface_alignment(
        config.field,
        samples=config.samples or _SAMPLES[inputs.plan.device],
        every=max(1, round(config.neighbours_every * steps)),
        field_weight=config.field_weight,
        normal_weight=config.normal_weight,
    )
    losses = [
        photometric(config.ssim_weight),
        between(opacity_entropy(config.entropy_weight), opaque_from, align_from),
        between(aligned, align_from + 1, steps),
        between(depth_against_normals(config.agree_weight), opaque_from, steps),
        between(photo_consistency(config.photo_weight, samples=PATCHES[inputs.plan.device]), opaque_from, steps),
        between(flatness(config.flat_weight), opaque_from, steps),
    ]
    density = NoDensityControl() if continued else adaptive_density(config, inputs.plan)
    return train(
        config,
        inputs,
        job,
        Recipe("sugar_surface", OpaqueOnly(density, align_from, config.least_opacity), tuple(losses)),
    )


def _step(part: float, config: SugarSurfaceSettings, steps: int, continued: bool) -> int:
    """The step at which that part of a run is over; of a run that goes on, the first stage is over already."""
    if continued:
        part = max(0.0, part - config.opaque_from) / (1 - config.opaque_from)
    return round(part * steps)
