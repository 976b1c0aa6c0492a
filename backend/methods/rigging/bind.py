"""Hangs splats on the triangles of a mesh, so that they follow it however it moves."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from backend.methods.job import Job
from backend.methods.registry import method
from backend.rigging.binding import Binding, bind_to_mesh
from backend.rigging.inputs import RiggingInputs, RiggingResult
from shared_protocol.schema import setting


class BindSettings(msgspec.Struct, frozen=True, kw_only=True):
    driver: Annotated[
        Literal["smooth", "per_face"],
        setting(
            "Driver",
            "Smooth: turn and stretch go over from face to face without a seam. Per face: each face by itself, "
            "for meshes of loose triangles.",
        ),
    ] = "smooth"
    distance: (
        Annotated[
            float,
            setting(
                "Distance",
                "How near the mesh splats must be to follow its surface; chosen by the mesh.",
                minimum=0,
                unit="units of the asset",
            ),
        ]
        | None
    ) = None
    far: Annotated[
        Literal["stay", "follow"],
        setting(
            "Far splats",
            "Splats beyond the distance stay where they are, or follow the nearest part of the mesh as if they were "
            "fixed to it; where a vertex group is chosen for them, such as a bone's, they follow that.",
            advanced=True,
        ),
    ] = "stay"
    keep_thickness: Annotated[
        bool,
        setting("Keep thickness", "A stretched surface stays as thick as it is, instead of growing with its faces."),
    ] = False
    stretch_limit: Annotated[
        float,
        setting(
            "Stretch limit",
            "No splat becomes longer or thinner than so many times.",
            minimum=1,
            maximum=1000,
            advanced=True,
        ),
    ] = 20.0
    as_before: Annotated[
        bool,
        setting(
            "As before",
            "Bound as the splats are bound already, whatever is set here: driver, distance, far splats, thickness and "
            "limit are those of the binding that they have.",
            advanced=True,
        ),
    ] = False

    @classmethod
    def of(cls, binding: Binding) -> BindSettings:
        """With which the binding was made."""
        return cls(
            driver=binding.driver,
            distance=binding.distance,
            far=binding.far,
            keep_thickness=binding.keep_thickness,
            stretch_limit=binding.stretch_limit,
        )


@method(label="Bind to a mesh", help="Splats follow the mesh's triangles, and their colours turn along.")
def run(config: BindSettings, inputs: RiggingInputs, job: Job) -> RiggingResult:
    if config.as_before:
        config = BindSettings.of(inputs.wanted_binding())
    binding = bind_to_mesh(
        inputs.cloud,
        inputs.mesh,
        distance=config.distance,
        far=config.far,
        keep_thickness=config.keep_thickness,
        stretch_limit=config.stretch_limit,
        driver=config.driver,
        weights=inputs.weights,
        carrier=inputs.far_weights if config.far == "follow" else None,
        on_progress=job.progress,
    )
    bound = int((binding.faces >= 0).sum())
    job.note(f"{bound:,} of {len(binding):,} splats follow the mesh.")
    return RiggingResult(inputs.cloud, binding)
