"""Makes the pose of a mesh the rest of the splats that hang on it."""

from __future__ import annotations

import msgspec

from backend.methods.job import Job
from backend.methods.registry import method
from backend.rigging.bound import BoundRepresentation
from backend.rigging.inputs import RiggingInputs, RiggingResult


class ApplyPoseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """There is nothing to choose."""


@method(label="Apply pose as rest", help="Splats stay where the posed mesh has taken them, bound to it as it is now.")
def run(config: ApplyPoseSettings, inputs: RiggingInputs, job: Job) -> RiggingResult:
    binding = inputs.wanted_binding()
    bound = BoundRepresentation(inputs.cloud, binding, "cpu")
    job.progress(1, 3)
    posed = bound.posed(inputs.mesh.vertices)
    job.progress(2, 3)
    cloud = posed.bake()
    job.progress(3, 3)
    return RiggingResult(cloud, binding.resting(inputs.mesh.vertices))
