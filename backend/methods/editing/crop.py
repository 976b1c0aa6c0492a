"""Keeps the splats inside a box or a sphere, or those outside it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import numpy as np

from backend.editing.inputs import EditingInputs, EditingResult
from backend.methods.job import Job
from backend.methods.registry import method
from shared_protocol.schema import setting

_CHUNK = 200_000  # splats between two reports


class CropSettings(msgspec.Struct, frozen=True, kw_only=True):
    shape: Annotated[
        Literal["box", "sphere"], setting("Shape", "The box itself, or the ball or ellipsoid that just fits into it.")
    ] = "box"
    keep: Annotated[Literal["inside", "outside"], setting("Keep", "Which splats stay; the others are deleted.")] = (
        "inside"
    )
    margin: Annotated[
        float,
        setting(
            "Margin",
            "A splat counts as inside only as a whole, this many of its standard deviations around its centre; "
            "at 0 its centre decides.",
            minimum=0,
            maximum=5,
        ),
    ] = 0.0


@method(label="Crop", help="Keeps what lies inside a box or a sphere, or deletes it.")
def run(config: CropSettings, inputs: EditingInputs, job: Job) -> EditingResult:
    box, cloud = inputs.wanted_box(), inputs.cloud
    inside = np.zeros(len(cloud), bool)
    for start in range(0, len(cloud), _CHUNK):
        part = slice(start, start + _CHUNK)
        splats = cloud.select(np.arange(len(cloud))[part])
        if config.shape == "box":
            inside[part] = (np.abs(box.positions(splats.means)) + box.reach(splats, config.margin) <= 1).all(axis=1)
        else:
            far = np.linalg.norm(box.positions(splats.means), axis=1)
            inside[part] = far + box.longest_reach(splats, config.margin) <= 1
        job.progress(min(start + _CHUNK, len(cloud)), len(cloud))
    keep = inside if config.keep == "inside" else ~inside
    if inputs.selected is not None:
        keep |= ~inputs.selected
    result = EditingResult.kept(inputs, keep, hint="Move the box, or keep the other side of it.")
    job.note(f"{int(keep.sum()):,} of {len(cloud):,} splats stay.")
    return result
