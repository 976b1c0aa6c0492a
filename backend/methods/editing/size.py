"""Makes splats larger or smaller where they are."""

from __future__ import annotations

from typing import Annotated

import msgspec

from backend.editing.inputs import EditingInputs, EditingResult
from backend.methods.job import Job
from backend.methods.registry import method
from backend.splats.change import SplatChange
from shared_protocol.errors import UserError
from shared_protocol.schema import setting

_UNIT = "units of the asset"


class SizeSettings(msgspec.Struct, frozen=True, kw_only=True):
    factor: Annotated[
        float, setting("Factor", "Every splat becomes so many times as large.", minimum=1e-3, maximum=1000)
    ] = 1.0
    least: (
        Annotated[
            float, setting("At least", "No standard deviation is less; without a number, any.", minimum=0, unit=_UNIT)
        ]
        | None
    ) = None
    most: (
        Annotated[
            float,
            setting("At most", "No standard deviation is more; without a number, any.", minimum=1e-9, unit=_UNIT),
        ]
        | None
    ) = None


@method(label="Size", help="Makes splats larger or smaller where they are, and cuts needles short.")
def run(config: SizeSettings, inputs: EditingInputs, job: Job) -> EditingResult:
    inputs.chosen()
    least, most = config.least or 0.0, float("inf") if config.most is None else config.most
    if least > most:
        raise UserError("bad_input", f"At least {least:g} and at most {most:g} leaves no size.", "Change one of them.")
    job.progress(1, 2)
    result = EditingResult.changed(inputs, SplatChange(inputs.region(), size=(config.factor, least, most)))
    job.progress(2, 2)
    return result
