"""Makes the pose of a mesh the rest of the splats that hang on it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from backend.methods.job import Job
from backend.methods.registry import method
from backend.rigging.baking import bake_pose
from backend.rigging.inputs import RiggingInputs, RiggingResult
from backend.rigging.splitting import SPLIT_BEYOND
from shared_protocol.schema import setting


class ApplyPoseSettings(msgspec.Struct, frozen=True, kw_only=True):
    split_beyond: (
        Annotated[
            float,
            setting(
                "Split beyond",
                "Splats that the pose makes more than so many times as long are split into parts, "
                "each of which follows its own face; without a number, none.",
                minimum=1.1,
                maximum=1000,
            ),
        ]
        | None
    ) = SPLIT_BEYOND


@method(label="Apply pose as rest", help="Splats stay where the posed mesh has taken them, bound to it as it is now.")
def run(config: ApplyPoseSettings, inputs: RiggingInputs, job: Job) -> RiggingResult:
    binding = inputs.wanted_binding()
    job.progress(1, 2)
    cloud, binding = bake_pose(inputs.cloud, binding, inputs.mesh.vertices, split_beyond=config.split_beyond)
    parts = len(cloud) - len(inputs.cloud)
    if parts:
        job.note(f"The pose stretches splats so far that {parts:,} were added to keep its shape.")
    job.progress(2, 2)
    return RiggingResult(cloud, binding)
