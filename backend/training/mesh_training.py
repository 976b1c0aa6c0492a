"""What trainings on a given mesh have in common: settings, how many splats a face gets, and the run itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor

from backend.training.density import NoDensityControl
from backend.training.inputs import TrainingInputs, TrainingJob, TrainingResult
from backend.training.loop import train
from backend.training.losses import LossPart, mesh_normals, photometric
from backend.training.mesh_splats import FaceParameterisation, MeshSplats, mesh_parameters
from backend.training.posed_mesh import PosedMesh
from backend.training.recipe import Recipe
from backend.training.representation import MakeOptimizer
from backend.training.settings import TrainingSettings, learning_rate
from shared_protocol.errors import UserError
from shared_protocol.schema import setting

# Splats are neither added nor removed, and as many as the faces ask for from the start.
MEAN_NOTHING = (
    "start_fraction",
    "random_fraction",
    "refine_from",
    "refine_from_latest",
    "refine_every",
    "refine_until",
)


class MeshTrainingSettings(TrainingSettings, frozen=True, kw_only=True):
    """Methods with these are without those of `MEAN_NOTHING`."""

    start_opacity: Annotated[
        float, setting("Start opacity", "Opacity of the first splats.", minimum=0.01, maximum=0.99, advanced=True)
    ] = 0.1
    start_scale: Annotated[
        float,
        setting("Start size", "Size of the first splats.", minimum=0.01, unit="of the paper's", advanced=True),
    ] = 1.0
    learn_vertices: Annotated[
        bool,
        setting("Learn vertices", "The splats' surface moves to where the photos show it; the mesh itself stays."),
    ] = True
    normal_weight: Annotated[
        float,
        setting(
            "Normal weight",
            "How strongly adjacent faces keep the same direction while vertices are learned.",
            minimum=0,
            advanced=True,
        ),
    ] = 0.1
    alpha_rate: Annotated[float, learning_rate("places in faces")] = 1e-3


def wanted_mesh(inputs: TrainingInputs, method: str) -> PosedMesh:
    """Raises UserError when there is none, or nothing can hang on it, or a photo has no pose."""
    if inputs.mesh is None:
        raise UserError("bad_input", f"The method '{method}' needs a mesh.", "Give the mesh that the photos show.")
    if inputs.poses is not None:
        inputs.poses.refuse_unfitting(
            len(inputs.mesh.vertices), (photo.name for photo in (*inputs.train_photos, *inputs.test_photos))
        )
    return PosedMesh(inputs.mesh, inputs.poses, inputs.frame(), torch.device(inputs.plan.device))


def splats_a_face(wanted: int | None, allowed: Sequence[int], faces: int, most: int) -> int:
    """As many as are wanted, or, with None, the most of those allowed (ascending) that fit into the budget.

    Raises UserError when the budget is too small.
    """
    fitting = [number for number in allowed if number * faces <= most]
    chosen = wanted or (fitting[-1] if fitting else allowed[0])
    if chosen * faces > most:
        message = (
            f"{chosen * faces:,} splats are needed, {chosen} in each of {faces:,} faces, and {most:,} are allowed."
        )
        raise UserError("bad_input", message, "Allow more splats (--max-splats), or take a mesh with fewer faces.")
    return chosen


def train_on_mesh(
    settings: MeshTrainingSettings,
    inputs: TrainingInputs,
    job: TrainingJob,
    method: str,
    mesh: PosedMesh,
    kind: FaceParameterisation,
) -> TrainingResult:
    """Trains splats in the faces of a mesh. Raises as `train`."""

    def begin(generator: torch.Generator) -> dict[str, Tensor]:
        return mesh_parameters(
            mesh,
            kind,
            sh_degree=settings.sh_degree,
            opacity=settings.start_opacity,
            learn_vertices=settings.learn_vertices,
            generator=generator,
        )

    def represent(values: dict[str, Tensor], rates: dict[str, float], make_optimizer: MakeOptimizer) -> MeshSplats:
        own = {"alphas": settings.alpha_rate, "angles": rates["quats"], "vertices": rates["means"]}
        return MeshSplats(mesh, kind, values, rates | own, make_optimizer)

    losses: tuple[LossPart, ...] = (photometric(settings.ssim_weight),)
    if settings.learn_vertices and settings.normal_weight:
        losses += (mesh_normals(settings.normal_weight, mesh.faces[torch.from_numpy(mesh.usable_faces)]),)
    return train(settings, inputs, job, Recipe(method, NoDensityControl(), losses, represent, begin=begin))
