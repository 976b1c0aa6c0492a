"""Deletes the selected splats, or all others."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from backend.editing.inputs import EditingInputs, EditingResult
from backend.methods.job import Job
from backend.methods.registry import method
from shared_protocol.schema import setting


class DeleteSettings(msgspec.Struct, frozen=True, kw_only=True):
    what: Annotated[
        Literal["selected", "others"], setting("What", "Deletes what is selected, or everything but that.")
    ] = "selected"


@method(label="Delete", help="Deletes the selected splats, or all others.")
def run(config: DeleteSettings, inputs: EditingInputs, job: Job) -> EditingResult:
    selected = inputs.wanted_region()
    job.progress(1, 2)
    keep = ~selected if config.what == "selected" else selected
    result = EditingResult.kept(inputs, keep, hint="Select fewer splats, or delete the asset.")
    job.note(f"{int(keep.sum()):,} of {len(keep):,} splats stay.")
    job.progress(2, 2)
    return result
