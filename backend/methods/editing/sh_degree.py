"""Takes view-dependent colours away, which makes splats smaller in files and in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import msgspec
import numpy as np

from backend.editing.inputs import EditingInputs, EditingResult
from backend.methods.job import Job
from backend.methods.registry import method
from backend.splats.change import SplatChange
from backend.splats.cloud import SH_COEFFICIENTS
from shared_protocol.schema import setting


class ShDegreeSettings(msgspec.Struct, frozen=True, kw_only=True):
    degree: Annotated[
        int, setting("Degree", "0 = one colour from all sides. It is never raised.", minimum=0, maximum=4)
    ] = 0


@method(
    label="SH degree",
    help="Takes view-dependent colours above a degree away. All splats then take less memory; of a selection they "
    "become 0.",
)
def run(config: ShDegreeSettings, inputs: EditingInputs, job: Job) -> EditingResult:
    chosen, cloud = inputs.chosen(), inputs.cloud
    job.progress(1, 2)
    degree = min(config.degree, cloud.sh_degree)
    if chosen.all():
        sh = np.ascontiguousarray(cloud.sh[:, : SH_COEFFICIENTS[degree]])
        result = EditingResult(replace(cloud, sh=sh), np.ones(len(cloud), bool))
    else:
        result = EditingResult.changed(inputs, SplatChange(chosen, sh_degree=degree))
    job.progress(2, 2)
    return result
