"""Takes the splats of other assets in, where they stand."""

from __future__ import annotations

import msgspec
import numpy as np

from backend.editing.inputs import EditingInputs, EditingResult
from backend.methods.job import Job
from backend.methods.registry import method
from backend.splats.io.joined import joined
from backend.splats.moved import moved_cloud
from shared_protocol.errors import UserError


class JoinSettings(msgspec.Struct, frozen=True, kw_only=True):
    pass


@method(
    label="Join", help="Takes the splats of other objects in, with the highest SH degree among them; they are selected."
)
def run(config: JoinSettings, inputs: EditingInputs, job: Job) -> EditingResult:
    if not inputs.others:
        raise UserError("bad_input", "There is nothing to join with.", "Select other splat objects, or give --with.")
    clouds, steps = [inputs.cloud], len(inputs.others) + 1
    for number, other in enumerate(inputs.others, 1):
        clouds.append(moved_cloud(other.cloud, other.asset_from_other))
        job.progress(number, steps)
    cloud = joined(clouds)
    count = len(inputs.cloud)
    job.note(f"{len(cloud) - count:,} splats were added to {count:,}.")
    job.progress(steps, steps)
    return EditingResult(cloud, np.ones(count, bool), selected=np.arange(len(cloud)) >= count)
