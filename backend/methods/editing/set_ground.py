"""Lays the ground flat, through the origin."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from backend.editing.inputs import EditingInputs, EditingResult
from backend.editing.placement import ground_through
from backend.methods.job import Job
from backend.methods.registry import method
from backend.splats.change import SplatChange


class SetGroundSettings(msgspec.Struct, frozen=True, kw_only=True):
    pass


@method(
    label="Set ground",
    help="Turns all splats so that the points that were picked, three or more, lie level at the height of the origin.",
)
def run(config: SetGroundSettings, inputs: EditingInputs, job: Job) -> EditingResult:
    matrix = ground_through(inputs.wanted_points(3), np.array(inputs.up))
    job.progress(1, 2)
    result = EditingResult.changed(inputs, SplatChange(matrix=matrix))
    job.progress(2, 2)
    return replace(result, moved=matrix)
