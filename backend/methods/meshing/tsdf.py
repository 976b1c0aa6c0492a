"""Looks at the splats from all around, fuses the depth pictures, and makes a coloured mesh of their common surface."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec

from backend.meshing.depth_picture import take_depth_picture
from backend.meshing.inputs import MeshingInputs, MeshingResult
from backend.meshing.paint import Paint
from backend.meshing.surface import decimated, extract_surface, without_small_pieces
from backend.meshing.viewpoints import viewpoints_around, viewpoints_of
from backend.meshing.volume import DistanceVolume
from backend.methods.job import Job
from backend.methods.registry import method
from shared_protocol.schema import setting

_COARSEST, _FINEST = 64, 256  # that is chosen without being asked
_PIXELS_A_VOXEL = 1.25
_LARGEST_PICTURE = 1024


class TsdfSettings(msgspec.Struct, frozen=True, kw_only=True):
    resolution: (
        Annotated[
            int,
            setting(
                "Resolution",
                "How many voxels fit along the longest side; chosen by the number of splats.",
                minimum=16,
                maximum=1024,
            ),
        ]
        | None
    ) = None
    views: Annotated[
        int, setting("Views", "From how many sides the splats are looked at.", minimum=4, maximum=1000)
    ] = 48
    faces: (
        Annotated[int, setting("Faces", "The most triangles; without a number, all that there are.", minimum=100)]
        | None
    ) = 100_000
    least_piece: Annotated[
        float,
        setting(
            "Least piece",
            "Smaller pieces are removed; 0.05 = those with less than a twentieth of the largest piece's triangles.",
            minimum=0,
            maximum=1,
        ),
    ] = 0.05


@method(label="Mesh from depth", help="A coloured mesh of the surface that the splats show (TSDF fusion).")
def run(config: TsdfSettings, inputs: MeshingInputs, job: Job) -> MeshingResult:
    splats = len(inputs.representation.bake())
    resolution = config.resolution or round(min(max(0.6 * math.sqrt(splats), _COARSEST), _FINEST))
    volume = DistanceVolume(inputs.bounds, resolution)
    pixel = volume.voxel / _PIXELS_A_VOXEL
    if inputs.cameras:
        views = viewpoints_of(inputs.cameras, inputs.bounds, config.views, pixel=pixel, largest=_LARGEST_PICTURE)
    else:
        views = viewpoints_around(inputs.bounds, config.views, pixel=pixel, largest=_LARGEST_PICTURE)
    steps = 2 * len(views) + 3
    pictures = []
    for view in views:
        picture = take_depth_picture(inputs.representation, view, device=inputs.device, largest_step=volume.truncation)
        volume.add(picture)
        pictures.append(picture)
        job.progress(len(pictures), steps)
    mesh = extract_surface(volume)
    job.progress(len(views) + 1, steps, faces=len(mesh.faces))
    mesh = without_small_pieces(mesh, config.least_piece)
    job.progress(len(views) + 2, steps, faces=len(mesh.faces))
    if config.faces is not None:
        mesh = decimated(mesh, config.faces)
    job.progress(len(views) + 3, steps, faces=len(mesh.faces))
    paint = Paint(mesh)
    for number, picture in enumerate(pictures, start=len(views) + 4):
        paint.add(picture, tolerance=volume.truncation / 2)
        job.progress(number, steps)
    return MeshingResult(paint.finished(), len(views), volume.voxel)
