"""Makes a triangle of each splat, so that splats can be moved one by one, or by whatever moves meshes."""

from __future__ import annotations

from typing import Annotated

import msgspec

from backend.meshing.inputs import MeshingInputs, MeshingResult
from backend.meshing.splat_triangles import splat_triangles
from backend.methods.job import Job
from backend.methods.registry import method
from shared_protocol.errors import UserError
from shared_protocol.schema import setting


class PseudoMeshSettings(msgspec.Struct, frozen=True, kw_only=True):
    size: Annotated[
        float,
        setting("Size", "How many standard deviations of its splat a triangle is large.", minimum=0.01, maximum=10),
    ] = 1.0


@method(label="Triangle of each splat", help="A mesh of loose triangles. Bind to it per face, and edit it (GaMeS).")
def run(config: PseudoMeshSettings, inputs: MeshingInputs, job: Job) -> MeshingResult:
    cloud = inputs.representation.bake()
    job.progress(1, 2)
    mesh = splat_triangles(cloud, size=config.size)
    if not len(mesh.faces):
        raise UserError("bad_input", "There are no splats to make triangles of.")
    job.progress(2, 2)
    return MeshingResult(mesh, 0, 0.0)
