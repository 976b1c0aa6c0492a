"""Makes splats fainter or more solid."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from backend.editing.inputs import EditingInputs, EditingResult
from backend.methods.job import Job
from backend.methods.registry import method
from backend.splats.change import SplatChange
from shared_protocol.schema import setting


class OpacitySettings(msgspec.Struct, frozen=True, kw_only=True):
    how: Annotated[
        Literal["multiply", "set"], setting("How", "Multiplies the opacity that each splat has, or gives all the same.")
    ] = "multiply"
    value: Annotated[
        float, setting("Value", "The factor, or the opacity; no splat gets beyond 1.", minimum=0, maximum=100)
    ] = 1.0


@method(label="Opacity", help="Makes splats fainter or more solid.")
def run(config: OpacitySettings, inputs: EditingInputs, job: Job) -> EditingResult:
    inputs.chosen()
    job.progress(1, 2)
    opacity = (config.value, 0.0) if config.how == "multiply" else (0.0, config.value)
    result = EditingResult.changed(inputs, SplatChange(inputs.region(), opacity=opacity))
    job.progress(2, 2)
    return result
