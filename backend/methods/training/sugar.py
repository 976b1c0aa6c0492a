"""Flat splats at fixed places in the faces of a given mesh: the last stage of SuGaR, Guedon & Lepetit 2024."""

from __future__ import annotations

from typing import Annotated, Literal

from backend.methods.job import Job
from backend.methods.registry import method
from backend.rigging.face_shapes import SUGAR_LAYOUTS
from backend.training.inputs import TrainingInputs, TrainingResult
from backend.training.mesh_splats import SugarFaces
from backend.training.mesh_training import MEAN_NOTHING, MeshTrainingSettings, splats_a_face, train_on_mesh, wanted_mesh
from shared_protocol.schema import setting


class SugarSettings(MeshTrainingSettings, frozen=True, kw_only=True):
    splats_per_face: Annotated[
        Literal["auto", "1", "3", "4", "6"],
        setting("Splats per face", "Auto: as many as the splat budget allows."),
    ] = "auto"


@method(
    label="SuGaR on a mesh",
    help="Refines flat splats in the faces of a given mesh, which they follow, and the surface that they form.",
    takes_mesh=True,
    without=(*MEAN_NOTHING, "alpha_rate"),  # places in faces are fixed
)
def run(config: SugarSettings, inputs: TrainingInputs, job: Job) -> TrainingResult:
    mesh = wanted_mesh(inputs, "sugar")
    wanted = None if config.splats_per_face == "auto" else int(config.splats_per_face)
    count = splats_a_face(wanted, tuple(SUGAR_LAYOUTS), len(mesh.usable_faces), inputs.plan.max_splats)
    return train_on_mesh(config, inputs, job, "sugar", mesh, SugarFaces(count, config.start_scale))
