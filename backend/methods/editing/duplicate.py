"""Adds copies of splats to the same asset."""

from __future__ import annotations

from typing import Annotated

import msgspec

from backend.editing.copying import with_copies
from backend.editing.inputs import EditingInputs, EditingResult
from backend.editing.placement import placed
from backend.methods.job import Job
from backend.methods.registry import method
from shared_protocol.schema import setting

_UNIT = "units of the asset"


class DuplicateSettings(msgspec.Struct, frozen=True, kw_only=True):
    move_x: Annotated[float, setting("Move X", "How far the copies are moved along x.", unit=_UNIT)] = 0.0
    move_y: Annotated[float, setting("Move Y", "How far the copies are moved along y.", unit=_UNIT)] = 0.0
    move_z: Annotated[float, setting("Move Z", "How far the copies are moved along z.", unit=_UNIT)] = 0.0


@method(label="Duplicate", help="Adds copies of the selected splats, which are selected from then on.")
def run(config: DuplicateSettings, inputs: EditingInputs, job: Job) -> EditingResult:
    chosen = inputs.chosen()
    job.progress(1, 2)
    move = (config.move_x, config.move_y, config.move_z)
    matrix = placed(move=move, turn=(0, 0, 0), scale=(1, 1, 1)) if inputs.matrix is None else inputs.matrix
    result = with_copies(inputs, chosen, matrix)
    job.note(f"{int(chosen.sum()):,} splats were copied.")
    job.progress(2, 2)
    return result
