"""Clone, split and prune by image gradients: 3DGS, Kerbl et al. 2023, and AbsGS, Ye et al. 2024."""

from __future__ import annotations

from typing import Annotated

from backend.methods.job import Job
from backend.methods.registry import method
from backend.training.adaptive_density import AdaptiveDensityControl, BudgetedStrategy
from backend.training.inputs import TrainingInputs, TrainingResult
from backend.training.loop import train
from backend.training.losses import photometric
from backend.training.recipe import Recipe
from backend.training.schedule import Schedule
from backend.training.settings import TrainingSettings, part_of_steps
from shared_protocol.schema import setting

_GRADIENT_LIMIT = 2e-4
_ABSOLUTE_GRADIENT_LIMIT = 8e-4  # absolute gradients do not cancel out, so they are larger


class DefaultSettings(TrainingSettings, frozen=True, kw_only=True):
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


@method(label="Default", help="Clones, splits and prunes splats by how much the photos pull at them.")
def run(config: DefaultSettings, inputs: TrainingInputs, job: Job) -> TrainingResult:
    refinement = Schedule(config, inputs.plan.steps).refinement()
    strategy = BudgetedStrategy(
        max_splats=inputs.plan.max_splats,
        absgrad=config.absgrad,
        grow_grad2d=config.grow_gradient or (_ABSOLUTE_GRADIENT_LIMIT if config.absgrad else _GRADIENT_LIMIT),
        grow_scale3d=config.grow_scale,
        prune_opa=config.prune_opacity,
        prune_scale3d=config.prune_scale,
        refine_start_iter=refinement.start,
        refine_every=refinement.every,
        refine_stop_iter=refinement.stop,
        reset_every=max(1, round(config.reset_every * inputs.plan.steps)),
        revised_opacity=config.revised_opacity,
    )
    density = AdaptiveDensityControl(strategy, reset_opacities=config.reset_opacities)
    return train(config, inputs, job, Recipe("default", density, (photometric(config.ssim_weight),)))
