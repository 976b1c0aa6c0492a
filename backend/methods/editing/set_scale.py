"""Gives splats their true size."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import msgspec

from backend.editing.inputs import EditingInputs, EditingResult
from backend.editing.placement import scale_between
from backend.methods.job import Job
from backend.methods.registry import method
from backend.splats.change import SplatChange
from shared_protocol.schema import setting


class SetScaleSettings(msgspec.Struct, frozen=True, kw_only=True):
    length: Annotated[
        float,
        setting("Length", "The true distance of the two points.", minimum=1e-6, maximum=1e6, unit="metres"),
    ] = 1.0


@method(
    label="Set scale", help="Scales all splats about the origin so that two points that were picked are so far apart."
)
def run(config: SetScaleSettings, inputs: EditingInputs, job: Job) -> EditingResult:
    matrix = scale_between(inputs.wanted_points(2)[:2], config.length)
    job.progress(1, 2)
    result = EditingResult.changed(inputs, SplatChange(matrix=matrix))
    job.progress(2, 2)
    return replace(result, moved=matrix)
