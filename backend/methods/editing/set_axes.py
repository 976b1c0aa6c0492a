"""Lays origin and axes through three points."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from backend.editing.inputs import EditingInputs, EditingResult
from backend.editing.placement import axes_through
from backend.methods.job import Job
from backend.methods.registry import method
from backend.splats.change import SplatChange


class SetAxesSettings(msgspec.Struct, frozen=True, kw_only=True):
    pass


@method(
    label="Set axes",
    help="Moves and turns all splats so that the first point that was picked is the origin, the second lies to the "
    "right of it (Blender's +X), and the third level with both, on the far side (+Y).",
)
def run(config: SetAxesSettings, inputs: EditingInputs, job: Job) -> EditingResult:
    matrix = axes_through(inputs.wanted_points(3)[:3], np.array(inputs.up))
    job.progress(1, 2)
    result = EditingResult.changed(inputs, SplatChange(matrix=matrix))
    job.progress(2, 2)
    return replace(result, moved=matrix)
