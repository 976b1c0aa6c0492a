"""Moves, turns and scales splats, their colours turned along."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from backend.editing.inputs import EditingInputs, EditingResult
from backend.editing.placement import around, pivot_of, placed
from backend.methods.job import Job
from backend.methods.registry import method
from backend.splats.change import SplatChange
from shared_protocol.schema import setting

_UNIT = "units of the asset"


class TransformSettings(msgspec.Struct, frozen=True, kw_only=True):
    move_x: Annotated[float, setting("Move X", "Along x.", unit=_UNIT)] = 0.0
    move_y: Annotated[float, setting("Move Y", "Along y.", unit=_UNIT)] = 0.0
    move_z: Annotated[float, setting("Move Z", "Along z.", unit=_UNIT)] = 0.0
    turn_x: Annotated[float, setting("Turn X", "About x, first.", unit="degrees")] = 0.0
    turn_y: Annotated[float, setting("Turn Y", "About y, second.", unit="degrees")] = 0.0
    turn_z: Annotated[float, setting("Turn Z", "About z, third.", unit="degrees")] = 0.0
    scale_x: Annotated[float, setting("Scale X", "Along x; negative mirrors.")] = 1.0
    scale_y: Annotated[float, setting("Scale Y", "Along y; negative mirrors.")] = 1.0
    scale_z: Annotated[float, setting("Scale Z", "Along z; negative mirrors.")] = 1.0
    pivot: Annotated[
        Literal["middle", "origin"],
        setting("Pivot", "What stays in place while turning and scaling: the middle of the splats, or the origin."),
    ] = "middle"


@method(
    label="Transform",
    help="Moves, turns and scales splats by numbers or by a matrix, and their view-dependent colours turn along.",
)
def run(config: TransformSettings, inputs: EditingInputs, job: Job) -> EditingResult:
    chosen = inputs.chosen()
    job.progress(1, 2)
    matrix = inputs.matrix
    if matrix is None:
        matrix = placed(
            move=(config.move_x, config.move_y, config.move_z),
            turn=(config.turn_x, config.turn_y, config.turn_z),
            scale=(config.scale_x, config.scale_y, config.scale_z),
        )
        matrix = around(matrix, pivot_of(config.pivot, inputs.cloud.means[chosen]))
    result = EditingResult.changed(inputs, SplatChange(inputs.region(), matrix=matrix))
    job.progress(2, 2)
    return result
