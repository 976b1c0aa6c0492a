"""Makes a mesh of the surface on which the splats' density has one value (SuGaR, screened Poisson reconstruction)."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np

from backend.meshing.finishing import Studio
from backend.meshing.inputs import MeshingInputs, MeshingResult
from backend.meshing.memory import refuse_too_large
from backend.meshing.poisson_surface import memory_needed, poisson_surface, sampled
from backend.meshing.settings import SurfaceSettings
from backend.methods.job import Job
from backend.methods.registry import method
from shared_protocol.schema import setting

_COARSEST, _FINEST = 6, 10  # depth that is chosen without being asked
_POINTS_A_CELL = 6  # of a face of the octree's cube
_MOST_POINTS = 1_000_000
_PIXELS_A_CELL = 1.25


class PoissonSettings(SurfaceSettings, frozen=True, kw_only=True):
    depth: (
        Annotated[
            int,
            setting(
                "Depth",
                "How often space is halved along its longest side: one more shows details half the size; chosen by the "
                "number of splats.",
                minimum=4,
                maximum=12,
            ),
        ]
        | None
    ) = None
    points: (
        Annotated[
            int, setting("Points", "How many places of the surface are looked for.", minimum=1000, maximum=20_000_000)
        ]
        | None
    ) = None
    trim: (
        Annotated[
            float,
            setting(
                "Trim",
                "Surface is cut away where points are sparser than usual by so many doublings of their distance; "
                "without a number, none is.",
                minimum=0,
                maximum=10,
            ),
        ]
        | None
    ) = 2.0
    background: Annotated[
        bool,
        setting("Background", "What lies around the object becomes surface, too, from points of its own."),
    ] = False


@method(label="Mesh from density", help="A textured mesh where the splats' density has one value (SuGaR, Poisson).")
def run(config: PoissonSettings, inputs: MeshingInputs, job: Job) -> MeshingResult:
    splats = inputs.representation.bake()
    fitting = math.ceil(math.log2(max(0.66 * math.sqrt(len(splats)), 1)))
    depth = config.depth or min(max(fitting, _COARSEST), _FINEST)
    cell = float((inputs.bounds[1] - inputs.bounds[0]).max()) / 2**depth
    count = config.points or min(_POINTS_A_CELL * 4**depth, _MOST_POINTS)
    what = f"A surface of depth {depth} from {count:,} points"
    refuse_too_large(what, memory_needed(depth, count), "Lower the setting 'depth' or 'points'.")
    studio = Studio(config, inputs, job.progress, 2)
    pictures = studio.look(cell / _PIXELS_A_CELL, 4 * cell)
    points = sampled(pictures, splats, config.level, count, np.random.default_rng(0), studio.steps.watch)
    studio.steps.done(points=len(points))
    surface = poisson_surface(points, inputs.bounds, depth, config.trim, config.background, studio.steps.watch)
    studio.steps.done(faces=len(surface.faces))
    return studio.finish(surface, pictures, cell)
