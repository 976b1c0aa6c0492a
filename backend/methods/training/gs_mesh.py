"""Splats in the faces of a given mesh, whose shapes follow from the faces: GaMeS, Waczynska et al. 2024."""

from __future__ import annotations

from typing import Annotated

from backend.methods.job import Job
from backend.methods.registry import method
from backend.training.inputs import TrainingInputs, TrainingResult
from backend.training.mesh_splats import GamesFaces
from backend.training.mesh_training import MEAN_NOTHING, MeshTrainingSettings, splats_a_face, train_on_mesh, wanted_mesh
from shared_protocol.schema import setting

_MOST_A_FACE = 10  # the paper has 5 to 10


class GsMeshSettings(MeshTrainingSettings, frozen=True, kw_only=True):
    splats_per_face: (
        Annotated[
            int,
            setting("Splats per face", "Empty: up to 10, as the splat budget allows.", minimum=1, maximum=100),
        ]
        | None
    ) = None


@method(
    label="GaMeS on a mesh",
    help="Learns splats in the faces of a given mesh, which they follow; its pose may differ from photo to photo.",
    takes_mesh=True,
    without=(*MEAN_NOTHING, "quat_rate"),  # a shape is turned by its face alone
)
def run(config: GsMeshSettings, inputs: TrainingInputs, job: Job) -> TrainingResult:
    mesh = wanted_mesh(inputs, "gs_mesh")
    allowed = range(1, _MOST_A_FACE + 1)
    count = splats_a_face(config.splats_per_face, allowed, len(mesh.usable_faces), inputs.plan.max_splats)
    return train_on_mesh(config, inputs, job, "gs_mesh", mesh, GamesFaces(count, config.start_scale))
