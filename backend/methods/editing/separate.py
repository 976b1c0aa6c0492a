"""Makes an asset of its own of the selected splats."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import msgspec
import numpy as np

from backend.editing.inputs import EditingInputs, EditingResult
from backend.methods.job import Job
from backend.methods.registry import method
from shared_protocol.schema import setting


class SeparateSettings(msgspec.Struct, frozen=True, kw_only=True):
    keep: Annotated[bool, setting("Keep", "The selected splats also stay where they are: they are copied.")] = False


@method(label="Separate", help="Makes an object of its own of the selected splats.")
def run(config: SeparateSettings, inputs: EditingInputs, job: Job) -> EditingResult:
    selected = inputs.wanted_region()
    job.progress(1, 2)
    keep = np.ones(len(selected), bool) if config.keep else ~selected
    result = EditingResult.kept(inputs, keep, hint="Select fewer splats, or duplicate the object.")
    job.note(f"{int(selected.sum()):,} of {len(selected):,} splats become an object of their own.")
    job.progress(2, 2)
    return replace(result, apart=selected)
