"""Looks at the splats from all around, fuses the depth pictures, and makes a mesh of their common surface."""

from __future__ import annotations

import math
from typing import Annotated

from backend.meshing.density import SplatDensity
from backend.meshing.finishing import Studio
from backend.meshing.inputs import MeshingInputs, MeshingResult
from backend.meshing.level_set import on_level
from backend.meshing.settings import SurfaceSettings
from backend.meshing.surface import extract_surface
from backend.meshing.volume import DistanceVolume
from backend.methods.job import Job
from backend.methods.registry import method
from shared_protocol.schema import setting

_COARSEST, _FINEST = 64, 256  # that is chosen without being asked
_PIXELS_A_VOXEL = 1.25


class TsdfSettings(SurfaceSettings, frozen=True, kw_only=True):
    resolution: (
        Annotated[
            int,
            setting(
                "Resolution",
                "How many voxels fit along the longest side; chosen by the number of splats.",
                minimum=16,
                maximum=2048,
            ),
        ]
        | None
    ) = None


@method(label="Mesh from depth", help="A textured mesh of the surface that the splats show (TSDF fusion).")
def run(config: TsdfSettings, inputs: MeshingInputs, job: Job) -> MeshingResult:
    splats = inputs.representation.bake()
    resolution = config.resolution or round(min(max(0.6 * math.sqrt(len(splats)), _COARSEST), _FINEST))
    volume = DistanceVolume(inputs.bounds, resolution)
    studio = Studio(config, inputs, job.progress, 3)
    density, pictures = SplatDensity(splats), []
    for picture in studio.look(volume.voxel / _PIXELS_A_VOXEL, volume.truncation):
        pictures.append(on_level(picture, density, config.level))
        volume.mark(pictures[-1])
        studio.steps.watch()
    studio.steps.done()
    for picture in pictures:
        volume.add(picture)
        studio.steps.watch()
    studio.steps.done()
    surface = extract_surface(volume)
    studio.steps.done(faces=len(surface.faces))
    return studio.finish(surface, pictures, volume.voxel)
