"""Mirrors splats, or makes them symmetric."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from backend.editing.copying import with_copies
from backend.editing.inputs import EditingInputs, EditingResult
from backend.editing.placement import around, mirrored, pivot_of
from backend.methods.job import Job
from backend.methods.registry import method
from backend.splats.change import SplatChange
from shared_protocol.schema import setting


class MirrorSettings(msgspec.Struct, frozen=True, kw_only=True):
    axis: Annotated[Literal["x", "y", "z"], setting("Axis", "Across the mirror, of the asset's frame.")] = "x"
    pivot: Annotated[
        Literal["middle", "origin"],
        setting("Through", "The mirror stands in the middle of the splats, or at the origin."),
    ] = "middle"
    copy: Annotated[bool, setting("Copy", "The splats stay, and mirrored copies are added.")] = False


@method(label="Mirror", help="Mirrors splats exactly, their view-dependent colours included.")
def run(config: MirrorSettings, inputs: EditingInputs, job: Job) -> EditingResult:
    chosen = inputs.chosen()
    job.progress(1, 2)
    pivot = pivot_of(config.pivot, inputs.cloud.means[chosen])
    matrix = around(mirrored("xyz".index(config.axis)), pivot)
    if config.copy:
        result = with_copies(inputs, chosen, matrix)
    else:
        result = EditingResult.changed(inputs, SplatChange(inputs.region(), matrix=matrix))
    job.progress(2, 2)
    return result
